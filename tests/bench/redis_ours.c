/* SPDX-License-Identifier: MIT */
/*
 * The library's cache without its in-process level: each lookup is a hit in Redis. `--mode fill` stores the keys; `async` is
 * one thread with `--callers` lookups in flight. `command` and `command-async` are the same with a GET as a raw command.
 */
#include "driver_client.h"
#include "driver_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

struct target {
        sp_cache *cache;
        sp_redis *redis;
        bool raw;
};

static void check_hit(sp_lookup *found, uint32_t item)
{
        size_t len;

        if (sp_lookup_state(found) != SP_LOOKUP_HIT)
                driver_die("item %u is not in Redis: --mode fill", (unsigned)item);
        sp_value_data(sp_lookup_value(found), &len);
        if (len == 0)
                driver_die("item %u is empty", (unsigned)item);
        sp_lookup_free(found);
}

static void lookup(void *state, uint32_t item)
{
        const struct target *target = state;
        sp_lookup *found = NULL;
        sp_error *error = NULL;
        char key[64];
        size_t len = driver_key(key, sizeof key, item);

        driver_check("sp_cache_lookup", sp_cache_lookup(target->cache, NULL, key, len, &found, &error), error);
        check_hit(found, item);
}

static void check_reply(sp_reply *reply)
{
        size_t len = 0;

        if (!sp_reply_data(reply, &len) || len == 0)
                driver_die("a key is not in Redis: --mode fill");
        sp_reply_free(reply);
}

static void put_words(sp_params *words, uint32_t item)
{
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof key, "sp:bench:item:%u", (unsigned)item);

        sp_params_clear(words);
        sp_params_add_text(words, "GET", 3);
        sp_params_add_text(words, key, len);
}

struct caller {
        const struct target *target;
        sp_params *words;
};

static void command(void *state, uint32_t item)
{
        struct caller *caller = state;
        sp_reply *reply = NULL;
        sp_error *error = NULL;

        put_words(caller->words, item);
        driver_check("sp_redis_command", sp_redis_command(caller->target->redis, NULL, caller->words, &reply, &error),
                     error);
        check_reply(reply);
}

static void blocking_body(struct driver_caller *caller, void *arg)
{
        struct target *target = arg;
        struct caller state = {.target = target, .words = sp_params_new()};

        if (target->raw) {
                command(&state, 1);
                driver_loop(caller, command, &state, 1);
        } else {
                lookup(target, 1);
                driver_loop(caller, lookup, target, 1);
        }
        sp_params_free(state.words);
}

struct in_flight {
        struct driver_caller *caller;
        const struct target *target;
        sp_params *words;
        sp_queue *queue;
        int64_t *starts; /* by tag */
};

static void submit(struct in_flight *work, uint64_t tag)
{
        uint32_t item = driver_item(work->caller);
        char key[64];

        work->starts[tag] = driver_now();
        if (work->target->raw) {
                put_words(work->words, item);
                driver_check("sp_redis_command_async",
                             sp_redis_command_async(work->target->redis, NULL, work->words, work->queue, tag), NULL);
        } else {
                size_t len = driver_key(key, sizeof key, item);

                driver_check("sp_cache_lookup_async",
                             sp_cache_lookup_async(work->target->cache, NULL, key, len, work->queue, tag), NULL);
        }
}

static void take(struct in_flight *work, sp_completion *done)
{
        if (sp_completion_status(done) != SP_OK)
                driver_die("asynchronous: %s", sp_error_message(sp_completion_error(done)));
        if (work->target->raw)
                check_reply(sp_completion_take_reply(done));
        else
                check_hit(sp_completion_take_lookup(done), 0);
}

/* Takes what has ended; asks again for each while there is time, unless `once`. */
static void settle(struct in_flight *work, bool once)
{
        sp_completion *batch[BATCH];
        size_t taken = sp_queue_wait(work->queue, batch, BATCH, -1);

        for (size_t i = 0; i < taken; i++) {
                uint64_t tag = sp_completion_tag(batch[i]);

                take(work, batch[i]);
                sp_completion_free(batch[i]);
                driver_record(work->caller, work->starts[tag], driver_now(), 1);
                if (!once && driver_going(work->caller))
                        submit(work, tag);
        }
}

static void run(struct in_flight *work, uint32_t depth, bool once)
{
        for (uint32_t tag = 0; tag < depth; tag++)
                submit(work, tag);
        while (sp_queue_pending(work->queue) > 0)
                settle(work, once);
}

static void async_body(struct driver_caller *caller, void *arg)
{
        uint32_t depth = driver_options_of(caller)->callers;
        struct in_flight work = {
            .caller = caller, .target = arg, .words = sp_params_new(), .starts = calloc(depth, sizeof *work.starts)};

        if (!work.starts)
                driver_die("out of memory");
        driver_check("sp_queue_new", sp_queue_new(0, &work.queue), NULL);
        run(&work, depth, true);
        driver_ready(caller);
        run(&work, depth, false);
        sp_queue_free(work.queue);
        sp_params_free(work.words);
        free(work.starts);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct target target;
        sp_client *client;
        bool async;

        driver_parse(argc, argv, &options);
        client = driver_client(&options, "redis.url", (const char *const[]){"cache.memory=0", NULL});
        target = (struct target){.cache = sp_client_cache(client),
                                 .redis = sp_client_redis(client),
                                 .raw = strncmp(options.mode, "command", 7) == 0};
        async = strstr(options.mode, "async") != NULL;
        if (strcmp(options.mode, "fill") == 0)
                driver_fill(target.cache, &options);
        else
                driver_run(&options, async ? 1 : options.callers, async ? async_body : blocking_body, &target);
        sp_client_free(client);
        return 0;
}
