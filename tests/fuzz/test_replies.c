/* SPDX-License-Identifier: MIT */
/*
 * Whatever comes back, each trip is answered once and in time, no write is sent twice, and the link finds back by itself: to
 * one server, by a sentinel, in a cluster, and so does the subscriber.
 */
#include "base/thread.h"
#include "core/error.h"
#include "fake_redis.h"
#include "redis/subscriber.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROUNDS = 60, TRIPS = 24, LEFT = 5 };

struct rig {
        struct fake_redis *fake;
        struct sp__engine *engine;
        struct sp__link *link;
        struct sp__subscriber *subscriber;
        struct sp__random random;
        sp__mutex lock;
        sp__cond cond;
        int answered, good; /* under the lock, as what follows */
        bool heard;         /* the subscription stands */
        bool ended;
        unsigned numbers; /* of writes, so far */
        bool moves;       /* a lie of a cluster's node, MOVED, asks for a write to be sent again */
};

static void on_answer(sp__op *op)
{
        struct rig *rig = op->owner;

        sp__lock(&rig->lock);
        rig->answered++;
        rig->good += op->status == SP_OK;
        pthread_cond_signal(&rig->cond);
        sp__unlock(&rig->lock);
}

static void on_up(void *arg)
{
        struct rig *rig = arg;

        sp__lock(&rig->lock);
        rig->heard = true;
        pthread_cond_signal(&rig->cond);
        sp__unlock(&rig->lock);
}

static void on_down(void *arg, const sp_error *why)
{
        struct rig *rig = arg;

        sp__lock(&rig->lock);
        rig->heard = false;
        sp__unlock(&rig->lock);
}

static void on_message(void *arg, const void *data, size_t len)
{
        /* Any bytes are a message. */
}

static void on_end(void *arg)
{
        struct rig *rig = arg;

        sp__lock(&rig->lock);
        rig->ended = true;
        pthread_cond_signal(&rig->cond);
        sp__unlock(&rig->lock);
}

static uint64_t setting(const char *name, uint64_t fallback)
{
        const char *text = getenv(name);

        return text ? strtoull(text, NULL, 0) : fallback;
}

static void set_up(struct rig *rig, const char *format)
{
        struct sp__link_options options = {.connect_timeout = 100 * SP__MS, .timeout = 60 * SP__MS};
        struct sp__subscriber_options stream = {.connect_timeout = 100 * SP__MS,
                                                .ping = 40 * SP__MS,
                                                .up = on_up,
                                                .message = on_message,
                                                .down = on_down,
                                                .arg = rig};
        struct sp__address address;
        char url[96];

        memset(rig, 0, sizeof *rig);
        rig->random.state = setting("SP_FUZZ_SEED", sp__random_seed());
        print_message("# SP_FUZZ_SEED=%llu\n", (unsigned long long)rig->random.state);
        rig->fake = calloc(1, sizeof *rig->fake);
        fake_start(rig->fake, sp__random_next(&rig->random));
        sp__mutex_init(&rig->lock);
        sp__cond_init(&rig->cond);
        rig->moves = strstr(format, "cluster") != NULL;
        snprintf(url, sizeof url, format, rig->fake->port);
        assert_int_equal(sp__address_parse(url, "redis.url", &address, NULL), SP_OK);
        assert_int_equal(sp__engine_new(&rig->engine, NULL), SP_OK);
        rig->link = sp__link_new(rig->engine, &address, &options);
        rig->subscriber = sp__subscriber_new(rig->engine, rig->link, "c", &stream);
        sp__subscriber_start(rig->subscriber);
        sp__address_free(&address);
}

static void tear_down(struct rig *rig)
{
        sp__link_close(rig->link);
        sp__subscriber_free(rig->subscriber, on_end);
        sp__lock(&rig->lock);
        while (!rig->ended)
                sp__cond_wait(&rig->cond, &rig->lock, SP__FOREVER);
        sp__unlock(&rig->lock);
        sp__link_free(rig->link);
        sp__engine_free(rig->engine);
        fake_stop(rig->fake);
        for (unsigned i = 0; i < rig->numbers && !rig->moves; i++)
                assert_true(atomic_load(&rig->fake->written[i]) <= 1);
        free(rig->fake);
        sp__cond_destroy(&rig->cond);
        sp__mutex_destroy(&rig->lock);
}

static void add_command(struct rig *rig, struct sp__command *command)
{
        char text[32];

        switch (sp__random_next(&rig->random) % 4) {
        case 0:
                sp__command_begin(command, 2);
                sp__command_text(command, "GET");
                break;
        case 1:
                sp__command_begin(command, 4);
                sp__command_text(command, "MGET");
                sp__command_text(command, "a");
                sp__command_text(command, "b");
                break;
        case 2:
                sp__command_begin(command, 3);
                sp__command_text(command, "UNLINK");
                sp__command_text(command, "a");
                break;
        default:
                snprintf(text, sizeof text, "%u", rig->numbers++);
                sp__command_begin(command, 2);
                sp__command_text(command, "WRITE");
                sp__command_text(command, text);
                return;
        }
        snprintf(text, sizeof text, "k%u", (unsigned)(sp__random_next(&rig->random) % 1000));
        sp__command_text(command, text);
}

static void make_trips(struct rig *rig, int count)
{
        for (int i = 0; i < count; i++) {
                struct sp__command *command = sp__command_new();

                for (uint64_t k = 1 + sp__random_next(&rig->random) % 3; k > 0; k--)
                        add_command(rig, command);
                sp__link_run(rig->link, command, NULL, on_answer, rig);
        }
}

static void await(struct rig *rig, int answered)
{
        sp__lock(&rig->lock);
        while (rig->answered < answered)
                sp__cond_wait(&rig->cond, &rig->lock, SP__FOREVER);
        assert_int_equal(rig->answered, answered);
        sp__unlock(&rig->lock);
}

static bool is_well(struct rig *rig, int good)
{
        bool well;

        sp__lock(&rig->lock);
        well = rig->good > good && rig->heard;
        sp__unlock(&rig->lock);
        return well;
}

/* Until trips and the subscription are themselves again. */
static int find_back(struct rig *rig, int answered)
{
        int good;

        atomic_store(&rig->fake->hostile, false);
        do {
                good = rig->good;
                make_trips(rig, 1);
                await(rig, ++answered);
                poll(NULL, 0, LEFT);
        } while (!is_well(rig, good));
        return answered;
}

static void suffer(const char *format)
{
        uint64_t rounds = setting("SP_FUZZ_ROUNDS", ROUNDS);
        int answered = 0;
        struct rig rig;

        set_up(&rig, format);
        for (uint64_t i = 0; i < rounds; i++) {
                atomic_store(&rig.fake->hostile, true);
                make_trips(&rig, TRIPS);
                answered += TRIPS;
                await(&rig, answered);
                if (i % 8 == 7)
                        answered = find_back(&rig, answered);
        }
        find_back(&rig, answered);
        tear_down(&rig);
}

static void test_one_server(void **state)
{
        suffer("redis://user:secret@127.0.0.1:%d/3");
}

static void test_a_sentinel_and_its_primary(void **state)
{
        suffer("redis+sentinel://127.0.0.1:%d/mymaster/1");
}

static void test_a_cluster(void **state)
{
        suffer("redis+cluster://127.0.0.1:%d");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_one_server),
            cmocka_unit_test(test_a_sentinel_and_its_primary),
            cmocka_unit_test(test_a_cluster),
        };

        return cmocka_run_group_tests_name("fuzz replies", tests, NULL, NULL);
}
