/* SPDX-License-Identifier: MIT */
#include "core/value.h"

#include "base/stripe.h"

#include <stdlib.h>
#include <string.h>

/*
 * `refs`: what a value is held by. While it is listed, references may also be pins, so the count may even be negative, where
 * more pins were counted down than counted up. Only where nothing is left, 0, the value is over; BUSY keeps it while pins
 * are being turned into counts.
 */
enum { BUSY = 1, LISTED = 2, ONE = 4 };

/* A cache line of pins, for one thread where there are no more than stripes. */
enum { PINS = 8 };
static struct line {
        _Alignas(64) sp__pin pins[PINS];
} lines[SP__STRIPES];

sp_value *sp__value_blank(size_t len, uint32_t codec, char **bytes)
{
        sp_value *value = len <= UINT32_MAX ? malloc(sizeof *value + len + 1) : NULL;

        if (!value)
                return NULL;
        sp__value_init(value, 0, len, codec);
        *bytes = value->bytes;
        return value;
}

void sp__value_init(sp_value *value, size_t lead, size_t len, uint32_t codec)
{
        atomic_init(&value->refs, ONE);
        value->codec = (uint8_t)codec;
        value->lead = (uint8_t)lead;
        value->outer = false;
        value->len = (uint32_t)len;
        value->bytes[len] = 0;
}

size_t sp__value_size(const sp_value *value)
{
        return sizeof *value + value->len + 1;
}

sp_value *sp_value_new(const void *data, size_t len, uint32_t codec)
{
        char *bytes;
        sp_value *value = (data || len == 0) && codec <= UINT8_MAX ? sp__value_blank(len, codec, &bytes) : NULL;

        if (value && len)
                memcpy(bytes, data, len);
        return value;
}

sp_value *sp_value_ref(sp_value *value)
{
        if (value)
                atomic_fetch_add_explicit(&value->refs, ONE, memory_order_relaxed);
        return value;
}

static void count_down(sp_value *value);

static void destroy(sp_value *value)
{
        sp_value *inner = NULL;

        if (value->outer)
                memcpy(&inner, value->bytes, sizeof inner);
        free((char *)value - (size_t)value->lead * 8);
        if (inner)
                count_down(inner);
}

static void count_down(sp_value *value)
{
        if (atomic_fetch_sub_explicit(&value->refs, ONE, memory_order_acq_rel) == ONE)
                destroy(value);
}

/* Whether one of this thread's pins was the value's. */
static bool clear_pin(sp_value *value)
{
        struct line *line = &lines[sp__stripe()];

        for (int i = 0; i < PINS; i++) {
                sp_value *is = atomic_load_explicit(&line->pins[i], memory_order_relaxed);

                if (is == value && atomic_compare_exchange_strong(&line->pins[i], &is, NULL))
                        return true;
        }
        return false;
}

void sp_value_unref(sp_value *value)
{
        if (!value)
                return;
        if (atomic_load_explicit(&value->refs, memory_order_relaxed) & LISTED && clear_pin(value))
                return;
        count_down(value);
}

void sp__value_list(sp_value *value)
{
        atomic_fetch_add_explicit(&value->refs, LISTED - ONE, memory_order_relaxed);
}

/* Nobody pins it any more but by mistake, and takes that back. So no pin can move from where this has not looked yet. */
void sp__value_delist(sp_value *value)
{
        unsigned used;
        int found = 0;

        atomic_fetch_add(&value->refs, BUSY - LISTED);
        used = sp__stripes_used();
        for (unsigned s = 0; s < used; s++) {
                for (int i = 0; i < PINS; i++) {
                        sp_value *is = atomic_load(&lines[s].pins[i]);

                        if (is == value && atomic_compare_exchange_strong(&lines[s].pins[i], &is, NULL))
                                found++;
                }
        }
        if (atomic_fetch_add(&value->refs, found * ONE - BUSY) == BUSY - found * ONE)
                destroy(value);
}

sp__pin *sp__value_pin(sp_value *value)
{
        struct line *line = &lines[sp__stripe()];

        for (int i = 0; i < PINS; i++) {
                sp_value *none = atomic_load_explicit(&line->pins[i], memory_order_relaxed);

                if (!none && atomic_compare_exchange_strong(&line->pins[i], &none, value))
                        return &line->pins[i];
        }
        return NULL;
}

/*
 * Where it is gone, somebody took it for a reference of his own and left the count as it was; so this pin is in the count
 * now. That holds also where the value that was to be pinned is over and another one lies in its place.
 */
void sp__value_unpin(sp__pin *pin, sp_value *value)
{
        sp_value *is = value;

        if (!atomic_compare_exchange_strong(pin, &is, NULL))
                count_down(value);
}

const void *sp_value_data(const sp_value *value, size_t *len)
{
        *len = value->len;
        return value->bytes;
}

uint32_t sp_value_codec(const sp_value *value)
{
        return value->codec;
}
