/* SPDX-License-Identifier: MIT */
#include "http.h"

#include "listener.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { CONTENT_MAX = 64 * 1024, ID_MAX = 128, SEND_MS = 500, GRACE_MS = 100, CONNECTIONS_MAX = 4000 };

/* Who finds what of a call: its handler still runs, it was suspended, it was answered. */
enum { RUNNING, SUSPENDED, ANSWERED };

struct http {
        struct MHD_Daemon *daemon;
        struct http_options options;
        struct listener *listener; /* NULL once it drains */
        int port;
        pthread_mutex_t lock;
        pthread_cond_t idle;
        /* These under lock. */
        bool draining;   /* what is not being served yet is refused */
        int unanswered;  /* calls whose connection may be suspended, which microhttpd cannot stop with */
        int calls;       /* that are being served or sent */
        int connections; /* that microhttpd was given and has not closed */
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

static void count_down(struct http *http, int *count)
{
        pthread_mutex_lock(&http->lock);
        if (--*count == 0)
                pthread_cond_broadcast(&http->idle);
        pthread_mutex_unlock(&http->lock);
}

/* False: not within the time (-1: none). */
static bool wait_for_none(struct http *http, const int *count, int64_t ms)
{
        struct timespec end;
        int status = 0;

        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += ms / 1000;
        end.tv_nsec += ms % 1000 * 1000000;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        pthread_mutex_lock(&http->lock);
        while (*count && status == 0)
                status = ms < 0 ? pthread_cond_wait(&http->idle, &http->lock)
                                : pthread_cond_timedwait(&http->idle, &http->lock, &end);
        status = *count;
        pthread_mutex_unlock(&http->lock);
        return status == 0;
}

static void call_free(struct http_call *call)
{
        if (call->served)
                count_down(call->http, &call->http->calls);
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

static void connection_changed(void *arg, struct MHD_Connection *connection, void **own,
                               enum MHD_ConnectionNotificationCode what)
{
        struct http *http = arg;

        if (what == MHD_CONNECTION_NOTIFY_CLOSED)
                count_down(http, &http->connections);
}

static bool has_room(void *arg)
{
        struct http *http = arg;
        bool room;

        pthread_mutex_lock(&http->lock);
        room = http->connections < CONNECTIONS_MAX;
        pthread_mutex_unlock(&http->lock);
        return room;
}

static void connection_take(void *arg, int fd, const struct sockaddr *address, socklen_t len)
{
        struct http *http = arg;

        pthread_mutex_lock(&http->lock);
        http->connections++;
        pthread_mutex_unlock(&http->lock);
        if (MHD_add_connection(http->daemon, fd, address, len) != MHD_YES)
                count_down(http, &http->connections); /* it closed it */
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
                if (strcmp(at->method, strcmp(method, "HEAD") == 0 ? "GET" : method) != 0)
                        continue;
                if (strchr(at->path, '{') && !http_id_valid(id))
                        http_error(call, MHD_HTTP_BAD_REQUEST, "the id must be " HTTP_ID_KIND);
                else
                        at->serve(call->http->options.arg, call, id);
                return;
        }
        http_error(call, known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
                   known ? "this method is not for this path" : "there is no such path");
}

/* From here on http_drain() waits for the call. False: too late, it is to be refused. */
static bool begin(struct http_call *call)
{
        struct http *http = call->http;
        bool good;

        call->served = true;
        pthread_mutex_lock(&http->lock);
        good = !http->draining;
        http->calls++;
        http->unanswered++;
        pthread_mutex_unlock(&http->lock);
        return good;
}

/* Who is kept alive would send to a server that is gone. */
static enum MHD_Result send_answer(struct http_call *call)
{
        bool last;

        if (!call->response)
                return MHD_NO;
        pthread_mutex_lock(&call->http->lock);
        last = call->http->draining;
        pthread_mutex_unlock(&call->http->lock);
        if (last)
                MHD_add_response_header(call->response, "Connection", "close");
        return MHD_queue_response(call->connection, call->status, call->response);
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
                if (begin(call))
                        route(call, method, url);
                else
                        http_error(call, MHD_HTTP_SERVICE_UNAVAILABLE, "this server ends: ask another one");
        }
        if (atomic_load(&call->state) == RUNNING) {
                MHD_suspend_connection(connection);
                if (!atomic_compare_exchange_strong(&call->state, &running, SUSPENDED))
                        MHD_resume_connection(connection); /* the answer came between handler and suspension */
                return MHD_YES;
        }
        return send_answer(call);
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
        struct http *http = call->http;

