/* SPDX-License-Identifier: MIT */
#include <sugarperf/exporter.h>

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS       "127.0.0.1:9464"
#define PLAIN         "text/plain; version=0.0.4; charset=utf-8"
#define OPEN          "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define HOST_MAX      64
#define BACKLOG       16
#define CONNECTIONS   64
#define IDLE_SECONDS  10
#define THREADS       2
#define REQUEST_BYTES 16384

struct sp_exporter {
        sp_client *client;
        struct MHD_Daemon *daemon;
        int port;
        pid_t pid;
};

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *type, const void *data,
                                 size_t len)
{
        struct MHD_Response *response =
            MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result result;

        if (!response)
                return MHD_NO;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result send_line(struct MHD_Connection *connection, unsigned status, const char *line)
{
        return send_text(connection, status, "text/plain; charset=utf-8", line, strlen(line));
}

/* Takes the value; NULL: there is none. */
static enum MHD_Result send_value(struct MHD_Connection *connection, unsigned status, const char *type, sp_value *value)
{
        enum MHD_Result result;
        const void *data;
        size_t len;

        if (!value)
                return send_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
        data = sp_value_data(value, &len);
        result = send_text(connection, status, type, data, len);
        sp_value_unref(value);
        return result;
}

static enum MHD_Result send_metrics(struct MHD_Connection *connection, sp_client *client)
{
        const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
        bool open = accept && strstr(accept, "application/openmetrics-text");
        sp_value *text = NULL;

        sp_metrics_text(sp_client_metrics(client), open ? SP_METRICS_OPENMETRICS : SP_METRICS_PROMETHEUS, &text);
        return send_value(connection, MHD_HTTP_OK, open ? OPEN : PLAIN, text);
}

static enum MHD_Result send_health(struct MHD_Connection *connection, sp_client *client)
{
        static const char unhealthy[] = "{\"status\":\"unhealthy\"";
        sp_value *health = NULL;
        size_t len;
        bool ill;

        sp_client_health(client, NULL, &health);
        ill = health && strncmp(sp_value_data(health, &len), unhealthy, strlen(unhealthy)) == 0;
        return send_value(connection, ill ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, "application/json", health);
}

/* Called for the head of a request, for each part of its body, and at its end, which is when it is answered. */
static enum MHD_Result serve(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *body, size_t *len, void **state)
{
        static char begun;
        const sp_exporter *exporter = arg;

        if (!*state || *len) {
                *state = &begun;
                *len = 0;
                return MHD_YES;
        }
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return send_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        if (strcmp(path, "/metrics") == 0)
                return send_metrics(connection, exporter->client);
        if (strcmp(path, "/health") == 0)
                return send_health(connection, exporter->client);
        return send_line(connection, MHD_HTTP_NOT_FOUND, "/metrics and /health are here\n");
}

/* getaddrinfo() takes larger ones, and cuts them. */
static bool is_port(const char *text)
{
        char *end;
        long port = strtol(text, &end, 10);

        return *text >= '0' && *text <= '9' && !*end && port <= 65535;
}

/* "127.0.0.1:9464", "[::1]:9464". */
static struct addrinfo *resolve(const char *address)
{
        const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
        const char *colon = strrchr(address, ':');
        size_t len = colon ? (size_t)(colon - address) : 0;
        struct addrinfo *found = NULL;
        char host[HOST_MAX];

        if (len > 2 && *address == '[' && address[len - 1] == ']') {
                address++;
                len -= 2;
        } else if (memchr(address, ':', len)) {
                return NULL;
        }
        if (len == 0 || len >= sizeof host || !is_port(colon + 1))
                return NULL;
        memcpy(host, address, len);
        host[len] = 0;
        return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

/* -1 and errno. */
static int listen_at(const struct addrinfo *at)
{
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why, on = 1;

        if (fd < 0)
                return -1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
            bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
                return fd;
        why = errno;
        close(fd);
        errno = why;
        return -1;
}

static int port_of(int fd)
{
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        char port[NI_MAXSERV] = "0";

        if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
                getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof port, NI_NUMERICSERV);
        return atoi(port);
}

/* The program's signal handlers run on its own threads. Takes the descriptor. */
static struct MHD_Daemon *start(sp_exporter *exporter, int fd)
{
        struct MHD_Daemon *daemon;
        sigset_t all, before;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, serve, exporter,
                                  MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
                                  MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                  (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
                                  MHD_OPTION_END);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (!daemon)
                close(fd);
        return daemon;
}

sp_status sp_exporter_new(sp_client *client, const char *address, sp_exporter **out)
{
        struct addrinfo *at;
        sp_exporter *exporter;
        int fd;

        if (!client || !out || !(at = resolve(address ? address : ADDRESS)))
                return SP_INVALID;
        fd = listen_at(at);
        freeaddrinfo(at);
        if (fd < 0)
                return SP_UNAVAILABLE;
        exporter = calloc(1, sizeof *exporter);
        if (!exporter) {
                close(fd);
                return SP_NOMEM;
        }
        *exporter = (sp_exporter){.client = client, .port = port_of(fd), .pid = getpid()};
        exporter->daemon = start(exporter, fd);
        if (!exporter->daemon) {
                free(exporter);
                return SP_NOMEM;
        }
        *out = exporter;
        return SP_OK;
}

int sp_exporter_port(const sp_exporter *exporter)
{
        return exporter ? exporter->port : 0;
}

void sp_exporter_free(sp_exporter *exporter)
{
        /* In a child its threads are not there to be waited for. */
        if (!exporter || exporter->pid != getpid())
                return;
        MHD_stop_daemon(exporter->daemon);
        free(exporter);
}
