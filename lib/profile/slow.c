/* SPDX-License-Identifier: MIT */
#include "profile/slow.h"

#include "observe/utf8.h"
#include "profile/names.h"

#include <stdlib.h>

struct sp_slow {
        int64_t duration_ns;
        int64_t wait_ns;
        const char *text;
        char name[]; /* the text lies behind it */
};

static sp_slow *slow_new(const char *name, const char *text)
{
        size_t name_len = sp__utf8_cut(name, SP__NAME_MAX), text_len = sp__utf8_cut(text, SP__SLOW_TEXT_MAX);
        sp_slow *slow = calloc(1, sizeof *slow + name_len + 1 + text_len + 1);
        char *behind;

        if (!slow)
                return NULL;
        behind = slow->name + name_len + 1;
        memcpy(slow->name, name, name_len);
        memcpy(behind, text, text_len);
        slow->text = behind;
        return slow;
}

/* Under the mutex. What fell out, NULL if nothing did. */
static sp_slow *push(struct sp__slow_log *log, sp_slow *slow)
{
        sp_slow *lost = NULL;

        if (log->count == log->cap) {
                lost = log->ring[log->first];
                log->first = (log->first + 1) % log->cap;
                log->count--;
        }
        log->ring[(log->first + log->count++) % log->cap] = slow;
        return lost;
}

bool sp__slow_log_init(struct sp__slow_log *log, size_t cap)
{
        log->ring = calloc(cap, sizeof(sp_slow *));
        log->cap = cap;
        sp__mutex_init(&log->mutex);
        return log->ring != NULL;
}

void sp__slow_log_destroy(struct sp__slow_log *log)
{
        for (size_t i = 0; i < log->count; i++)
                free(log->ring[(log->first + i) % log->cap]);
        free(log->ring);
        sp__mutex_destroy(&log->mutex);
}

void sp__slow_log_add(struct sp__slow_log *log, const char *name, const char *text, int64_t duration_ns,
                      int64_t wait_ns)
{
        sp_slow *slow = slow_new(name ? name : "", text ? text : ""), *lost;

        atomic_fetch_add(&log->total, 1);
        if (!slow) {
                atomic_fetch_add(&log->missed, 1);
                return;
        }
        slow->duration_ns = duration_ns;
        slow->wait_ns = wait_ns;
        sp__lock(&log->mutex);
        lost = push(log, slow);
        sp__unlock(&log->mutex);
        if (lost)
                atomic_fetch_add(&log->missed, 1);
        free(lost);
}

sp_slow *sp__slow_log_take(struct sp__slow_log *log)
{
        sp_slow *slow = NULL;

        sp__lock(&log->mutex);
        if (log->count) {
                slow = log->ring[log->first];
                log->first = (log->first + 1) % log->cap;
                log->count--;
        }
        sp__unlock(&log->mutex);
        return slow;
}

const char *sp_slow_name(const sp_slow *slow)
{
        return slow->name;
}

const char *sp_slow_text(const sp_slow *slow)
{
        return slow->text;
}

int64_t sp_slow_duration_ns(const sp_slow *slow)
{
        return slow->duration_ns;
}

int64_t sp_slow_wait_ns(const sp_slow *slow)
{
        return slow->wait_ns;
}

void sp_slow_free(sp_slow *slow)
{
        free(slow);
}
