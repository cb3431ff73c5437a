/* SPDX-License-Identifier: MIT */
/** The payment service: payments, subscriptions, invoices. It fails closed: no answer stands in for another. */
#ifndef PAYMENT_PAYMENT_H
#define PAYMENT_PAYMENT_H

#include "service.h"

struct payment {
        struct service service;
        struct reading payments, subscription, invoice, latest_invoice;
        struct writing create_payment, settle_payment, subscribe, cancel;
};

/* reads.c */
void reads_catalog(struct payment *payment);
void get_payments(void *payment, struct http_call *call, const char *id);
void get_subscription(void *payment, struct http_call *call, const char *id);
void get_invoice(void *payment, struct http_call *call, const char *id);
void get_latest_invoice(void *payment, struct http_call *call, const char *id);
/* writes.c */
void writes_catalog(struct payment *payment);
void post_payment(void *payment, struct http_call *call, const char *id);
void post_payment_status(void *payment, struct http_call *call, const char *id);
void post_subscription(void *payment, struct http_call *call, const char *id);
void post_cancel(void *payment, struct http_call *call, const char *id);

#endif
