/* SPDX-License-Identifier: MIT */
/** What tests of policies begin with. */
#ifndef TESTS_POLICY_PLAY_H
#define TESTS_POLICY_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sugarperf/policy.h>

#define MS     INT64_C(1000000)
#define SECOND (1000 * MS)

enum { OK = SP_OUTCOME_SUCCESS, BAD = SP_OUTCOME_FAILURE };

static inline sp_policy *policy_of(const char *const settings[], sp_breaker *breaker)
{
        sp_config *config = sp_config_new();
        sp_policy *policy = NULL;

        for (size_t i = 0; settings[i]; i += 2)
                assert_int_equal(sp_config_set(config, settings[i], settings[i + 1], NULL), SP_OK);
        assert_int_equal(sp_policy_new(config, NULL, breaker, &policy, NULL), SP_OK);
        sp_config_free(config);
        return policy;
}

static inline sp_call *call_of(sp_policy *policy, sp_ctx *ctx)
{
        sp_call *call = NULL;

        assert_int_equal(sp_call_new(policy, ctx, &call, NULL), SP_OK);
        return call;
}

static inline void stats_have(sp_policy *policy, const char *text)
{
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_policy_stats(policy, &value), SP_OK);
        if (!strstr(sp_value_data(value, &len), text))
                fail_msg("not %s in %s", text, (const char *)sp_value_data(value, &len));
        sp_value_unref(value);
}

static inline void answered(sp_queue *queue, uint64_t tag, sp_status status)
{
        sp_completion *got = NULL;

        assert_int_equal(sp_queue_wait(queue, &got, 1, 10000), 1);
        assert_int_equal(sp_completion_tag(got), tag);
        assert_int_equal(sp_completion_status(got), status);
        sp_completion_free(got);
}

static inline void nothing_came(sp_queue *queue)
{
        sp_completion *got = NULL;

        assert_int_equal(sp_queue_take(queue, &got, 1), 0);
}

#endif
