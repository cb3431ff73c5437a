/* SPDX-License-Identifier: MIT */
/**
 * A small HTTP server over libmicrohttpd that the services and the naive form share.
 *
 * A route's handler gets a call once the whole request is here. It answers at once, or keeps the call and answers later
 * from any thread: the connection is suspended meanwhile and no thread waits. A call is answered exactly once and must
 * not be touched afterwards.
 */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http;
struct http_call;

struct http_route {
        const char *method; /* "GET" serves HEAD, too */
        const char *path;   /* "{}" stands for one segment, which the handler gets as `id`: "/content/{}" */
        void (*serve)(void *arg, struct http_call *call, const char *id);
};

struct http_options {
        int port;                        /* of 127.0.0.1; 0: a free one */
        unsigned threads;                /* event loops; 0: a thread for each connection, whose handlers may block */
        const struct http_route *routes; /* ends with a method of NULL */
        void *arg;
        void (*refused)(void *arg); /* NULL, or called for each http_error() of 500 and more */
};

/* What to send. The bytes must stay until `release(owner)`; without `release` they are copied. */
struct http_body {
        const void *data;
        size_t len;
        const char *type; /* NULL: application/json */
        void (*release)(void *owner);
        void *owner;
};

/* NULL and errno when the port cannot be had. */
struct http *http_start(const struct http_options *options);
int http_port(const struct http *http);
/*
 * Takes no new connection (who connects is refused at once) and refuses what comes on the old ones (503); every answer is its
 * connection's last one. False: some calls were not answered and sent within the time, who serves them is to end them.
 */
bool http_drain(struct http *http, int ms);
/* After http_drain(), unless NULL: waits until every call was answered, ends. */
void http_stop(struct http *http);

/* NULL when the request has none. Only before the call is kept. */
const char *http_query(const struct http_call *call, const char *name);
const char *http_header(const struct http_call *call, const char *name);
const char *http_content(const struct http_call *call, size_t *len);

/* `source` becomes the header X-Cache; NULL: none. */
void http_answer(struct http_call *call, unsigned status, const char *source, struct http_body body);
/* {"error":"…"} with the text as it is: no quotes, no backslashes. */
void http_error(struct http_call *call, unsigned status, const char *text);

/* 1 to 128 visible ASCII characters but quotes and backslash: a name, an address. */
bool http_word_valid(const char *word);
/* The same without a slash, so that a path can name it: what an id may be. */
bool http_id_valid(const char *id);
#define HTTP_ID_KIND "1 to 128 visible ASCII characters without slash"
/* The query's `name` as a number, `fallback` without one. False: it is none, or not within the bounds. */
bool http_number(const struct http_call *call, const char *name, int low, int high, int fallback, int *out);

#endif
