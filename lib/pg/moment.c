/* SPDX-License-Identifier: MIT */
/* Times from PostgreSQL's ISO text form: "2024-02-29 12:34:56.789012+05:30", "infinity", "0044-03-15 BC". */
#include "core/error.h"
#include "pg/cell.h"

#include <string.h>

enum { DAY_S = 86400 };

#define SECOND_US 1000000LL

struct moment {
        int64_t year, month, day;
        int64_t seconds; /* of the day */
        int64_t micros;
        int64_t offset_s; /* east of Greenwich */
};

/* Digits, between `least` and `most` of them. */
static bool take_number(const char **at, int least, int most, int64_t *out)
{
        int n = 0;

        *out = 0;
        for (; n < most && **at >= '0' && **at <= '9'; n++)
                *out = *out * 10 + *(*at)++ - '0';
        return n >= least;
}

static bool take_char(const char **at, char c)
{
        if (**at != c)
                return false;
        (*at)++;
        return true;
}

/* ":34", or nothing. */
static bool take_part(const char **at, int64_t *out)
{
        *out = 0;
        return !take_char(at, ':') || take_number(at, 2, 2, out);
}

static bool take_fraction(const char **at, int64_t *micros)
{
        int64_t unit = 100000;

        *micros = 0;
        if (!take_char(at, '.'))
                return true;
        for (; **at >= '0' && **at <= '9'; unit /= 10)
                *micros += (*(*at)++ - '0') * unit;
        return true;
}

static bool take_clock(const char **at, struct moment *m)
{
        int64_t hours, minutes, seconds;

        if (!take_number(at, 2, 2, &hours) || !take_part(at, &minutes) || !take_part(at, &seconds) ||
            !take_fraction(at, &m->micros))
                return false;
        m->seconds = hours * 3600 + minutes * 60 + seconds;
        return true;
}

static bool take_zone(const char **at, struct moment *m)
{
        bool west = **at == '-';
        int64_t hours, minutes, seconds;

        if (**at != '+' && **at != '-')
                return true;
        (*at)++;
        if (!take_number(at, 2, 2, &hours) || !take_part(at, &minutes) || !take_part(at, &seconds))
                return false;
        m->offset_s = (hours * 3600 + minutes * 60 + seconds) * (west ? -1 : 1);
        return true;
}

static bool parse(const char *at, struct moment *m)
{
        *m = (struct moment){0};
        if (!take_number(&at, 4, 7, &m->year) || !take_char(&at, '-') || !take_number(&at, 2, 2, &m->month) ||
            !take_char(&at, '-') || !take_number(&at, 2, 2, &m->day))
                return false;
        if (at[0] == ' ' && at[1] != 'B' && (at++, !take_clock(&at, m) || !take_zone(&at, m)))
                return false;
        if (strcmp(at, " BC") == 0) {
                m->year = 1 - m->year;
                at += 3;
        }
        return *at == 0;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar (Howard Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
        int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
        int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool micros_of(const struct moment *m, int64_t *out)
{
        int64_t seconds = days_of(m->year, m->month, m->day) * DAY_S + m->seconds - m->offset_s, us;

        if (__builtin_mul_overflow(seconds, SECOND_US, &us) || __builtin_add_overflow(us, m->micros, &us))
                return false;
        *out = us;
        return true;
}

sp_status sp_result_time(const sp_result *result, size_t row, size_t column, int64_t *out, sp_error **error)
{
        struct sp__cell cell;
        struct moment moment;
        sp_status status;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (cell.type != SP__OID_TIMESTAMPTZ && cell.type != SP__OID_TIMESTAMP && cell.type != SP__OID_DATE)
                return sp__cell_fail(&cell, SP_INVALID, "is neither a timestamp nor a date", error);
        if (strcmp(cell.text, "infinity") == 0 || strcmp(cell.text, "-infinity") == 0) {
                *out = *cell.text == '-' ? SP_TIME_NEG_INFINITY : SP_TIME_INFINITY;
                return SP_OK;
        }
        if (!parse(cell.text, &moment))
                return sp__cell_fail(&cell, SP_INVALID, "is not in ISO form: set the server's DateStyle to ISO", error);
        return micros_of(&moment, out)
                   ? SP_OK
                   : sp__cell_fail(&cell, SP_LIMIT, "does not fit into 64 bits of microseconds", error);
}
