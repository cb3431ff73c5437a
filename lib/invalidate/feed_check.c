/* SPDX-License-Identifier: MIT */
/* What a server lacks to be read from, and what would mend it. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 512 };

/* One round of looking. */
struct look {
        sp_pool *pool;
        sp_ctx *ctx;
        const struct sp__feed_finder *finder;
        sp_error **error;
};

__attribute__((format(printf, 3, 4))) static void found(const struct look *look, bool fatal, const char *format, ...)
{
        char line[LINE_MAX_LEN];
        va_list args;

        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        look->finder->found(look->finder->arg, fatal, line);
}

static sp_status ask(const struct look *look, const char *name, const char *text, const sp_params *params,
                     sp_result **out)
{
        return sp__feed_query(look->pool, look->ctx, name, text, params, out, look->error);
}

static bool yes(const sp_result *result, size_t row, size_t column)
{
        return *sp__feed_cell(result, row, column) == 't';
}

static sp_status look_at_server(const struct look *look)
{
        static const char text[] = "SELECT current_setting('wal_level'), "
                                   "(SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), "
                                   "current_user::text, current_setting('max_wal_senders')::int > 0, "
                                   "current_setting('max_replication_slots')::int > 0, pg_is_in_recovery(), "
                                   "coalesce(current_setting('max_slot_wal_keep_size', true), '-1'), "
                                   "(SELECT count(*) FROM pg_replication_slots) >= "
                                   "current_setting('max_replication_slots')::int";
        sp_result *result = NULL;
        sp_status status = ask(look, "sugarperf.feed.server", text, NULL, &result);

        if (status != SP_OK)
                return status;
        if (strcmp(sp__feed_cell(result, 0, 0), "logical") != 0)
                found(look, true, "wal_level is \"%s\": ALTER SYSTEM SET wal_level = 'logical' and restart PostgreSQL",
                      sp__feed_cell(result, 0, 0));
        if (!yes(result, 0, 1))
                found(look, true, "the role \"%s\" may not replicate: ALTER ROLE \"%s\" REPLICATION",
                      sp__feed_cell(result, 0, 2), sp__feed_cell(result, 0, 2));
        if (!yes(result, 0, 3))
                found(look, true, "max_wal_senders is 0: ALTER SYSTEM SET max_wal_senders = 10 and restart PostgreSQL");
        if (!yes(result, 0, 4))
                found(look, true,
                      "max_replication_slots is 0: ALTER SYSTEM SET max_replication_slots = 10 and restart PostgreSQL");
        else if (yes(result, 0, 7))
                found(look, false,
                      "all replication slots are taken, so that a feed which has none yet gets none: drop one that "
                      "nobody reads (pg_replication_slots), or raise max_replication_slots and restart PostgreSQL");
        if (yes(result, 0, 5))
                found(look, true,
                      "the server is a standby: connect the pool to the primary (pool.target_session_attrs)");
        if (strcmp(sp__feed_cell(result, 0, 6), "-1") == 0)
                found(
                    look, false,
                    "max_slot_wal_keep_size is unlimited: while nobody reads, the log fills the disk: ALTER SYSTEM SET "
                    "max_slot_wal_keep_size = '10GB' and SELECT pg_reload_conf()");
        sp_result_free(result);
        return SP_OK;
}

/* A table's columns, and whether they are in its replica identity. */
static const char columns_text[] =
    "SELECT c.relkind, c.relpersistence, c.relreplident, a.attname, c.relreplident = 'f' OR EXISTS (SELECT 1 FROM "
    "pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey) AND CASE c.relreplident WHEN 'd' THEN "
    "i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND "
    "a.attnum > 0 AND NOT a.attisdropped WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

struct seen {
        const struct sp__ruled *table;
        const struct sp__told *told; /* the table, or one that inherits from it */
        const sp_result *columns;
        bool full;
};

/* -1: there is none. */
static int row_of(const struct seen *seen, const char *column)
{
        for (size_t i = 0; i < sp_result_rows(seen->columns); i++) {
                if (strcmp(sp__feed_cell(seen->columns, i, 3), column) == 0)
                        return (int)i;
        }
        return -1;
}

static void look_at_names(const struct look *look, const struct seen *seen, const struct sp__rule *rule,
                          const uint8_t columns[], size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const char *name = seen->table->columns[columns[i]];

                if (row_of(seen, name) < 0)
                        found(look, true,
                              "%s:%u: table \"%s\".\"%s\" has no column \"%s\": correct the rule (names are written as "
                              "in the catalogue, in upper and lower case)",
                              rule->source, rule->line, seen->told->schema, seen->told->name, name);
        }
}

