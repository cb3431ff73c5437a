/* SPDX-License-Identifier: MIT */
#include "observe/own_name.h"

#include "core/error.h"
#include "core/params.h"
#include "observe/utf8.h"

#include <ctype.h>
#include <string.h>

enum { NAME_MAX_LEN = 128, HELP_MAX = 512 };

/* Prometheus' data model, without the locale. */
static bool word(const char *text, size_t len, bool colons)
{
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');

                if (!letter && (i == 0 || c < '0' || c > '9'))
                        return false;
        }
        return len > 0;
}

static bool begins(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, size_t len, const char *with)
{
        size_t tail = strlen(with);

        return len >= tail && memcmp(text + len - tail, with, tail) == 0;
}

/* Names of the library, and those that a family of either kind makes of its own. */
static bool taken(const char *name, size_t len)
{
        static const char *const first[] = {"sugarperf_", "db_client_", "cache_hit", "cache_misses"};
        static const char *const last[] = {"_total", "_bucket", "_sum", "_count", "_info", "_created"};

        for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
                if (begins(name, first[i]))
                        return true;
        }
        for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
                if (ends(name, len, last[i]))
                        return true;
        }
        return false;
}

static bool is_line(const char *help)
{
        size_t len = strnlen(help, HELP_MAX + 1);

        for (const char *at = help; at < help + len; at += sp__utf8_len(at)) {
                if (sp__utf8_len(at) == 0 || (unsigned char)*at < 0x20 || *at == 0x7f || *at == '\\')
                        return false;
        }
        return len > 0 && len <= HELP_MAX;
}

sp_status sp__own_check(const struct sp__own_wanted *wanted, size_t *out, sp_error **error)
{
        size_t len = strnlen(wanted->name, NAME_MAX_LEN + 1);

        if (wanted->kind == SP__OWN_COUNTER && ends(wanted->name, len, "_total"))
                len -= strlen("_total");
        if (len > NAME_MAX_LEN || !word(wanted->name, len, true))
                return sp__fail(error, SP_INVALID,
                                "a metric's name is 1 to %d of a-z, A-Z, 0-9, _ and :, no digit first", NAME_MAX_LEN);
        if (taken(wanted->name, len))
                return sp__fail(error, SP_INVALID,
                                "the name \"%.128s\" is the library's, or ends as a series of another's", wanted->name);
        if (wanted->kind == SP__OWN_HISTOGRAM && !ends(wanted->name, len, "_seconds"))
                return sp__fail(error, SP_INVALID, "a histogram is of durations: \"%.128s\" must end in _seconds",
                                wanted->name);
        if (!is_line(wanted->help))
                return sp__fail(error, SP_INVALID, "the help of \"%.128s\" must be one line, without backslashes",
                                wanted->name);
        *out = len;
        return SP_OK;
}

static sp_status bad_name(const char *name, sp_error **error)
{
        return sp__fail(error, SP_INVALID, "\"%.64s\" cannot be the name of a label", name);
}

static sp_status check_name(const struct sp__own_labels *labels, const char *name, size_t len, sp_error **error)
{
        if (strlen(name) != len || len > NAME_MAX_LEN || !word(name, len, false) || begins(name, "__") ||
            strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0)
                return bad_name(name, error);
        for (size_t i = 0; i < labels->count; i++) {
                if (strcmp(labels->names[i], name) == 0)
                        return sp__fail(error, SP_INVALID, "the label \"%.64s\" is there twice", name);
        }
        return SP_OK;
}

sp_status sp__own_labels(const sp_params *params, struct sp__own_labels *out, sp_error **error)
{
        size_t count = params ? sp_params_count(params) : 0, len, value_len;
        struct sp__own_labels labels = {0};

        if (count % 2 || count / 2 > SP_METRICS_LABELS)
                return sp__fail(error, SP_INVALID, "labels are pairs of name and value, at most %d", SP_METRICS_LABELS);
        for (size_t i = 0; i < count; i += 2) {
                const char *name = sp__params_get(params, i, &len), *value = sp__params_get(params, i + 1, &value_len);
                sp_status status;

                if (!name || !value)
                        return sp__fail(error, SP_INVALID, "a label's name or value is NULL");
                status = check_name(&labels, name, len, error);
                if (status != SP_OK)
                        return status;
                labels.names[labels.count] = name;
                labels.values[labels.count] = value;
                labels.lens[labels.count++] = sp__utf8_cut(value, SP__OWN_VALUE_MAX);
        }
        *out = labels;
        return SP_OK;
}
