/* SPDX-License-Identifier: MIT */
/*
 * The in-process level hits no less often than LRU, and at most 2 points less than the better of S3-FIFO and W-TinyLFU, which
 * get as many bytes as it had for its entries. Traces are made here; SP_TRACES names a directory of others: files NAME.txt.gz
 * with a number a line, of which the README says what capacity to report.
 */
#include "hit_traces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* In points: what is over of a byte here or there; and what chance does to a trace that is drawn anew each time. */
#define EXACT 0.05
#define DRAWN 0.3

static void compare(struct hit_trace *trace, int64_t max, double slack)
{
        int64_t held;
        double ours = hit_store_run(trace, max, &held), lru = hit_model_run(HIT_LRU, trace, held);
        double s3 = hit_model_run(HIT_S3_FIFO, trace, held), tiny = hit_model_run(HIT_W_TINYLFU, trace, held);

        print_message("# %-9s %8lld held: ours %5.2f %%, LRU %5.2f, S3-FIFO %5.2f, W-TinyLFU %5.2f\n", trace->name,
                      (long long)held, ours, lru, s3, tiny);
        assert_true(ours >= lru - slack);
        assert_true(ours >= (s3 > tiny ? s3 : tiny) - 2);
        free(trace->asks);
}

static struct sp__random seeded(void)
{
        struct sp__random random = {sp__random_seed()};

        print_message("# seed %llu\n", (unsigned long long)random.state);
        return random;
}

static void test_zipf(void **state)
{
        struct sp__random random = seeded();

        for (int i = 0; i < 3; i++) {
                struct hit_trace trace = {.name = "zipf"};

                hit_trace_zipf(&trace, &random, 0, 20000, 0.7 + 0.2 * i, 300000);
                compare(&trace, hit_bytes_for(2000), DRAWN);
        }
}

static void test_scan(void **state)
{
        struct sp__random random = seeded();
        struct hit_trace trace = {.name = "scan"};

        hit_trace_scan(&trace, &random);
        compare(&trace, hit_bytes_for(1000), DRAWN);
}

static void test_loop(void **state)
{
        struct hit_trace trace = {.name = "loop"};

        hit_trace_loop(&trace, 0, 2000, 100);
        compare(&trace, hit_bytes_for(1000), EXACT);
}

/* From the first eviction on: the window has not lost its share before anything was known of it. */
static void test_near(void **state)
{
        struct hit_trace trace = {.name = "near"};

        hit_trace_near(&trace, 0, 20000, 15);
        compare(&trace, hit_bytes_for(500), EXACT);
}

static void test_shifting(void **state)
{
        struct sp__random random = seeded();
        struct hit_trace trace = {.name = "shifting"};

        hit_trace_shifting(&trace, &random);
        compare(&trace, hit_bytes_for(1000), DRAWN);
}

static void test_mixed(void **state)
{
        struct sp__random random = seeded();
        struct hit_trace trace = {.name = "mixed"};

        hit_trace_mixed(&trace, &random);
        compare(&trace, hit_bytes_for(1000), DRAWN);
}

static void test_values_of_many_sizes(void **state)
{
        struct sp__random random = seeded();
        struct hit_trace zipf = {.name = "zipf, sized", .sized = true}, mixed = {.name = "mixed, sized", .sized = true};

        hit_trace_zipf(&zipf, &random, 0, 20000, 0.9, 300000);
        compare(&zipf, 2 << 20, DRAWN);
        hit_trace_mixed(&mixed, &random);
        compare(&mixed, 2 << 20, DRAWN);
}

static void test_traces_of_others(void **state)
{
        static const struct {
                const char *name;
                int64_t entries;
        } known[] = {{"gli", 1000}, {"loop", 500}, {"oltp", 1000}, {"web12", 1000}, {"corda", 512}};
        const char *folder = getenv("SP_TRACES");

        if (!folder) {
                /* cmocka's skip() is a failure to readers of TAP. */
                print_message("# skipped: SP_TRACES names no directory of traces\n");
                return;
        }
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
                struct hit_trace trace = {.name = known[i].name};

                if (!hit_trace_read(&trace, folder))
                        fail_msg("%s of %s cannot be read", trace.name, folder);
                compare(&trace, hit_bytes_for(known[i].entries), EXACT);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_zipf),
            cmocka_unit_test(test_scan),
            cmocka_unit_test(test_loop),
            cmocka_unit_test(test_near),
            cmocka_unit_test(test_shifting),
            cmocka_unit_test(test_mixed),
            cmocka_unit_test(test_values_of_many_sizes),
            cmocka_unit_test(test_traces_of_others),
        };

        return cmocka_run_group_tests_name("hit-ratio", tests, NULL, NULL);
}
