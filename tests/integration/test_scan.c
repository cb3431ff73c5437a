/* SPDX-License-Identifier: MIT */
/* Foreign keys are scanned for in pieces; who watches hears of invalidations. */
#include "desk.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void command(redisContext *redis, const char *format, const char *a, int b)
{
        redisReply *reply = redisCommand(redis, format, a, b);

        assert_non_null(reply);
        freeReplyObject(reply);
}

static redisContext *connect_redis(void)
{
        const char *at = strstr(getenv("REDIS_URL"), "127.0.0.1:");
        redisContext *redis = redisConnect("127.0.0.1", atoi(at + 10));

        assert_true(redis && !redis->err);
        return redis;
}

static sp_status scan(struct desk *desk, sp_ctx *ctx, sp_scan *scan, sp_error **error)
{
        sp_completion *done = NULL;
        sp_queue *queue;
        sp_status status;

        if (desk->way->invalidate == sp_cache_invalidate)
                return sp_cache_scan(desk->cache, ctx, scan, error);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        status = sp_cache_scan_async(desk->cache, ctx, scan, queue, 7);
        if (status == SP_OK) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
                status = completion_outcome(done, error);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        return status;
}

static void test_foreign_keys_are_scanned_for(void **state)
{
        enum { FOREIGN = 3000 };
        struct desk desk;
        char pattern[TEXT_MAX];
        sp_error *error = NULL;
        sp_scan *all, *own;

        desk_begin(&desk, state);
        snprintf(pattern, sizeof pattern, "x%s:*", desk.name);
        assert_int_equal(sp_scan_new(pattern, &all, NULL), SP_OK);
        if (!desk.way->redis) {
                assert_int_equal(scan(&desk, NULL, all, &error), SP_UNSUPPORTED);
                says(error, "redis.url", NULL);
        } else {
                redisContext *redis = connect_redis();

                desk_put(&desk, "1");
                for (int i = 0; i < FOREIGN; i++)
                        command(redis, "SET x%s:%d v", desk.name, i);
                command(redis, "SET y%s:%d v", desk.name, 0);
                assert_int_equal(scan(&desk, NULL, all, NULL), SP_OK);
                assert_int_equal(sp_scan_removed(all), FOREIGN);
                assert_int_equal(sp_scan_visited(all), FOREIGN);
                assert_true(desk_has(&desk, "1"));
                {
                        redisReply *reply = redisCommand(redis, "EXISTS y%s:0 x%s:17", desk.name, desk.name);

                        assert_int_equal(reply->integer, 1);
                        freeReplyObject(reply);
                }
                snprintf(pattern, sizeof pattern, "%s:item:*", desk.name);
                assert_int_equal(sp_scan_new(pattern, &own, NULL), SP_OK);
                assert_int_equal(scan(&desk, NULL, own, &error), SP_INVALID);
                says(error, "invalidate a declared pattern", NULL);
                sp_scan_unref(own);
                redisFree(redis);
        }
        sp_scan_unref(all);
        assert_int_equal(sp_scan_new("", &all, NULL), SP_INVALID);
        desk_end(&desk);
}

static size_t count_keys(redisContext *redis, const char *pattern)
{
        redisReply *reply = redisCommand(redis, "KEYS %s", pattern);
        size_t count;

        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        count = reply->elements;
        freeReplyObject(reply);
        return count;
}

/* Not "*": other tests use the same server. */
static void test_a_scan_leaves_the_cache_s_own_keys(void **state)
{
        struct desk desk;
        char pattern[TEXT_MAX];
        sp_scan *all;

        desk_begin(&desk, state);
        snprintf(pattern, sizeof pattern, "*%s*", desk.name);
        assert_int_equal(sp_scan_new(pattern, &all, NULL), SP_OK);
        if (desk.way->redis) {
                redisContext *redis = connect_redis();
                size_t own;

                desk_put(&desk, "1");
                desk_tell(&desk, desk_row("items", SP_ROW_UPDATE, "2"), NULL);
                own = count_keys(redis, pattern);
                assert_true(own >= 2); /* an entry, the log */
                command(redis, "SET x%s:%d v", desk.name, 1);
                command(redis, "SET {%sx}:%d v", desk.name, 1);
                command(redis, "SET %sx:%d v", desk.name, 1);
                assert_int_equal(scan(&desk, NULL, all, NULL), SP_OK);
                assert_int_equal(sp_scan_removed(all), 3);
                assert_int_equal(count_keys(redis, pattern), own);
                assert_true(desk_has(&desk, "1"));
                redisFree(redis);
        }
        sp_scan_unref(all);
        desk_end(&desk);
}

