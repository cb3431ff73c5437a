/* SPDX-License-Identifier: MIT */
/*
 * The change feed where Redis is a cluster, a primary that sentinels watch, or speaks TLS: rows that change while slots move,
 * primaries change and connections are cut are true in every cache again; what a primary lost with its life nobody believes.
 */
#include "../integration/feed_world.h"
#include "redis_nodes.h"
#include "redis_watched.h"

#include "base/clock.h"
#include "base/random.h"
#include "redis/slot.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 24, READERS = 2, PATIENCE_S = 60 };

/* A service that follows the feed, two that read, and who writes without telling anybody. */
struct stage {
        struct world world;
        struct service leader, readers[READERS];
        atomic_bool stop;
        atomic_int reads, writes;
        pthread_t threads[READERS + 1];
        atomic_int next_reader;
        int64_t versions[ROWS];
};

static int64_t number_of(PGconn *conn, const char *text)
{
        PGresult *res = PQexec(conn, text);
        int64_t number = -1;

        if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
                fail_msg("%s: %s", text, PQerrorMessage(conn));
        if (PQntuples(res) > 0 && !PQgetisnull(res, 0, 0))
                number = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
        PQclear(res);
        return number;
}

struct load {
        struct service *service;
        int row;
};

static sp_status load(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        const struct load *load = arg;
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;
        char text[128], id[16];
        const char *version;
        sp_status status;
        size_t len;

        snprintf(id, sizeof id, "%d", load->row);
        snprintf(text, sizeof text, "SELECT version::text FROM %s WHERE id = $1", load->service->world->table);
        sp_params_add_text(params, id, strlen(id));
        status = sp_stmt_new(NULL, text, strlen(text), 0, &stmt, error);
        if (status == SP_OK)
                status = sp_pool_query(load->service->pool, NULL, stmt, params, &result, error);
        if (status == SP_OK) {
                version = sp_result_get(result, 0, 0, &len);
                *out = sp_value_new(version, len, SP_CODEC_TEXT);
        }
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
        return status;
}

/* Through the cache; -1: it failed. */
static int64_t read_row(struct service *service, int row)
{
        struct load loading = {service, row};
        sp_value *value = NULL;
        char key[SP_KEY_MAX], id[16];
        int64_t version;
        size_t len;

        snprintf(id, sizeof id, "%d", row);
        if (sp_cache_get_or_load(service->cache, NULL, key, item_key(service->world, id, key), load, &loading, &value,
                                 NULL) != SP_OK)
                return -1;
        version = strtoll(sp_value_data(value, &len), NULL, 10);
        sp_value_unref(value);
        return version;
}

static void *read_on(void *arg)
{
        struct stage *stage = arg;
        struct service *service = &stage->readers[atomic_fetch_add(&stage->next_reader, 1)];

        for (int i = 0; !atomic_load(&stage->stop); i++) {
                read_row(service, i % ROWS);
                atomic_fetch_add(&stage->reads, 1);
        }
        return NULL;
}

static void *write_on(void *arg)
{
        struct stage *stage = arg;
        PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));

        for (int i = 0; !atomic_load(&stage->stop); i++) {
                char text[128];

                snprintf(text, sizeof text, "UPDATE %s SET version = version + 1 WHERE id = '%d'", stage->world.table,
                         i * 7 % ROWS);
                number_of(conn, text);
                atomic_fetch_add(&stage->writes, 1);
                poll(NULL, 0, 1);
        }
        PQfinish(conn);
        return NULL;
}

static void open_readers(struct stage *stage)
{
        for (int i = 0; i < READERS; i++)
                service_begin(&stage->readers[i], &stage->world, NULL);
}

static void open_leader(struct stage *stage)
{
        service_begin(&stage->leader, &stage->world, NULL);
        service_lead(&stage->leader);
}

static void stage_close(struct stage *stage)
{
        for (int i = 0; i < READERS; i++)
                service_end(&stage->readers[i]);
        service_end(&stage->leader);
}

static void stage_begin(struct stage *stage, const char *tls_ca)
{
        char text[64];

        memset(stage, 0, sizeof *stage);
        world_begin(&stage->world, true, "id text PRIMARY KEY, version bigint NOT NULL DEFAULT 0");
        stage->world.tls_ca = tls_ca;
        snprintf(text, sizeof text, "INSERT INTO %%s SELECT i FROM generate_series(0, %d) i", ROWS - 1);
        world_run(&stage->world, text);
        open_readers(stage);
        open_leader(stage);
}

static void stage_end(struct stage *stage)
{
        stage_close(stage);
        world_end(&stage->world);
}

static void play(struct stage *stage)
{
        for (int i = 0; i <= READERS; i++)
                assert_int_equal(pthread_create(&stage->threads[i], NULL, i ? read_on : write_on, stage), 0);
        while (atomic_load(&stage->writes) < 10 || atomic_load(&stage->reads) < 10)
                poll(NULL, 0, 1);
}

