/* SPDX-License-Identifier: MIT */
#include "payment.h"

#include "read.h"

static const char *const statuses[] = {"pending", "completed", "failed", "refunded", NULL};

/* $1 user, $2 status. The newest fifty. */
static const char payments_text[] =
    "SELECT coalesce(json_agg(payment ORDER BY created_at DESC, id), '[]')"
    "FROM (SELECT id, amount_cents, currency, status, method_id, created_at FROM payments"
    " WHERE user_id = $1 AND status = $2 ORDER BY created_at DESC, id LIMIT 50) AS payment";

/* $1 user. */
static const char subscription_text[] =
    "SELECT row_to_json(active) FROM (SELECT id, user_id, plan, started_at FROM subscriptions"
    " WHERE user_id = $1 AND is_active ORDER BY started_at DESC, id LIMIT 1) AS active";

#define INVOICE                                                                                                        \
        "SELECT row_to_json(invoice) FROM (SELECT id, user_id, payment_id, amount_cents, currency, is_cancelled,"      \
        " created_at FROM invoices WHERE "

/* $1 invoice. */
static const char invoice_text[] = INVOICE "id = $1) AS invoice";

/* $1 user. */
static const char latest_text[] = INVOICE "user_id = $1 ORDER BY created_at DESC, id LIMIT 1) AS invoice";

void reads_catalog(struct payment *payment)
{
        payment->payments = (struct reading){.name = "GET /payments",
                                             .key = "pay:payments:{userId}:{status}",
                                             .options = "ttl=1h size=4KB stale=0",
                                             .patterns = {"pay:payments:{userId}:*"},
                                             .query = "getPaymentsByStatus",
                                             .text = payments_text};
        payment->subscription = (struct reading){.name = "GET /subscription",
                                                 .key = "pay:user:{userId}:subscription",
                                                 .options = "ttl=1h size=200B stale=0",
                                                 .query = "getActiveSubscription",
                                                 .text = subscription_text,
                                                 .absent = "there is no active subscription"};
        payment->invoice = (struct reading){.name = "GET /invoice",
                                            .key = "pay:invoice:{invoiceId}:latest",
                                            .options = "ttl=7d size=3KB stale=0",
                                            .query = "getInvoice",
                                            .text = invoice_text,
                                            .absent = "there is no such invoice"};
        payment->latest_invoice = (struct reading){.name = "GET /user/invoice",
                                                   .key = "pay:user:{userId}:invoice",
                                                   .options = "ttl=7d size=3KB stale=0",
                                                   .query = "getLatestInvoice",
                                                   .text = latest_text,
                                                   .absent = "there is no invoice of this user"};
}

void get_payments(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;

        read_by_word(&payment->service, call, &payment->payments, id, "status", statuses);
}

void get_subscription(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;

        read_by_id(&payment->service, call, &payment->subscription, id);
}

void get_invoice(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;

        read_by_id(&payment->service, call, &payment->invoice, id);
}

void get_latest_invoice(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;

        read_by_id(&payment->service, call, &payment->latest_invoice, id);
}
