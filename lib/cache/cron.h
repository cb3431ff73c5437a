/* SPDX-License-Identifier: MIT */
/** Times of the day, week and year at which something is due, in UTC, so that all processes agree. Pure. */
#ifndef SP_CACHE_CRON_H
#define SP_CACHE_CRON_H

#include <sugarperf/base.h>

struct sp__cron {
        int64_t every_ms; /* above 0: at its multiples since 1970; the rest is not used */
        bool start;       /* once, when the process begins */
        uint64_t minutes;
        uint32_t hours;
        uint32_t days;     /* of the month: bits 1–31 */
        uint32_t months;   /* bits 1–12 */
        uint32_t weekdays; /* bits 0–6, Sunday is 0 */
        bool any_day;      /* the field begins with a star: the day has to fit both */
        bool any_weekday;
};

/**
 * "start", "every 90s", "daily 03:30", "hourly" and so on, or five fields of cron(5) with lists, ranges, steps and names.
 * SP_INVALID: it is not that, or never comes.
 */
sp_status sp__cron_parse(const char *text, struct sp__cron *out, sp_error **error);
/** The first time after `after`, both ms since 1970; -1: there is none (a start). */
int64_t sp__cron_next(const struct sp__cron *cron, int64_t after);

#endif
