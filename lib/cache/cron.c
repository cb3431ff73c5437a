/* SPDX-License-Identifier: MIT */
#include "cache/cron.h"

#include "core/config.h"
#include "core/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* After so many years a day of a leap year has been each day of the week. */
enum { FIELDS = 5, MINUTE_MS = 60000, DAY_MINUTES = 1440, YEARS = 41, TEXT_MAX = 128 };

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field {
        const char *name;
        int min;
        int max;
        const char *const *names; /* of the first value on */
} fields[FIELDS] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names},
    {"day of the week", 0, 7, day_names},
};

static const struct {
        const char *word;
        const char *fields;
} words[] = {
    {"hourly", "0 * * * *"}, {"daily", "0 0 * * *"},   {"midnight", "0 0 * * *"},
    {"weekly", "0 0 * * 0"}, {"monthly", "0 0 1 * *"}, {"yearly", "0 0 1 1 *"},
};

/* A number or a name; false: neither. */
static bool value(const struct field *field, const char **at, int *out)
{
        char *end;
        long number;

        for (int i = 0; field->names && field->names[i]; i++) {
                if (strncasecmp(*at, field->names[i], 3) == 0) {
                        *at += 3;
                        *out = field->min + i;
                        return true;
                }
        }
        if (!isdigit((unsigned char)**at))
                return false;
        number = strtol(*at, &end, 10);
        *at = end;
        *out = (int)number;
        return number >= field->min && number <= field->max;
}

/* A star, a value or a range, each with a step or none. */
static bool item(const struct field *field, const char **at, uint64_t *bits)
{
        int from = field->min, to = field->max, step = 1;
        char *end;

        if (**at == '*') {
                (*at)++;
        } else {
                if (!value(field, at, &from))
                        return false;
                to = from;
                if (**at == '-') {
                        (*at)++;
                        if (!value(field, at, &to) || to < from)
                                return false;
                } else if (**at == '/') {
                        to = field->max;
                }
        }
        if (**at == '/') {
                step = isdigit((unsigned char)(*at)[1]) ? (int)strtol(*at + 1, &end, 10) : 0;
                if (step <= 0 || step > field->max)
                        return false;
                *at = end;
        }
        for (int i = from; i <= to; i += step)
                *bits |= UINT64_C(1) << i;
        return true;
}

static sp_status take_field(const struct field *field, const char **at, uint64_t *bits, bool *any, sp_error **error)
{
        const char *begin = *at += strspn(*at, " \t");

        *bits = 0;
        *any = **at == '*';
        for (;;) {
                if (!item(field, at, bits))
                        return sp__fail(error, SP_INVALID, "\"%.32s\" is no %s: %d–%d, *, a-b, a,b or */n", begin,
                                        field->name, field->min, field->max);
                if (**at != ',')
                        break;
                (*at)++;
        }
        if (**at && !isspace((unsigned char)**at))
                return sp__fail(error, SP_INVALID, "\"%.32s\" is no %s: what comes after \"%.*s\"?", begin, field->name,
                                (int)(*at - begin), begin);
        return SP_OK;
}

static sp_status take_fields(const char *text, struct sp__cron *out, sp_error **error)
{
        uint64_t bits[FIELDS];
        bool any[FIELDS];

        for (int i = 0; i < FIELDS; i++) {
                sp_status status = take_field(&fields[i], &text, &bits[i], &any[i], error);

                if (status != SP_OK)
                        return status;
        }
        if (text[strspn(text, " \t")])
                return sp__fail(error, SP_INVALID, "\"%.32s\": there are five fields, minute to day of the week", text);
        /* Sunday is 0 and 7. */
        *out = (struct sp__cron){.minutes = bits[0],
                                 .hours = (uint32_t)bits[1],
                                 .days = (uint32_t)bits[2],
                                 .months = (uint32_t)bits[3],
                                 .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
                                 .any_day = any[2],
                                 .any_weekday = any[4]};
        if (sp__cron_next(out, 0) < 0)
                return sp__fail(error, SP_INVALID, "there is no such day");
        return SP_OK;
}

static sp_status take_every(const char *text, struct sp__cron *out, sp_error **error)
{
        int64_t ms;

        if (!sp__parse_duration(text, &ms) || ms < 1000)
                return sp__fail(error, SP_INVALID, "every \"%.32s\": a duration from 1s on, such as 90s or 1h", text);
        *out = (struct sp__cron){.every_ms = ms};
        return SP_OK;
}

static sp_status take_time(const char *text, struct sp__cron *out, sp_error **error)
{
        int hour, minute, used = 0;

        if (sscanf(text, "%2d:%2d%n", &hour, &minute, &used) != 2 || text[used] || hour < 0 || hour > 23 ||
            minute < 0 || minute > 59)
                return sp__fail(error, SP_INVALID, "daily \"%.32s\": a time such as 03:30, in UTC", text);
        *out = (struct sp__cron){.minutes = UINT64_C(1) << minute,
                                 .hours = 1u << hour,
                                 .days = ~0u,
                                 .months = ~0u,
                                 .weekdays = 0x7f,
                                 .any_day = true,
                                 .any_weekday = true};
        return SP_OK;
}

sp_status sp__cron_parse(const char *text, struct sp__cron *out, sp_error **error)
{
        const char *word;

        if (!text || strlen(text) > TEXT_MAX)
                return sp__fail(error, SP_INVALID, "a time is needed, of at most %d bytes", TEXT_MAX);
        text += strspn(text, " \t");
        if (strcmp(text, "start") == 0) {
                *out = (struct sp__cron){.start = true};
                return SP_OK;
        }
        if (strncmp(text, "every ", 6) == 0)
                return take_every(text + 6, out, error);
        if (strncmp(text, "daily ", 6) == 0)
                return take_time(text + 6, out, error);
        word = text + (*text == '@');
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
                if (strcmp(word, words[i].word) == 0)
                        return take_fields(words[i].fields, out, error);
        }
        return take_fields(text, out, error);
}

/* As cron does: where both fields restrict it, either will do; what begins with a star restricts nothing in this sense. */
static bool day_fits(const struct sp__cron *cron, const struct tm *at)
{
        bool day = cron->days >> at->tm_mday & 1, weekday = cron->weekdays >> at->tm_wday & 1;

        if (!(cron->months >> (at->tm_mon + 1) & 1))
                return false;
        return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

int64_t sp__cron_next(const struct sp__cron *cron, int64_t after)
{
        int64_t minute = after / MINUTE_MS + 1, last = minute + (int64_t)YEARS * 366 * DAY_MINUTES;

        if (cron->start)
                return -1;
        if (cron->every_ms > 0)
                return (after / cron->every_ms + 1) * cron->every_ms;
        while (minute < last) {
                time_t seconds = (time_t)(minute * 60);
                struct tm at;

                gmtime_r(&seconds, &at);
                if (!day_fits(cron, &at))
                        minute += DAY_MINUTES - (at.tm_hour * 60 + at.tm_min);
                else if (!(cron->hours >> at.tm_hour & 1))
                        minute += 60 - at.tm_min;
                else if (!(cron->minutes >> at.tm_min & 1))
                        minute++;
                else
                        return minute * MINUTE_MS;
        }
        return -1;
}
