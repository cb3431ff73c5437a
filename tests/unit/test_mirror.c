/* SPDX-License-Identifier: MIT */
/*
 * Whatever is heard, lost, delayed or forgotten: the mirror calls an entry fresh only if no bump of its tag that this
 * process was acknowledged, and none from before the last proof was asked for, came after the entry's load.
 */
#include "base/hash.h"
#include "base/random.h"
#include "cache/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TAGS = 6, EVENTS = 4000, STEPS = 4000 };

struct bump {
        uint64_t e;
        int64_t n;
        uint64_t tag;
        int at; /* step */
        bool own;
};

/* The log as it truly is, its stream of messages, and proofs under way. */
struct truth {
        struct sp__random random;
        uint64_t e;
        int64_t n;
        struct bump bumps[EVENTS];
        int count;
        int heard; /* messages before it were delivered or lost */
        bool streaming;
        int acks[EVENTS]; /* own bumps whose acknowledgement is on its way */
        int ack_count;

        bool asked, evaluated;
        struct sp__proof proof;
        int asked_step;
        uint64_t answer_e;
        int64_t answer_n;
        struct {
                int64_t asked_at;
                int step;
        } proofs[STEPS];
        int proof_count;
        int step;
};

static uint64_t any(struct truth *truth, uint64_t below)
{
        return sp__random_next(&truth->random) % below;
}

static void append(struct truth *truth, bool own)
{
        if (truth->count == EVENTS)
                return;
        truth->n++;
        truth->bumps[truth->count] = (struct bump){truth->e, truth->n, 1 + any(truth, TAGS), truth->step, false};
        if (own)
                truth->acks[truth->ack_count++] = truth->count;
        truth->count++;
}

static void deliver(struct truth *truth, struct sp__mirror *mirror)
{
        const struct bump *bump = &truth->bumps[truth->heard];

        if (!truth->streaming || truth->heard == truth->count)
                return;
        truth->heard++;
        /* Some get lost. */
        if (any(truth, 20) > 0)
                sp__mirror_hear(mirror, bump->e, bump->n, &bump->tag, 1);
}

static void acknowledge(struct truth *truth, struct sp__mirror *mirror)
{
        int which;

        if (truth->ack_count == 0)
                return;
        which = (int)any(truth, (uint64_t)truth->ack_count);
        truth->bumps[truth->acks[which]].own = true;
        sp__mirror_acknowledge(mirror, truth->bumps[truth->acks[which]].e, truth->bumps[truth->acks[which]].n,
                               &truth->bumps[truth->acks[which]].tag, 1);
        truth->acks[which] = truth->acks[--truth->ack_count];
}

/* Asked, evaluated by Redis, answered: at three different times. */
static void go_on_proving(struct truth *truth, struct sp__mirror *mirror)
{
        if (!truth->asked) {
                truth->asked = sp__mirror_ask(mirror, &truth->proof);
                truth->asked_step = truth->step;
                truth->evaluated = false;
        } else if (!truth->evaluated) {
                truth->answer_e = truth->e;
                truth->answer_n = truth->n;
                truth->evaluated = true;
        } else {
                truth->proofs[truth->proof_count].asked_at = truth->proof.asked_at;
                truth->proofs[truth->proof_count++].step = truth->asked_step;
                sp__mirror_prove(mirror, &truth->proof, truth->answer_e, truth->answer_n);
                truth->asked = false;
        }
}

static void reconnect(struct truth *truth, struct sp__mirror *mirror)
{
        truth->streaming = !truth->streaming;
        if (truth->streaming) {
                truth->heard = truth->count;
                sp__mirror_up(mirror);
        } else {
                sp__mirror_down(mirror);
        }
}

/* The log was deleted: another epoch, from the beginning. */
static void renew(struct truth *truth)
{
        truth->e = sp__random_next(&truth->random);
        truth->n = 0;
}

static void happen(struct truth *truth, struct sp__mirror *mirror)
{
        uint64_t kind = any(truth, 100);

        if (kind < 20)
                append(truth, false);
        else if (kind < 30)
                append(truth, true);
        else if (kind < 60)
                deliver(truth, mirror);
        else if (kind < 72)
                acknowledge(truth, mirror);
        else if (kind < 97)
                go_on_proving(truth, mirror);
        else if (kind < 99)
                reconnect(truth, mirror);
        else
                renew(truth);
}