/* Until the feed has confirmed all that was written so far. */
static void await_feed(struct stage *stage, PGconn *conn)
{
        int64_t until = sp__now() + PATIENCE_S * SP__SECOND;
        char text[256];

        number_of(conn, "SELECT 1 FROM pg_logical_emit_message(true, 'mark', '')");
        snprintf(text, sizeof text,
                 "SELECT (confirmed_flush_lsn >= '0/0'::pg_lsn + %" PRId64 ")::int FROM pg_replication_slots WHERE "
                 "slot_name = 'sugarperf_%s'",
                 number_of(conn, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"), stage->world.name);
        while (number_of(conn, text) != 1) {
                if (sp__now() > until)
                        fail_msg("the feed does not catch up");
                poll(NULL, 0, 5);
        }
}

/* No cached value is older than its row, once the feed has caught up and the bound has passed. */
static void judge(struct stage *stage)
{
        PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
        int stale = 0;

        atomic_store(&stage->stop, true);
        for (int i = 0; i <= READERS; i++)
                pthread_join(stage->threads[i], NULL);
        await_feed(stage, conn);
        poll(NULL, 0, 1100);
        for (int row = 0; row < ROWS; row++) {
                char text[128];

                snprintf(text, sizeof text, "SELECT version FROM %s WHERE id = '%d'", stage->world.table, row);
                stage->versions[row] = number_of(conn, text);
        }
        for (int row = 0; row < ROWS * READERS; row++) {
                int64_t version;

                while ((version = read_row(&stage->readers[row / ROWS], row % ROWS)) < 0)
                        poll(NULL, 0, 5);
                stale += version < stage->versions[row % ROWS];
        }
        assert_int_equal(stale, 0);
        PQfinish(conn);
}

static void test_rows_are_true_while_the_log_moves(void **state)
{
        struct stage stage;
        int home;

        setenv("REDIS_URL", nodes_url(), 1);
        stage_begin(&stage, NULL);
        home = sp__slot_of(stage.world.name, strlen(stage.world.name));
        play(&stage);
        for (int round = 0; round < 2 * PRIMARIES; round++) {
                move_slot(home, node_after(home), round % 2 ? NEXT_FIRST : FORMER_FIRST);
                poll(NULL, 0, (int)(sp__random_seed() % 50));
        }
        judge(&stage);
        stage_end(&stage);
}

static void test_rows_are_true_while_the_primary_changes(void **state)
{
        struct set set = {.password = NULL};
        struct stage stage;
        char url[160];

        watched_start(&set);
        setenv("REDIS_URL", watched_url(&set, url), 1);
        stage_begin(&stage, NULL);
        play(&stage);
        watched_switch(&set);
        judge(&stage);
        stage_end(&stage);
        watched_stop(&set);
}

/* Certificate and authority in one, for localhost. */
static void start_tls(struct redis_server *server, struct redis_server *plain, char cert[200])
{
        const char *folder = getenv("SP_TEST_SERVERS");
        char command[700], key[200], port[16];
        const char *const args[] = {"--tls-cert-file",
                                    cert,
                                    "--tls-key-file",
                                    key,
                                    "--tls-ca-cert-file",
                                    cert,
                                    "--tls-auth-clients",
                                    "no",
                                    "--port",
                                    port,
                                    NULL};

        snprintf(cert, 200, "%s/feed.crt", folder);
        snprintf(key, sizeof key, "%s/feed.key", folder);
        snprintf(command, sizeof command,
                 "openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -x509 -days 2 -subj "
                 "/CN=localhost -keyout %s -out %s 2>/dev/null",
                 key, cert);
        assert_int_equal(system(command), 0);
        plain->port = redis_free_port();
        snprintf(port, sizeof port, "%d", plain->port);
        server->tls = true;
        redis_start(server, 0, args);
}

static void test_rows_are_true_while_sealed_connections_are_cut(void **state)
{
        struct redis_server server = {0}, plain = {0};
        struct stage stage;
        char url[64], cert[200];

        start_tls(&server, &plain, cert);
        snprintf(url, sizeof url, "rediss://localhost:%d", server.port);
        setenv("REDIS_URL", url, 1);
        stage_begin(&stage, cert);
        play(&stage);
        for (int i = 0; i < 20; i++) {
                free(redis_says(&plain, i % 2 ? "CLIENT KILL TYPE normal" : "CLIENT KILL TYPE pubsub"));
                poll(NULL, 0, (int)(sp__random_seed() % 100));
        }
        judge(&stage);
        stage_end(&stage);
        redis_kill(&server);
}

static int64_t offset_of(const struct redis_server *server, const char *name)
{
        char *info = redis_says(server, "INFO replication"), *at = strstr(info, name);
        int64_t offset = at ? strtoll(at + strlen(name), NULL, 10) : -1;

        free(info);
        return offset;
}

/* The replica has what the primary has said so far. */
static void await_replica(const struct redis_server *primary, const struct redis_server *replica)
{
        int64_t offset = offset_of(primary, "master_repl_offset:");

        while (offset_of(replica, "slave_repl_offset:") < offset)
                poll(NULL, 0, 2);
}

static void number_text(int row, char out[16])
{
        snprintf(out, 16, "%d", row);
}

/* What a reader has stored in Redis the other one finds there. */
static void await_shared(struct stage *stage)
{
        bool shared = false;

        for (int i = ROWS; !shared; i++) {
                sp_lookup *lookup = NULL;
                char id[16], key[SP_KEY_MAX];
                sp_lease *lease;
                size_t len;

                number_text(i, id);
                len = item_key(&stage->world, id, key);
                assert_int_equal(sp_cache_lookup(stage->readers[0].cache, NULL, key, len, &lookup, NULL), SP_OK);
                lease = sp_lookup_take_lease(lookup);
                assert_non_null(lease);
                sp_lease_fill(lease, NULL, "x", 1, SP_CODEC_TEXT, 0, NULL);
                sp_lookup_free(lookup);
                shared = service_has(&stage->readers[1], id);
                poll(NULL, 0, 5);
        }
}

/*
 * The replica stands still while rows change: it never hears that their values are gone. Who heard of it is gone, too, and so is
 * the primary; the feed has confirmed it, and does not tell it again.
 */
static void lose_what_was_told(struct stage *stage, struct redis_server *primary, struct redis_server *replica)
{
        PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
        char id[16];

        /* Nothing begins a new epoch any more. */
        await_shared(stage);
        for (int row = 0; row < ROWS; row++) {
                number_text(row, id);
                service_put(&stage->readers[0], id, "old");
                assert_true(service_has(&stage->readers[1], id));
        }
        await_replica(primary, replica);
        redis_freeze(replica);
        /* What was sent to it would be there when it goes on. */
        free(redis_says(primary, "CLIENT KILL TYPE replica"));
        world_run(&stage->world, "UPDATE %s SET version = version + 1");
        for (int row = 0; row < ROWS; row++) {
                number_text(row, id);
                service_loses(&stage->readers[0], id);
                service_loses(&stage->readers[1], id);
        }
        await_feed(stage, conn);
        stage_close(stage);
        redis_kill(primary);
        redis_thaw(replica);
        PQfinish(conn);
}

static void nothing_comes_back(struct stage *stage)
{
        for (int i = 0; i < READERS * ROWS; i++) {
                char id[16];

                number_text(i % ROWS, id);
                assert_false(service_has(&stage->readers[i / ROWS], id));
        }
}

static void test_what_a_primary_lost_is_not_believed_of_the_next(void **state)
{
        struct set set = {.password = NULL};
        struct stage stage;
        char url[160];

        watched_start(&set);
        setenv("REDIS_URL", watched_url(&set, url), 1);
        stage_begin(&stage, NULL);
        lose_what_was_told(&stage, &set.servers[0], &set.servers[1]);
        while (watched_primary(&set) != &set.servers[1])
                poll(NULL, 0, 10);
        open_readers(&stage);
        nothing_comes_back(&stage);
        await_shared(&stage);
        nothing_comes_back(&stage);
        open_leader(&stage);
        play(&stage);
        judge(&stage);
        stage_end(&stage);
        watched_stop(&set);
}

static void test_what_a_node_lost_is_not_believed_of_the_next(void **state)
{
        struct stage stage;
        int home;

        setenv("REDIS_URL", nodes_url(), 1);
        stage_begin(&stage, NULL);
        home = sp__slot_of(stage.world.name, strlen(stage.world.name));
        if (owner_of(home) != 0)
                move_slot(home, 0, NEXT_FIRST);
        lose_what_was_told(&stage, &nodes[0], &nodes[3]);
        while (owner_of(home) != 3)
                poll(NULL, 0, 10);
        open_readers(&stage);
        nothing_comes_back(&stage);
        await_shared(&stage);
        nothing_comes_back(&stage);
        open_leader(&stage);
        play(&stage);
        judge(&stage);
        stage_end(&stage);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_rows_are_true_while_the_log_moves),
            cmocka_unit_test(test_rows_are_true_while_the_primary_changes),
            cmocka_unit_test(test_rows_are_true_while_sealed_connections_are_cut),
            cmocka_unit_test(test_what_a_primary_lost_is_not_believed_of_the_next),
            cmocka_unit_test(test_what_a_node_lost_is_not_believed_of_the_next),
        };

        return cmocka_run_group_tests_name("feed redis", tests, nodes_set_up, nodes_tear_down);
}
