/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CONTENT_MAX = 64 * 1024, ID_MAX = 128 };

/* Who finds what of a call: its handler still runs, it was suspended, it was answered. */
enum { RUNNING, SUSPENDED, ANSWERED };

struct http {
        struct MHD_Daemon *daemon;
        struct http_options options;
        pthread_mutex_t lock;
        pthread_cond_t idle;
        int calls; /* that are being served or sent; under lock */
};

struct http_call {
        struct http *http;
        struct MHD_Connection *connection;
        char *content;
        size_t len;
        bool served;
        atomic_int state;
        struct MHD_Response *response;
        unsigned status;
};

static struct http_call *call_new(struct http *http, struct MHD_Connection *connection)
{
        struct http_call *call = calloc(1, sizeof *call);

        if (!call)
                return NULL;
        call->http = http;
        call->connection = connection;
        return call;
}

static void calls_add(struct http *http, int change)
{
        pthread_mutex_lock(&http->lock);
        http->calls += change;
        if (http->calls == 0)
                pthread_cond_broadcast(&http->idle);
        pthread_mutex_unlock(&http->lock);
}

static void call_free(struct http_call *call)
{
        if (call->served)
                calls_add(call->http, -1);
        if (call->response)
                MHD_destroy_response(call->response);
        free(call->content);
        free(call);
}

static void completed(void *arg, struct MHD_Connection *connection, void **own, enum MHD_RequestTerminationCode why)
{
        if (*own)
                call_free(*own);
        *own = NULL;
}

static bool content_append(struct http_call *call, const char *data, size_t len)
{
        char *grown = len <= CONTENT_MAX - call->len ? realloc(call->content, call->len + len + 1) : NULL;

        if (!grown)
                return false;
        memcpy(grown + call->len, data, len);
        call->content = grown;
        call->len += len;
        grown[call->len] = 0;
        return true;
}

/* Whether the path is the route's; then `id` is what stands for "{}", "" without one. */
static bool path_matches(const char *route, const char *path, char id[ID_MAX + 2])
{
        size_t before = strcspn(route, "{"), len;

        *id = 0;
        if (!route[before])
                return strcmp(route, path) == 0;
        if (strncmp(route, path, before) != 0)
                return false;
        len = strcspn(path + before, "/");
        if (strcmp(path + before + len, route + before + 2) != 0)
                return false;
        snprintf(id, ID_MAX + 2, "%.*s", (int)(len < INT_MAX ? len : INT_MAX), path + before);
        return true;
}

static void route(struct http_call *call, const char *method, const char *path)
{
        char id[ID_MAX + 2];
        bool known = false;

        for (const struct http_route *at = call->http->options.routes; at->method; at++) {
                if (!path_matches(at->path, path, id))
                        continue;
                known = true;
                if (strcmp(at->method, method) != 0)
                        continue;
                if (strchr(at->path, '{') && !http_id_valid(id))
                        http_error(call, MHD_HTTP_BAD_REQUEST, "the id must be 1 to 128 visible ASCII characters");
                else
                        at->serve(call->http->options.arg, call, id);
                return;
        }
        http_error(call, known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
                   known ? "this method is not for this path" : "there is no such path");
}

/* From here on http_stop() waits for the call. */
static void begin(struct http_call *call)
{
        call->served = true;
        calls_add(call->http, 1);
}

static enum MHD_Result receive(struct http_call *call, const char *data, size_t *len)
{
        if (!call->response && !content_append(call, data, *len)) {
                begin(call);
                http_error(call, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than 64 KiB");
        }
        *len = 0;
        return MHD_YES;
}

/* microhttpd calls it for the headers, for each piece of the body, at the end, and again when a suspension ends. */
static enum MHD_Result access_handler(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                      const char *version, const char *data, size_t *len, void **own)
{
        struct http_call *call = *own;
        int running = RUNNING;