/* The step at which the proof was asked for that the mirror's horizon stands on. */
static int horizon(const struct truth *truth, struct sp__mirror *mirror)
{
        int64_t at = atomic_load(&mirror->live_until) - mirror->bound;

        for (int i = truth->proof_count - 1; i >= 0; i--) {
                if (truth->proofs[i].asked_at == at)
                        return truth->proofs[i].step;
        }
        return -1;
}

static int look(struct truth *truth, struct sp__mirror *mirror)
{
        uint64_t e = mirror->e, tag = 1 + any(truth, TAGS), version;
        int64_t v0 = (int64_t)any(truth, (uint64_t)truth->n + 2);
        int proven;

        if (sp__mirror_check(mirror, e, v0, &tag, 1, &version) != SP__FRESH)
                return 0;
        proven = horizon(truth, mirror);
        assert_true(proven >= 0);
        for (int i = 0; i < truth->count; i++) {
                const struct bump *bump = &truth->bumps[i];

                if (bump->e == e && bump->tag == tag && bump->n > v0 && (bump->own || bump->at < proven))
                        fail_msg("step %d: fresh, though bump %lld (own %d, step %d, proven %d) is above %lld",
                                 truth->step, (long long)bump->n, bump->own, bump->at, proven, (long long)v0);
        }
        return 1;
}

/* What it does not doubt when it knows nothing any more, this process has not invalidated. */
static int recall(struct truth *truth, struct sp__mirror *mirror)
{
        uint64_t e = any(truth, 2) ? mirror->e : mirror->was_e, tag = 1 + any(truth, TAGS);
        int64_t v0 = (int64_t)any(truth, (uint64_t)truth->n + 2);

        if (sp__mirror_doubts(mirror, e, v0, &tag, 1))
                return 0;
        for (int i = 0; i < truth->count; i++) {
                const struct bump *bump = &truth->bumps[i];

                if (bump->e == e && bump->tag == tag && bump->n > v0 && bump->own)
                        fail_msg("step %d: no doubt, though bump %lld of its own is above %lld", truth->step,
                                 (long long)bump->n, (long long)v0);
        }
        return 1;
}

static void test_fresh_means_fresh_under_random_events(void **state)
{
        uint64_t seed = sp__random_seed();
        int fresh = 0, recalled = 0;

        print_message("# seed %llu\n", (unsigned long long)seed);
        for (uint64_t run = 0; run < 100; run++) {
                struct truth *truth = calloc(1, sizeof *truth);
                struct sp__mirror mirror;

                truth->random.state = seed + run;
                renew(truth);
                sp__mirror_init(&mirror, true, 3600 * SP__SECOND);
                sp__mirror_recall(&mirror);
                reconnect(truth, &mirror);
                for (truth->step = 1; truth->step < STEPS; truth->step++) {
                        happen(truth, &mirror);
                        fresh += look(truth, &mirror);
                        recalled += recall(truth, &mirror);
                }
                sp__mirror_destroy(&mirror);
                free(truth);
        }
        /* It was not true because nothing ever was. */
        assert_true(fresh > 10000);
        assert_true(recalled > 10000);
}

/* A stream may still tell of an epoch that a proof has already left behind. */
static void test_an_older_epoch_in_the_stream_does_not_undo_an_own_acknowledgement(void **state)
{
        enum { OLD = 10, NEW = 11, TAG = 7, OTHER = 8 };
        struct sp__mirror mirror;
        struct sp__proof first, early;
        uint64_t tag = TAG, other = OTHER, version;

        sp__mirror_init(&mirror, true, 3600 * SP__SECOND);
        sp__mirror_up(&mirror);
        assert_true(sp__mirror_ask(&mirror, &first));
        assert_int_equal(sp__mirror_prove(&mirror, &first, NEW, 7), SP__PROVEN);
        assert_true(sp__mirror_ask(&mirror, &early));
        assert_true(sp__mirror_acknowledge(&mirror, NEW, 8, &tag, 1));
        sp__mirror_hear(&mirror, OLD, 6, &other, 1);
        sp__mirror_hear(&mirror, NEW, 7, &other, 1);
        assert_int_equal(sp__mirror_prove(&mirror, &early, NEW, 7), SP__IGNORED);
        assert_int_not_equal(sp__mirror_check(&mirror, NEW, 7, &tag, 1, &version), SP__FRESH);
        sp__mirror_destroy(&mirror);
}

