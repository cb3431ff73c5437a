/* SPDX-License-Identifier: MIT */
/* The payment service: its paths, the work that is due, the rules that say which rows stand behind which keys. */
#include "payment.h"

/* A payment that moves from one status to another is in both lists. Its invoice is written in the same statement. */
static const char rules[] = "payments(user_id) -> pay:payments:{user_id}:*, pay:user:{user_id}:invoice\n"
                            "subscriptions(user_id) -> pay:user:{user_id}:subscription\n"
                            "invoices(id, user_id) -> pay:invoice:{id}:latest, pay:user:{user_id}:invoice\n";

static const struct http_route routes[] = {{"GET", "/payments/{}", get_payments},
                                           {"GET", "/subscription/{}", get_subscription},
                                           {"GET", "/invoice/{}", get_invoice},
                                           {"GET", "/user/{}/invoice", get_latest_invoice},
                                           {"POST", "/payments", post_payment},
                                           {"POST", "/payments/{}", post_payment_status},
                                           {"POST", "/subscription", post_subscription},
                                           {"POST", "/subscription/{}/cancel", post_cancel},
                                           SERVICE_ROUTES};

int main(int argc, char **argv)
{
        struct payment payment = {0};
        struct reading *const readings[] = {&payment.payments, &payment.subscription, &payment.invoice,
                                            &payment.latest_invoice, NULL};
        struct writing *const writings[] = {&payment.create_payment, &payment.settle_payment, &payment.subscribe,
                                            &payment.cancel, NULL};
        const struct job jobs[] = {
            {"warm-subscriptions", "start", "listNewestSubscribers",
             "SELECT user_id FROM subscriptions WHERE is_active ORDER BY started_at DESC, id LIMIT 100",
             &payment.subscription, NULL},
            {"rebuild-subscriptions", "daily 00:00", "listSubscribers",
             "SELECT user_id FROM subscriptions WHERE is_active ORDER BY user_id", &payment.subscription, NULL},
            {0}};
        const struct plan plan = {.name = "payment",
                                  .what = "the payment service; see ../service/README.md",
                                  .port = 3004,
                                  .routes = routes,
                                  .readings = readings,
                                  .writings = writings,
                                  .jobs = jobs,
                                  .rules = rules};

        reads_catalog(&payment);
        writes_catalog(&payment);
        return service_main(&payment.service, &plan, argc, argv);
}
