/* SPDX-License-Identifier: MIT */
#include "observe/exposition.h"

#include "base/clock.h"
#include "observe/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/metrics.h>

struct sp__expo_family {
        const char *name;
        const char *type;
        const char *help;
        struct sp__buf samples;
};

enum { NUMBER_MAX = 40 };

void sp__expo_init(struct sp__expo *expo, int format)
{
        *expo = (struct sp__expo){.format = format};
}

void sp__expo_free(struct sp__expo *expo)
{
        for (size_t i = 0; i < expo->count; i++)
                sp__buf_free(&expo->families[i].samples);
        free(expo->families);
        *expo = (struct sp__expo){.format = expo->format};
}

void sp__expo_family(struct sp__expo *expo, const char *name, const char *type, const char *help)
{
        struct sp__expo_family *families;

        for (size_t i = 0; i < expo->count; i++) {
                if (strcmp(expo->families[i].name, name) == 0) {
                        expo->current = i + 1;
                        return;
                }
        }
        families = realloc(expo->families, (expo->count + 1) * sizeof *families);
        expo->current = 0;
        if (!families) {
                expo->failed = true;
                return;
        }
        expo->families = families;
        families[expo->count] = (struct sp__expo_family){.name = name, .type = type, .help = help};
        expo->current = ++expo->count;
}

/* Integers in full where a double holds them exactly, else the fewest digits that read back as the same number. */
static void number_text(double value, char text[NUMBER_MAX])
{
        if (isnan(value)) {
                strcpy(text, "NaN");
        } else if (isinf(value)) {
                strcpy(text, value < 0 ? "-Inf" : "+Inf");
        } else if (fabs(value) < 0x1.0p53 && value == floor(value)) {
                snprintf(text, NUMBER_MAX, "%" PRId64, (int64_t)value);
        } else {
                for (int digits = 15; digits <= 17; digits++) {
                        snprintf(text, NUMBER_MAX, "%.*g", digits, value);
                        if (strtod(text, NULL) == value)
                                break;
                }
                sp__point_restore(text);
        }
}

static void label_value(struct sp__buf *out, const char *text)
{
        while (*text) {
                size_t len = sp__utf8_len(text);

                if (*text == '\\' || *text == '"')
                        sp__buf_char(out, '\\');
                if (*text == '\n')
                        sp__buf_text(out, "\\n");
                else if (len)
                        sp__buf_add(out, text, len);
                else
                        sp__buf_text(out, "\xef\xbf\xbd");
                text += len ? len : 1;
        }
}

static void label(struct sp__buf *out, char before, const char *name, const char *value)
{
        sp__buf_char(out, before);
        sp__buf_text(out, name);
        sp__buf_text(out, "=\"");
        label_value(out, value);
        sp__buf_char(out, '"');
}

/* `bound`: the value of a label "le" after the others, NULL for none. */
static void line(struct sp__expo *expo, const char *suffix, const char *const labels[], const char *bound,
                 const char *number)
{
        struct sp__expo_family *family = &expo->families[expo->current - 1];
        struct sp__buf *out = &family->samples;
        char before = '{';

        sp__buf_text(out, family->name);
        sp__buf_text(out, suffix ? suffix : "");
        for (; labels && labels[0]; labels += 2, before = ',')
                label(out, before, labels[0], labels[1]);
        if (bound) {
                label(out, before, "le", bound);
                before = ',';
        }
        if (before == ',')
                sp__buf_char(out, '}');
        sp__buf_char(out, ' ');
        sp__buf_text(out, number);
        sp__buf_char(out, '\n');
}

void sp__expo_sample(struct sp__expo *expo, const char *suffix, const char *const labels[], double value)
{
        char number[NUMBER_MAX];

        if (!expo->current)
                return;
        number_text(value, number);
        line(expo, suffix, labels, NULL, number);
}

/* OpenMetrics wants bounds as floating-point numbers: "1.0". */
static void bound_text(const struct sp__expo *expo, size_t index, char text[NUMBER_MAX])
{
        number_text(index < SP__BOUNDS ? (double)sp__bounds_ns[index] / SP__SECOND : INFINITY, text);
        if (expo->format == SP_METRICS_OPENMETRICS && !strpbrk(text, ".eI"))
                strcat(text, ".0");
}

void sp__expo_buckets(struct sp__expo *expo, const char *const labels[], const struct sp__buckets *buckets)
{
        char bound[NUMBER_MAX], number[NUMBER_MAX] = "0";
        int64_t count = 0;

        if (!expo->current)
                return;
        for (size_t i = 0; i <= SP__BOUNDS; i++) {
                count += buckets->counts[i];
                bound_text(expo, i, bound);
                snprintf(number, sizeof number, "%" PRId64, count);
                line(expo, "_bucket", labels, bound, number);
        }
        sp__expo_sample(expo, "_sum", labels, (double)buckets->sum_ns / SP__SECOND);
        line(expo, "_count", labels, NULL, number);
}

void sp__expo_histogram(struct sp__expo *expo, const char *const labels[], const struct sp__histogram *histogram)
{
        struct sp__buckets buckets;

        sp__histogram_buckets(histogram, &buckets);
        sp__expo_buckets(expo, labels, &buckets);
}

static void head(const struct sp__expo *expo, const struct sp__expo_family *family, struct sp__buf *out)
{
        bool plain = expo->format != SP_METRICS_OPENMETRICS;
        const char *total = plain && strcmp(family->type, "counter") == 0 ? "_total" : "";

        sp__buf_format(out, "# HELP %s%s %s\n", family->name, total, family->help);
        sp__buf_format(out, "# TYPE %s%s %s\n", family->name, total, family->type);
}

bool sp__expo_text(const struct sp__expo *expo, struct sp__buf *out)
{
        bool failed = expo->failed;

        for (size_t i = 0; i < expo->count; i++) {
                const struct sp__expo_family *family = &expo->families[i];

                failed |= family->samples.failed;
                if (family->samples.len == 0)
                        continue;
                head(expo, family, out);
                sp__buf_add(out, family->samples.data, family->samples.len);
        }
        if (expo->format == SP_METRICS_OPENMETRICS)
                sp__buf_text(out, "# EOF\n");
        return !failed && !out->failed;
}