static void test_a_late_answer_of_an_older_epoch_does_not_undo_an_own_acknowledgement(void **state)
{
        enum { OLD = 10, NEW = 11, TAG = 7 };
        struct sp__mirror mirror;
        struct sp__proof first, second, late;
        uint64_t tag = TAG, version;

        sp__mirror_init(&mirror, true, 3600 * SP__SECOND);
        sp__mirror_up(&mirror);
        assert_true(sp__mirror_ask(&mirror, &first));
        assert_int_equal(sp__mirror_prove(&mirror, &first, OLD, 5), SP__PROVEN);
        assert_true(sp__mirror_ask(&mirror, &late));
        assert_true(sp__mirror_ask(&mirror, &second));
        assert_int_equal(sp__mirror_prove(&mirror, &second, NEW, 0), SP__PROVEN);
        assert_true(sp__mirror_acknowledge(&mirror, NEW, 1, &tag, 1));
        assert_int_equal(sp__mirror_prove(&mirror, &late, OLD, 5), SP__IGNORED);
        assert_int_not_equal(sp__mirror_check(&mirror, OLD, 5, &tag, 1, &version), SP__FRESH);
        sp__mirror_destroy(&mirror);
}

static void test_what_is_owed_is_not_fresh_until_it_is_paid(void **state)
{
        struct sp__mirror mirror;
        uint64_t tags[4], upto, version;
        bool all;

        sp__mirror_init(&mirror, false, 0);
        sp__mirror_owe(&mirror, (uint64_t[]){7, 8}, 2);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){7}, 1, &version), SP__GONE);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){9}, 1, &version), SP__FRESH);
        assert_int_equal(sp__mirror_owed(&mirror, tags, 4, &upto, &all), 2);
        assert_false(all);
        /* Owed anew meanwhile: what was sent before does not pay for it. */
        sp__mirror_owe(&mirror, (uint64_t[]){8}, 1);
        sp__mirror_pay(&mirror, tags, 2, upto, false);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){7}, 1, &version), SP__FRESH);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){8}, 1, &version), SP__GONE);
        sp__mirror_destroy(&mirror);
}

/* The longest time to live has passed. */
static void test_what_is_owed_lapses_once_no_entry_from_before_is_left(void **state)
{
        struct sp__mirror mirror;
        uint64_t tags[4], upto, version;
        int64_t between;
        bool all;

        sp__mirror_init(&mirror, false, 0);
        sp__mirror_owe(&mirror, (uint64_t[]){7}, 1);
        between = (int64_t)mirror.owed_at + 1;
        while (sp__now() <= between)
                continue;
        sp__mirror_owe(&mirror, (uint64_t[]){8}, 1);
        sp__mirror_lapse(&mirror, between - 1);
        assert_int_equal(sp__mirror_owing(&mirror), 2);
        sp__mirror_lapse(&mirror, between);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){7}, 1, &version), SP__FRESH);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){8}, 1, &version), SP__GONE);
        sp__mirror_owe_all(&mirror);
        assert_int_equal(sp__mirror_owed(&mirror, tags, 4, &upto, &all), 1);
        assert_true(all);
        sp__mirror_lapse(&mirror, (int64_t)upto);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){9}, 1, &version), SP__GONE);
        sp__mirror_lapse(&mirror, (int64_t)upto + 1);
        assert_int_equal(sp__mirror_owing(&mirror), 0);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){8}, 1, &version), SP__FRESH);
        sp__mirror_destroy(&mirror);
}

/* As many as there may be, paid for a few at a time. */
static void test_all_that_is_owed_is_paid_whatever_is_owed_anew(void **state)
{
        enum { MANY = 5000, EACH = 1024 };
        struct sp__mirror mirror;
        uint64_t tags[EACH], upto;
        size_t count, rounds = 0;
        bool all;

        sp__mirror_init(&mirror, false, 0);
        for (uint64_t tag = 1; tag <= MANY; tag++)
                sp__mirror_owe(&mirror, &tag, 1);
        while ((count = sp__mirror_owed(&mirror, tags, EACH, &upto, &all)) > 0) {
                if (rounds++ == 0)
                        sp__mirror_owe_all(&mirror);
                sp__mirror_pay(&mirror, tags, count, upto, false);
        }
        assert_int_equal(rounds, (MANY + EACH - 1) / EACH);
        assert_true(all);
        sp__mirror_pay(&mirror, tags, 0, upto, true);
        assert_int_equal(sp__mirror_owing(&mirror), 0);
        sp__mirror_destroy(&mirror);
}