static void test_a_scan_ends_with_its_context(void **state)
{
        struct desk desk;
        sp_ctx *ctx = ctx_of("0");
        sp_error *error = NULL;
        sp_scan *all;
        char pattern[TEXT_MAX];

        desk_begin(&desk, state);
        snprintf(pattern, sizeof pattern, "z%s*", desk.name);
        assert_int_equal(sp_scan_new(pattern, &all, NULL), SP_OK);
        if (desk.way->redis) {
                redisContext *redis = connect_redis();

                for (int i = 0; i < 5000; i++)
                        command(redis, "SET z%s:%d v", desk.name, i);
                assert_int_equal(scan(&desk, ctx, all, &error), SP_TIMEOUT);
                says(error, "of them removed", NULL);
                assert_true(sp_scan_removed(all) < 5000);
                sp_ctx_cancel(ctx);
                assert_int_equal(scan(&desk, ctx, all, NULL), SP_CANCELLED);
                assert_int_equal(scan(&desk, NULL, all, NULL), SP_OK);
                assert_int_equal(sp_scan_removed(all), 5000);
                redisFree(redis);
        }
        sp_scan_unref(all);
        sp_ctx_unref(ctx);
        desk_end(&desk);
}

/* The next event that is about `text`. */
static void expect_event(sp_cache *cache, sp_queue *queue, uint64_t *seen, const char *text, const char *also)
{
        for (;;) {
                sp_completion *done = NULL;
                const char *json;
                size_t len;
                bool found;

                assert_int_equal(sp_cache_watch(cache, NULL, *seen, queue, 9), SP_OK);
                assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                json = sp_value_data(sp_completion_value(done), &len);
                *seen = strtoull(json + strlen("{\"event\":"), NULL, 10);
                found = strstr(json, text) != NULL;
                if (found && !strstr(json, also))
                        fail_msg("%s does not say %s", json, also);
                sp_completion_free(done);
                if (found)
                        return;
        }
}

static void test_who_watches_hears_what_and_why(void **state)
{
        struct desk desk;
        sp_cache *other;
        sp_queue *queue;
        uint64_t seen = 0, far = 0;
        char text[TEXT_MAX];
        sp_completion *done = NULL;

        desk_begin(&desk, state);
        other = desk_another_cache(&desk);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        /* From the first watch on. */
        assert_int_equal(sp_cache_watch(desk.cache, NULL, 0, queue, 9), SP_OK);
        desk_tell(&desk, desk_row("items", SP_ROW_UPDATE, "\"1\""), NULL);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
        snprintf(text, sizeof text, "\"type\":\"cache.invalidated\",\"why\":\"row\",\"about\":\"public.items\"");
        assert_non_null(strstr(sp_value_data(sp_completion_value(done), &(size_t){0}), text));
        sp_completion_free(done);
        desk_tell(&desk, desk_row("lists", SP_ROW_DELETE, NULL), NULL);
        snprintf(text, sizeof text, "{\"kind\":\"pattern\",\"text\":\"%s:item:*\"}", desk.name);
        expect_event(desk.cache, queue, &seen, text, "\"more\":0,\"here\":true");
        if (desk.way->redis) {
                sp_queue *others;

                assert_int_equal(sp_queue_new(0, &others), SP_OK);
                assert_int_equal(sp_cache_watch(other, NULL, 0, others, 9), SP_OK);
                /* Until it listens. */
                for (int i = 0; sp_queue_pending(others) == 1 && i < 2000; i++) {
                        desk_tell(&desk, desk_row("items", SP_ROW_UPDATE, "2"), NULL);
                        if (sp_queue_wait(others, &done, 1, 10) == 1)
                                break;
                }
                assert_non_null(strstr(sp_value_data(sp_completion_value(done), &(size_t){0}), "\"here\":false"));
                sp_completion_free(done);
                desk_tell(&desk, desk_row("items", SP_ROW_UPDATE, "3"), NULL);
                snprintf(text, sizeof text, "%s:item:3:full", desk.name);
                expect_event(other, others, &far, text, "\"why\":\"row\"");
                sp_queue_free(others);
        }
        sp_queue_free(queue);
        sp_cache_free(other);
        desk_end(&desk);
}

static void test_watches_end_with_the_cache(void **state)
{
        struct desk desk;
        sp_completion *done = NULL;
        sp_queue *queue;

        desk_begin(&desk, state);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_cache_watch(desk.cache, NULL, 0, queue, 9), SP_OK);
        desk_end(&desk);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            ALL_WAYS(test_foreign_keys_are_scanned_for), ALL_WAYS(test_a_scan_leaves_the_cache_s_own_keys),
            ALL_WAYS(test_a_scan_ends_with_its_context), ALL_WAYS(test_who_watches_hears_what_and_why),
            ALL_WAYS(test_watches_end_with_the_cache),
        };

        return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