        call->response = response_new(&body);
        call->status = status;
        if (call->response) {
                MHD_add_response_header(call->response, "Content-Type", body.type ? body.type : "application/json");
                if (source)
                        MHD_add_response_header(call->response, "X-Cache", source);
        }
        if (atomic_exchange(&call->state, ANSWERED) == SUSPENDED)
                MHD_resume_connection(connection);
        count_down(http, &http->unanswered);
}

void http_error(struct http_call *call, unsigned status, const char *text)
{
        char line[256];
        int len = snprintf(line, sizeof line, "{\"error\":\"%.200s\"}\n", text);
        const struct http_options *options = &call->http->options;

        if (status >= 500 && options->refused)
                options->refused(options->arg);
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

bool http_word_valid(const char *word)
{
        size_t len = strlen(word);

        for (const char *at = word; *at; at++) {
                if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
                        return false;
        }
        return len > 0 && len <= ID_MAX;
}

bool http_id_valid(const char *id)
{
        return http_word_valid(id) && !strchr(id, '/');
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

/* A zero would end the text before its end: what follows it would not be looked at. In its place comes what nothing allows. */
static size_t unescape(void *arg, struct MHD_Connection *connection, char *text)
{
        for (char *at = text; (at = strstr(at, "%00")); at += 3)
                at[2] = '1';
        return MHD_http_unescape(text);
}

static unsigned flags_of(const struct http_options *options)
{
        unsigned common = MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;

        if (options->threads)
                return common | MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
        return common | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
        unsigned threads = http->options.threads ? http->options.threads : 1;

        /*
         * A pool of one is microhttpd's single thread. Each thread has an equal part of the limit: it is never the one that
         * refuses, has_room() is.
         */
        return MHD_start_daemon(flags_of(&http->options), 0, NULL, NULL, access_handler, http,
                                MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                                connection_changed, http, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
                                MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0, MHD_OPTION_CONNECTION_LIMIT,
                                threads * 2 * CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
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

static bool serve(struct http *http)
{
        struct listener_options options = {
            .port = http->options.port, .room = has_room, .take = connection_take, .arg = http};
        int error;

        errno = 0;
        http->daemon = daemon_start(http);
        if (!http->daemon)
                return false;
        http->listener = listener_start(&options);
        if (http->listener) {
                http->port = listener_port(http->listener);
                return true;
        }
        error = errno;
        MHD_stop_daemon(http->daemon);
        errno = error;
        return false;
}

static void http_free(struct http *http)
{
        pthread_mutex_destroy(&http->lock);
        pthread_cond_destroy(&http->idle);
        free(http);
}

struct http *http_start(const struct http_options *options)
{
        struct http *http = calloc(1, sizeof *http);
        pthread_condattr_t monotonic;

        if (!http)
                return NULL;
        raise_file_limit();
        http->options = *options;
        pthread_mutex_init(&http->lock, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&http->idle, &monotonic);
        pthread_condattr_destroy(&monotonic);
        if (serve(http))
                return http;
        http_free(http);
        return NULL;
}

int http_port(const struct http *http)
{
        return http->port;
}

bool http_drain(struct http *http, int ms)
{
        pthread_mutex_lock(&http->lock);
        http->draining = true;
        pthread_mutex_unlock(&http->lock);
        listener_stop(http->listener); /* who it takes now gets its refusal */
        http->listener = NULL;
        if (!wait_for_none(http, &http->calls, ms))
                return false;
        /* Who is kept alive may have sent a request that is not here yet: it gets its refusal instead of a reset. */
        wait_for_none(http, &http->connections, ms < GRACE_MS ? ms : GRACE_MS);
        return wait_for_none(http, &http->calls, SEND_MS);
}

void http_stop(struct http *http)
{
        if (!http)
                return;
        wait_for_none(http, &http->unanswered, -1);
        wait_for_none(http, &http->calls, SEND_MS); /* who does not read it has no claim to more */
        MHD_stop_daemon(http->daemon);
        http_free(http);
}