static void test_a_load_does_not_hold_beyond_an_invalidation_of_its_own_process(void **state)
{
        struct sp__mirror mirror;
        struct sp__mark before, after;

        sp__mirror_init(&mirror, true, SP__SECOND);
        sp__mirror_mark(&mirror, &before);
        assert_false(before.known);
        sp__mirror_owe(&mirror, (uint64_t[]){5}, 1);
        sp__mirror_mark(&mirror, &after);
        assert_false(sp__mirror_holds(&mirror, &before, (uint64_t[]){4, 5}, 2));
        assert_true(sp__mirror_holds(&mirror, &before, (uint64_t[]){4}, 1));
        assert_true(sp__mirror_holds(&mirror, &after, (uint64_t[]){5}, 1));
        sp__mirror_destroy(&mirror);
}

static void test_a_log_that_went_back_is_noticed(void **state)
{
        struct sp__mirror mirror;
        struct sp__proof proof;

        sp__mirror_init(&mirror, true, SP__SECOND);
        sp__mirror_up(&mirror);
        assert_true(sp__mirror_ask(&mirror, &proof));
        assert_int_equal(sp__mirror_prove(&mirror, &proof, 1, 10), SP__PROVEN);
        assert_true(sp__mirror_live(&mirror));
        assert_true(sp__mirror_ask(&mirror, &proof));
        assert_int_equal(sp__mirror_prove(&mirror, &proof, 1, 9), SP__REGRESSED);
        assert_false(sp__mirror_live(&mirror));
        sp__mirror_destroy(&mirror);
}

/* As tags are: hashes, not numbers in a row. */
static uint64_t tag_at(uint64_t i)
{
        return sp__hash(&i, sizeof i, 0);
}

static void bump_many(struct sp__mirror *mirror, uint64_t count)
{
        for (uint64_t i = 1; i <= count; i++)
                sp__mirror_bump(mirror, (uint64_t[]){tag_at(i)}, 1);
}

static void test_more_tags_than_can_be_remembered_are_unknown_not_fresh(void **state)
{
        struct sp__mirror mirror;
        uint64_t version;

        sp__mirror_init(&mirror, false, 0);
        bump_many(&mirror, 300000);
        for (uint64_t i = 1; i <= 300000; i++)
                assert_int_not_equal(sp__mirror_check(&mirror, mirror.e, 0, (uint64_t[]){tag_at(i)}, 1, &version),
                                     SP__FRESH);
        assert_int_equal(sp__mirror_check(&mirror, mirror.e, mirror.seen, (uint64_t[]){tag_at(1)}, 1, &version),
                         SP__FRESH);
        sp__mirror_destroy(&mirror);
}

/* A log that is full of other tags must not end all that is cached. */
static void test_what_nobody_touched_outlives_more_tags_than_can_be_remembered(void **state)
{
        enum { OTHERS = 300000, ENTRIES = 1000 };
        struct sp__mirror mirror;
        struct sp__mark mark;
        uint64_t version, fresh = 0;

        sp__mirror_init(&mirror, false, 0);
        sp__mirror_mark(&mirror, &mark);
        bump_many(&mirror, OTHERS);
        for (uint64_t i = OTHERS + 1; i <= OTHERS + ENTRIES; i++)
                fresh += sp__mirror_check(&mirror, mark.e, mark.v0, (uint64_t[]){tag_at(i)}, 1, &version) == SP__FRESH;
        assert_in_range(fresh, ENTRIES * 8 / 10, ENTRIES);
        sp__mirror_destroy(&mirror);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_fresh_means_fresh_under_random_events),
            cmocka_unit_test(test_an_older_epoch_in_the_stream_does_not_undo_an_own_acknowledgement),
            cmocka_unit_test(test_a_late_answer_of_an_older_epoch_does_not_undo_an_own_acknowledgement),
            cmocka_unit_test(test_what_is_owed_is_not_fresh_until_it_is_paid),
            cmocka_unit_test(test_what_is_owed_lapses_once_no_entry_from_before_is_left),
            cmocka_unit_test(test_all_that_is_owed_is_paid_whatever_is_owed_anew),
            cmocka_unit_test(test_a_load_does_not_hold_beyond_an_invalidation_of_its_own_process),
            cmocka_unit_test(test_a_log_that_went_back_is_noticed),
            cmocka_unit_test(test_more_tags_than_can_be_remembered_are_unknown_not_fresh),
            cmocka_unit_test(test_what_nobody_touched_outlives_more_tags_than_can_be_remembered),
        };

        return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
