/* SPDX-License-Identifier: MIT */
#include "payment.h"

#include "write.h"

#include <stdio.h>
#include <string.h>

static const char *const ends[] = {"completed", "failed", "refunded", NULL};
/* With "invoice-" before it, it is its invoice's id, which may be asked for. */
enum { PAYMENT_ID_MAX = 120 };

static const char *const plans[] = {"basic", "gold", "platinum", NULL};

/* $1 id, $2 user, $3 method, $4 cents, $5 currency. A method that is nobody's the foreign key refuses. */
static const char create_text[] =
    "WITH made AS ("
    " INSERT INTO payments (id, user_id, method_id, amount_cents, currency) SELECT $1, $2, $3, $4::bigint, $5"
    " WHERE NOT EXISTS (SELECT FROM payment_methods WHERE id = $3 AND user_id <> $2) RETURNING id, status"
    ") SELECT (SELECT json_build_object('id', id, 'status', status) FROM made),"
    " CASE WHEN NOT EXISTS (SELECT FROM made) THEN 'this payment method is another user''s' END AS refused";

/*
 * $1 payment, $2 its user, $3 the new status. Pending ones are completed or failed, completed ones refunded, nothing else. With the
 * payment its invoice is written, or its invoices cancelled: all or nothing. A row for each of them.
 */
static const char settle_text[] =
    "WITH settled AS ("
    " UPDATE payments SET status = $3 WHERE id = $1 AND user_id = $2"
    "  AND status = CASE WHEN $3 = 'refunded' THEN 'completed' ELSE 'pending' END RETURNING *"
    "), invoiced AS ("
    " INSERT INTO invoices (id, user_id, payment_id, amount_cents, currency)"
    " SELECT 'invoice-' || id, user_id, id, amount_cents, currency FROM settled WHERE $3 = 'completed' RETURNING id"
    "), cancelled AS ("
    " UPDATE invoices SET is_cancelled = true FROM settled WHERE payment_id = settled.id AND $3 = 'refunded' RETURNING "
    "invoices.id"
    ") SELECT json_build_object('id', id, 'status', status), also FROM settled"
    " LEFT JOIN (SELECT id AS also FROM invoiced UNION ALL SELECT id FROM cancelled) AS others ON true";

/*
 * $1 id, $2 user, $3 plan. The one that was active ends first, or the index that allows one would refuse its successor: it does
 * refuse the later of two requests that saw the same one, or none.
 */
static const char subscribe_text[] =
    "WITH ended AS ("
    " UPDATE subscriptions SET is_active = false, ended_at = now() WHERE user_id = $2 AND is_active RETURNING id"
    ") "
    "INSERT INTO subscriptions (id, user_id, plan) SELECT $1, $2, $3 FROM (SELECT count(*) FROM ended) AS first "
    "RETURNING json_build_object('id', id)";

/* $1 user. */
static const char cancel_text[] =
    "UPDATE subscriptions SET is_active = false, ended_at = now() WHERE user_id = $1 AND is_active "
    "RETURNING json_build_object('id', id, 'cancelled', true)";

void writes_catalog(struct payment *payment)
{
        payment->create_payment = (struct writing){.name = "POST /payments",
                                                   .query = "createPayment",
                                                   .text = create_text,
                                                   .table = "payments",
                                                   .change = SP_ROW_INSERT,
                                                   .refusals = {{"23503", 400, "there is no such payment method"},
                                                                {"23505", 409, "there is a payment with this id"}},
                                                   .status = 201};
        payment->settle_payment = (struct writing){
            .name = "POST /payments/{id}",
            .query = "settlePayment",
            .text = settle_text,
            .table = "payments",
            .change = SP_ROW_UPDATE,
            .also = &payment->invoice,
            .refusals = {{"23505", 409, "there is another invoice with the id that this payment's would have"}},
            .absent = "this user has no payment with this id that can become that",
            .status = 200};
        payment->subscribe = (struct writing){.name = "POST /subscription",
                                              .query = "subscribe",
                                              .text = subscribe_text,
                                              .table = "subscriptions",
                                              .change = SP_ROW_INSERT,
                                              .refusals = {{"23505", 409, "another subscription began just now"}},
                                              .status = 201};
        payment->cancel = (struct writing){.name = "POST /subscription/cancel",
                                           .query = "cancelSubscription",
                                           .text = cancel_text,
                                           .table = "subscriptions",
                                           .change = SP_ROW_UPDATE,
                                           .absent = "there is no active subscription",
                                           .status = 200};
}

