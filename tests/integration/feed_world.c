/* SPDX-License-Identifier: MIT */
#include "feed_world.h"

#include "base/clock.h"
#include "base/random.h"
#include "invalidate/feed.h"
#include "key/escape.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_MAX = WORLD_TEXT_MAX, PATIENCE_S = 20, STEP_MS = 2, LOOK_MS = 20 };

static void sleep_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static void run_sql(const char *text, bool must)
{
        PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
        PGresult *res;

        PQclear(PQexec(conn, "SET client_min_messages TO error"));
        res = PQexec(conn, text);
        if (must && PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
                fail_msg("%s: %s", text, PQerrorMessage(conn));
        PQclear(res);
        PQfinish(conn);
}

void world_text(const struct world *world, const char *format, char *out)
{
        char *at = out;

        for (; *format; format++) {
                if (strncmp(format, "%s", 2) == 0) {
                        at += sprintf(at, "%s", world->table);
                        format++;
                } else if (strncmp(format, "%n", 2) == 0) {
                        at += sprintf(at, "%s", world->name);
                        format++;
                } else {
                        *at++ = *format;
                }
        }
        *at = 0;
}

void world_run(const struct world *world, const char *format)
{
        char text[TEXT_MAX];

        world_text(world, format, text);
        run_sql(text, true);
}

void world_begin(struct world *world, bool redis, const char *columns)
{
        char text[TEXT_MAX];

        snprintf(world->name, NAMES_MAX, "w%016llx", (unsigned long long)sp__random_seed());
        snprintf(world->table, NAMES_MAX, "%.40s_rows", world->name);
        world->redis = redis;
        world->tls_ca = NULL;
        snprintf(text, sizeof text, "CREATE TABLE %s (%s)", world->table,
                 columns ? columns : "id text PRIMARY KEY, title text, views int DEFAULT 0");
        run_sql(text, true);
}

void world_end(struct world *world)
{
        char text[TEXT_MAX];

        snprintf(
            text, sizeof text,
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'sugarperf_%s' AND "
            "active_pid IS NOT NULL",
            world->name);
        run_sql(text, false);
        snprintf(text, sizeof text,
                 "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = "
                 "'sugarperf_%s'",
                 world->name);
        for (int i = 0; i < 20; i++) {
                run_sql(text, false);
                sleep_ms(5);
        }
        snprintf(text, sizeof text, "DROP PUBLICATION IF EXISTS sugarperf_%s; DROP TABLE IF EXISTS %s CASCADE",
                 world->name, world->table);
        run_sql(text, false);
}

static void declare_template(struct service *service, const char *shape, const char *pattern)
{
        char text[TEXT_MAX];
        sp_template *tmpl;

        snprintf(text, sizeof text, "%s:%s", service->world->name, shape);
        assert_int_equal(sp_template_new(text, NULL, &tmpl, NULL), SP_OK);
        snprintf(text, sizeof text, "%s:%s", service->world->name, pattern);
        assert_int_equal(sp_template_pattern(tmpl, text, NULL), SP_OK);
        assert_int_equal(sp_cache_declare(service->cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
}

/* "TABLE" and "NAME" in the rules are the world's. */
static void add_rules(struct service *service, const char *rules)
{
        char text[TEXT_MAX], *at = text;
        sp_error *error = NULL;

        while (*rules) {
                if (strncmp(rules, "TABLE", 5) == 0) {
                        at += sprintf(at, "%s", service->world->table);
                        rules += 5;
                } else if (strncmp(rules, "NAME", 4) == 0) {
                        at += sprintf(at, "%s", service->world->name);
                        rules += 4;
                } else {
                        *at++ = *rules++;
                }
        }
        if (sp_rules_add(service->rules, "test", text, (size_t)(at - text), &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
}

static void set(struct service *service, const char *name, const char *value)
{
        assert_int_equal(sp_config_set(service->config, name, value, NULL), SP_OK);
}

void service_begin(struct service *service, struct world *world, const char *rules)
{
        sp_error *error = NULL;

        *service = (struct service){.world = world, .config = sp_config_new()};
        set(service, "pool.url", getenv("DATABASE_URL"));
        set(service, "pool.min", "0");
        /* A busy machine may take longer than the defaults. */
        set(service, "pool.connect_timeout", "20s");
        set(service, "pool.acquire_timeout", "20s");
        set(service, "cache.namespace", world->name);
        set(service, "feed.lease", "500ms");
        if (world->redis)
                set(service, "redis.url", getenv("REDIS_URL"));
        if (world->tls_ca)
                set(service, "redis.tls_ca", world->tls_ca);
        assert_int_equal(sp_pool_new(service->config, NULL, &service->pool, NULL), SP_OK);
        if (sp_cache_new(service->config, &service->cache, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        declare_template(service, "item:{id}:full", "item:*");
        declare_template(service, "list:{id}", "list:*");
        assert_int_equal(sp_rules_new(service->cache, &service->rules, NULL), SP_OK);
        add_rules(service, rules ? rules : "TABLE(id) -> NAME:item:{id}:full");
}

void service_end(struct service *service)
{
        sp_feed_free(service->feed);
        sp_rules_unref(service->rules);
        sp_cache_free(service->cache);
        sp_pool_free(service->pool);
        sp_config_free(service->config);
}

static bool reports(struct service *service, const char *text, bool must)
{
        sp_value *value = NULL;
        size_t len;
        bool there;

        assert_int_equal(sp_feed_report(service->feed, &value), SP_OK);
        there = strstr(sp_value_data(value, &len), text) != NULL;
        if (!there && must)
                fail_msg("%s has no %s", (const char *)sp_value_data(value, &len), text);
        sp_value_unref(value);
        return there;
}

bool service_reports(struct service *service, const char *text)
{
        return reports(service, text, false);
}

void service_awaits(struct service *service, const char *text)
{
        int64_t until = sp__now() + PATIENCE_S * SP__SECOND;

        while (!reports(service, text, sp__now() > until))
                sleep_ms(STEP_MS);
}

void service_follow(struct service *service)
{
        sp_error *error = NULL;

        if (sp_feed_new(service->config, service->pool, service->rules, &service->feed, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        atomic_store(&service->feed->look_every, LOOK_MS * SP__MS);
}

void service_lead(struct service *service)
{
        service_follow(service);
        service_awaits(service, "\"leading\"");
        /* Else a transaction of whomever on this server lets the namespace be reset once more, at any time. */
        service_awaits(service, "\"unseen\":0");
}

void service_leave(struct service *service)
{
        sp_feed_free(service->feed);
        service->feed = NULL;
}

size_t item_key(const struct world *world, const char *id, char *out)
{
        char part[SP__PART_MAX * 3 + 1] = "";
        char *end = sp__part_write(part, part + sizeof part - 1, id, strlen(id), false);

        assert_non_null(end);
        return (size_t)sprintf(out, "%s:item:%.*s:full", world->name, (int)(end - part), part);
}

void service_put(struct service *service, const char *id, const char *text)
{
        char key[SP_KEY_MAX];
        sp_lookup *lookup = NULL;
        sp_lease *lease;

        assert_int_equal(sp_cache_lookup(service->cache, NULL, key, item_key(service->world, id, key), &lookup, NULL),
                         SP_OK);
        lease = sp_lookup_take_lease(lookup);
        assert_non_null(lease);
        sp_lookup_free(lookup);
        assert_int_equal(sp_lease_fill(lease, NULL, text, strlen(text), SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_true(service_has(service, id));
}

/* Both levels. */
bool service_has(struct service *service, const char *id)
{
        char key[SP_KEY_MAX];
        sp_lookup *lookup = NULL;
        bool there;

        assert_int_equal(sp_cache_lookup(service->cache, NULL, key, item_key(service->world, id, key), &lookup, NULL),
                         SP_OK);
        there = sp_lookup_state(lookup) == SP_LOOKUP_HIT;
        sp_lookup_free(lookup);
        return there;
}

void service_loses(struct service *service, const char *id)
{
        int64_t until = sp__now() + PATIENCE_S * SP__SECOND;

        while (service_has(service, id)) {
                if (sp__now() > until)
                        fail_msg("\"%s\" is still there", id);
                sleep_ms(STEP_MS);
        }
}

void scene_begin(struct scene *scene, const char *columns, const char *rules)
{
        world_begin(&scene->world, true, columns);
        service_begin(&scene->reader, &scene->world, rules);
        service_begin(&scene->other, &scene->world, NULL);
}

void scene_end(struct scene *scene)
{
        service_end(&scene->other);
        service_end(&scene->reader);
        world_end(&scene->world);
}