static void look_at_columns(const struct look *look, const struct seen *seen)
{
        for (size_t i = 0; i < seen->table->rule_count; i++) {
                const struct sp__rule *rule = seen->table->rules[i];

                look_at_names(look, seen, rule, rule->named, rule->named_count);
                look_at_names(look, seen, rule, rule->when, rule->when_count);
        }
}

/* A column outside of the identity: of an old row it is not known. */
static void look_at_use(const struct look *look, const struct seen *seen, const struct sp__rule *rule, size_t column)
{
        const char *name = seen->table->columns[column];
        int row = row_of(seen, name);

        if (row >= 0 && !yes(seen->columns, (size_t)row, 4))
                found(look, true,
                      "%s:%u needs \"%s\" of rows that were changed or deleted, and the replica identity of "
                      "\"%s\".\"%s\" does "
                      "not have it: ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY FULL",
                      rule->source, rule->line, name, seen->told->schema, seen->told->name, seen->told->schema,
                      seen->told->name);
}

static void look_at_goals(const struct look *look, const struct seen *seen, const struct sp__rule *rule)
{
        for (size_t i = 0; i < rule->goal_count; i++) {
                const struct sp__goal *goal = &rule->goals[i];

                for (size_t k = 0; k < goal->count; k++) {
                        if (goal->kind != SP__AIM_TAG)
                                look_at_use(look, seen, rule, goal->columns[k]);
                        else if (goal->pieces[k].column >= 0)
                                look_at_use(look, seen, rule, (size_t)goal->pieces[k].column);
                }
        }
}

static void look_at_rules(const struct look *look, const struct seen *seen)
{
        const struct sp__ruled *table = seen->table;
        unsigned old = SP__EVENT(SP_ROW_UPDATE) | SP__EVENT(SP_ROW_DELETE);

        for (size_t i = 0; i < table->rule_count; i++) {
                const struct sp__rule *rule = table->rules[i];

                if (rule->events & old && !seen->full)
                        look_at_goals(look, seen, rule);
                if (rule->when_count > 0 && rule->events & SP__EVENT(SP_ROW_UPDATE) && !seen->full)
                        found(look, false,
                              "%s:%u: which columns of \"%s\".\"%s\" an update changed the server does not tell, so "
                              "that each "
                              "update counts: ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY FULL",
                              rule->source, rule->line, seen->told->schema, seen->told->name, seen->told->schema,
                              seen->told->name);
        }
}

/* Published without an identity, its updates and deletes would be refused from then on. */
static void look_at_identity(const struct look *look, const struct seen *seen)
{
        for (size_t i = 0; i < sp_result_rows(seen->columns); i++) {
                if (yes(seen->columns, i, 4))
                        return;
        }
        found(look, true,
              "table \"%s\".\"%s\" has no replica identity, without which PostgreSQL refuses updates and deletes of a "
              "published "
              "table: give it a primary key, or ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY FULL",
              seen->told->schema, seen->told->name, seen->told->schema, seen->told->name);
}

/* Of a partitioned table the partition that tells least, if that is less than the table's own identity does. */
static const char partitions_text[] =
    "WITH RECURSIVE part (root, oid) AS (SELECT c.relreplident, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'p' UNION ALL SELECT p.root, i.inhrelid "
    "FROM part p JOIN pg_inherits i ON i.inhparent = p.oid) SELECT n.nspname::text, c.relname::text, k.any_key FROM "
    "part p JOIN pg_class c ON c.oid = p.oid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace, "
    "LATERAL (SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN "
    "i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS any_key) k WHERE c.relreplident <> 'f' AND "
    "(p.root = 'f' OR NOT k.any_key) ORDER BY k.any_key LIMIT 1";

/* No more than advice: each new one begins so, and of tables that are only added to nothing is lost. */
static sp_status look_at_partitions(const struct look *look, const sp_params *name)
{
        sp_result *least = NULL;
        sp_status status = ask(look, "sugarperf.feed.partitions", partitions_text, name, &least);

        if (status == SP_OK && sp_result_rows(least) > 0)
                found(look, false, "partition \"%s\".\"%s\" has %s: ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY FULL",
                      sp__feed_cell(least, 0, 0), sp__feed_cell(least, 0, 1),
                      yes(least, 0, 2) ? "not the replica identity of its table, so that its updates reach more"
                                       : "no replica identity (its table's is not its own), without which PostgreSQL "
                                         "refuses its updates and deletes once it is published",
                      sp__feed_cell(least, 0, 0), sp__feed_cell(least, 0, 1));
        sp_result_free(least);
        return status;
}