static void payment_start(struct payment *payment, struct http_call *call, const json_t *body, json_int_t cents)
{
        struct work *work = write_new(&payment->service, call, &payment->create_payment);
        char made[ID_SIZE], amount[32];

        if (!work)
                return;
        id_make(made);
        snprintf(amount, sizeof amount, "%lld", (long long)cents);
        write_column(work, "id", body_id(body, "id") ? body_id(body, "id") : made);
        write_column(work, "user_id", body_id(body, "userId"));
        work_param(work, body_id(body, "methodId"));
        work_param(work, amount);
        work_param(work, body_text(body, "currency") ? body_text(body, "currency") : "EUR");
        write_run(work);
}

/* As ISO 4217 forms them; which there are changes by the year. */
static bool currency_may(struct http_call *call, const json_t *body)
{
        const char *word = body_text(body, "currency");

        if (!body_has(body, "currency") ||
            (word && strlen(word) == 3 && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3))
                return true;
        http_error(call, 400, "currency may be three capital letters: EUR");
        return false;
}

static bool payment_may(struct http_call *call, const json_t *body)
{
        if (!body_may(call, body, "id", BODY_ID) || !body_may(call, body, "methodId", BODY_ID) ||
            !currency_may(call, body))
                return false;
        if (!body_id(body, "id") || strlen(body_id(body, "id")) <= PAYMENT_ID_MAX)
                return true;
        http_error(call, 400,
                   "id may be 1 to 120 visible ASCII characters without slash: that of its invoice is longer");
        return false;
}

void post_payment(void *arg, struct http_call *call, const char *id)
{
        json_t *body = body_parse(call);
        json_int_t cents;

        if (!body)
                return;
        cents = json_integer_value(json_object_get(body, "amountCents"));
        if (!payment_may(call, body)) {
                /* It is answered. */
        } else if (!body_id(body, "userId") || cents < 1 || cents > 100000000) {
                http_error(call, 400, "userId and amountCents, from 1 to 100000000, are needed");
        } else {
                payment_start(arg, call, body, cents);
        }
        json_decref(body);
}

void post_payment_status(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;
        json_t *body = body_parse(call);
        struct work *work;

        if (!body)
                return;
        if (!body_id(body, "userId") || !word_of(body_text(body, "status"), ends)) {
                http_error(call, 400, "userId and status (completed, failed or refunded) are needed");
        } else if ((work = write_new(&payment->service, call, &payment->settle_payment))) {
                write_column(work, "id", id);
                write_column(work, "user_id", body_id(body, "userId"));
                write_change(work, "status", body_text(body, "status"));
                write_run(work);
        }
        json_decref(body);
}

void post_subscription(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;
        json_t *body = body_parse(call);
        struct work *work;
        char made[ID_SIZE];

        if (!body)
                return;
        if (!body_id(body, "userId") || !word_of(body_text(body, "plan"), plans)) {
                http_error(call, 400, "userId and plan (basic, gold or platinum) are needed");
        } else if ((work = write_new(&payment->service, call, &payment->subscribe))) {
                id_make(made);
                write_column(work, "id", made);
                write_column(work, "user_id", body_id(body, "userId"));
                write_column(work, "plan", body_text(body, "plan"));
                write_run(work);
        }
        json_decref(body);
}

void post_cancel(void *arg, struct http_call *call, const char *id)
{
        struct payment *payment = arg;
        struct work *work = write_new(&payment->service, call, &payment->cancel);

        if (!work)
                return;
        write_column(work, "user_id", id);
        write_run(work);
}