        if (!call) {
                *own = call_new(arg, connection);
                return *own ? MHD_YES : MHD_NO;
        }
        if (*len)
                return receive(call, data, len);
        if (!call->served) {
                begin(call);
                route(call, method, url);
        }
        if (atomic_load(&call->state) == RUNNING) {
                MHD_suspend_connection(connection);
                if (!atomic_compare_exchange_strong(&call->state, &running, SUSPENDED))
                        MHD_resume_connection(connection); /* the answer came between handler and suspension */
                return MHD_YES;
        }
        return call->response ? MHD_queue_response(connection, call->status, call->response) : MHD_NO;
}

static struct MHD_Response *response_new(struct http_body *body)
{
        struct MHD_Response *response;

        if (!body->release)
                return MHD_create_response_from_buffer(body->len, (void *)(size_t)body->data, MHD_RESPMEM_MUST_COPY);
        response = MHD_create_response_from_buffer_with_free_callback_cls(body->len, (void *)(size_t)body->data,
                                                                          body->release, body->owner);
        if (!response)
                body->release(body->owner);
        return response;
}

void http_answer(struct http_call *call, unsigned status, const char *source, struct http_body body)
{
        struct MHD_Connection *connection = call->connection;

        call->response = response_new(&body);
        call->status = status;
        if (call->response) {
                MHD_add_response_header(call->response, "Content-Type", body.type ? body.type : "application/json");
                if (source)
                        MHD_add_response_header(call->response, "X-Cache", source);
        }
        if (atomic_exchange(&call->state, ANSWERED) == SUSPENDED)
                MHD_resume_connection(connection);
}

void http_error(struct http_call *call, unsigned status, const char *text)
{
        char line[256];
        int len = snprintf(line, sizeof line, "{\"error\":\"%.200s\"}\n", text);

        http_answer(call, status, NULL, (struct http_body){.data = line, .len = (size_t)len});
}

const char *http_query(const struct http_call *call, const char *name)
{
        return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_call *call, const char *name)
{
        return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

const char *http_content(const struct http_call *call, size_t *len)
{
        *len = call->len;
        return call->content ? call->content : "";
}

bool http_id_valid(const char *id)
{
        size_t len = strlen(id);

        for (const char *at = id; *at; at++) {
                if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
                        return false;
        }
        return len > 0 && len <= ID_MAX;
}

bool http_number(const struct http_call *call, const char *name, int low, int high, int fallback, int *out)
{
        const char *text = http_query(call, name);
        char *end;
        long number;

        if (!text) {
                *out = fallback;
                return true;
        }
        errno = 0;
        number = strtol(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno || number < low || number > high)
                return false;
        *out = (int)number;
        return true;
}

static unsigned flags_of(const struct http_options *options)
{
        if (options->threads)
                return MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
        return MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http->options.port)};
        /* A pool of one is microhttpd's single thread. */
        unsigned pool = http->options.threads > 1 ? http->options.threads : 0;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return MHD_start_daemon(flags_of(&http->options), (uint16_t)http->options.port, NULL, NULL, access_handler,
                                http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED,
                                completed, NULL, MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_LISTEN_BACKLOG_SIZE,
                                1024u, MHD_OPTION_CONNECTION_LIMIT, 4000u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                                MHD_OPTION_END);
}

/* Each connection is a descriptor, and the usual soft limit is 1,024. */
static void raise_file_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

struct http *http_start(const struct http_options *options)
{
        struct http *http = calloc(1, sizeof *http);

        if (!http)
                return NULL;
        raise_file_limit();
        http->options = *options;
        pthread_mutex_init(&http->lock, NULL);
        pthread_cond_init(&http->idle, NULL);
        errno = 0;
        http->daemon = daemon_start(http);
        if (!http->daemon) {
                free(http);
                return NULL;
        }
        return http;
}

int http_port(const struct http *http)
{
        return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void http_stop(struct http *http)
{
        int listening;

        if (!http)
                return;
        listening = MHD_quiesce_daemon(http->daemon);
        pthread_mutex_lock(&http->lock);
        while (http->calls)
                pthread_cond_wait(&http->idle, &http->lock);
        pthread_mutex_unlock(&http->lock);
        MHD_stop_daemon(http->daemon);
        close(listening);
        pthread_mutex_destroy(&http->lock);
        pthread_cond_destroy(&http->idle);
        free(http);
}