static sp_status look_at_table(const struct look *look, const struct sp__told *table, sp_params *params)
{
        struct seen seen = {.table = table->table, .told = table};
        sp_result *result = NULL;
        sp_status status;

        sp_params_clear(params);
        status = sp_params_add_text(params, table->schema, strlen(table->schema));
        if (status == SP_OK)
                status = sp_params_add_text(params, table->name, strlen(table->name));
        if (status == SP_OK)
                status = ask(look, "sugarperf.feed.table", columns_text, params, &result);
        if (status != SP_OK)
                return status;
        seen.columns = result;
        seen.full = sp_result_rows(result) > 0 && *sp__feed_cell(result, 0, 2) == 'f';
        if (sp_result_rows(result) == 0) {
                found(look, true, "%s:%u: there is no table \"%s\".\"%s\": create it, or correct the rule",
                      table->table->rules[0]->source, table->table->rules[0]->line, table->schema, table->name);
        } else if (*sp__feed_cell(result, 0, 1) != 'p') {
                found(look, true,
                      "table \"%s\".\"%s\" is unlogged or temporary, so that the server's log has nothing of it: ALTER "
                      "TABLE "
                      "\"%s\".\"%s\" SET LOGGED, or invalidate by sp_invalidate_row()",
                      table->schema, table->name, table->schema, table->name);
        } else {
                look_at_columns(look, &seen);
                look_at_identity(look, &seen);
                look_at_rules(look, &seen);
                status = look_at_partitions(look, params);
        }
        sp_result_free(result);
        return status;
}

sp_status sp__feed_look(sp_pool *pool, const sp_rules *rules, sp_ctx *ctx, const struct sp__feed_finder *finder,
                        sp_error **error)
{
        sp_ctx *primary = sp_ctx_new(ctx);
        struct look look = {pool, primary, finder, error};
        sp_params *params = sp_params_new();
        struct sp__feed_shape shape = {0};
        struct sp__told table;
        sp_status status = primary && params ? sp_ctx_set(primary, "reads", "primary", error)
                                             : sp__fail(error, SP_NOMEM, "out of memory");

        if (status == SP_OK)
                status = look_at_server(&look);
        if (status == SP_OK)
                status = sp__feed_shape_look(pool, primary, rules, "", &shape, error);
        for (size_t at = 0; status == SP_OK && sp__feed_shape_told(&shape, rules, &at, &table);) {
                if (finder->goes_on)
                        status = finder->goes_on(finder->arg, error);
                if (status == SP_OK)
                        status = look_at_table(&look, &table, params);
        }
        sp__feed_shape_free(&shape);
        sp_params_free(params);
        sp_ctx_unref(primary);
        return status;
}

struct lists {
        struct sp__buf lacks, advice;
};

static void note(void *arg, bool fatal, const char *text)
{
        struct lists *lists = arg;
        struct sp__buf *to = fatal ? &lists->lacks : &lists->advice;

        if (to->len > 0)
                sp__buf_char(to, ',');
        sp__buf_json(to, text, strlen(text));
}

sp_status sp_feed_check(sp_pool *pool, const sp_rules *rules, sp_ctx *ctx, sp_value **out, sp_error **error)
{
        struct lists lists = {SP__BUF_INIT, SP__BUF_INIT};
        struct sp__feed_finder finder = {.found = note, .arg = &lists};
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;
        sp_status status;

        SP__NEED(pool, error);
        SP__NEED(rules, error);
        SP__NEED(out, error);
        status = sp__feed_look(pool, rules, ctx, &finder, error);
        if (status == SP_OK) {
                sp__buf_format(&text, "{\"ready\":%s,\"lacks\":[", lists.lacks.len ? "false" : "true");
                sp__buf_add(&text, lists.lacks.data, lists.lacks.len);
                sp__buf_text(&text, "],\"advice\":[");
                sp__buf_add(&text, lists.advice.data, lists.advice.len);
                sp__buf_text(&text, "]}");
                if (!text.failed && !lists.lacks.failed && !lists.advice.failed)
                        value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
                status = value ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
        }
        sp__buf_free(&text);
        sp__buf_free(&lists.lacks);
        sp__buf_free(&lists.advice);
        if (status == SP_OK)
                *out = value;
        return status;
}
