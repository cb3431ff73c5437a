/* SPDX-License-Identifier: MIT */
/* Values lie one behind the other in one run of bytes, each with a zero byte behind it. */
#include "core/params.h"

#include "base/buf.h"
#include "base/hash.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 65535, VALUES_IN_ALL = 1 << 24, HEAD = 4, SETS_HEAD = 8, CELL_HEAD = 5, FEW = 8 };

#define BYTES_MAX ((size_t)1 << 30)

struct cell {
        size_t offset;
        int32_t len; /* -1: NULL */
        bool binary;
};

struct sp_params {
        struct sp__buf bytes;
        struct cell *cells;
        size_t count;
        size_t cap;
        size_t zero;  /* the first text value with a zero byte, from 1; 0: none */
        size_t *ends; /* of the complete sets: how many values there are up to it */
        size_t sets;
        size_t ends_cap;
        struct sp__buf array; /* the one that was begun, as PostgreSQL writes it */
        bool in_array;
        /* The view, made anew when it is asked for. */
        const char **values;
        int *lengths;
        int *formats;
        size_t view_cap;
        /* Room for as many as most statements have. */
        const char *few_values[FEW];
        int few_lengths[FEW];
        int few_formats[FEW];
};

sp_params *sp_params_new(void)
{
        /* Not calloc(), which passes glibc's per-thread cache by. */
        sp_params *params = malloc(sizeof *params);

        if (params)
                *params = (sp_params){0};
        return params;
}

void sp_params_free(sp_params *params)
{
        if (!params)
                return;
        sp__buf_free(&params->bytes);
        sp__buf_free(&params->array);
        free(params->cells);
        free(params->ends);
        free(params->values);
        free(params->lengths);
        free(params->formats);
        free(params);
}

void sp_params_clear(sp_params *params)
{
        if (!params)
                return;
        sp__buf_clear(&params->bytes);
        params->count = 0;
        params->zero = 0;
        params->sets = 0;
        params->in_array = false;
}

/* Where the set begins. */
static size_t start_of(const sp_params *params, size_t set)
{
        return set ? params->ends[set - 1] : 0;
}

static bool cells_grow(sp_params *params)
{
        size_t cap = params->cap ? params->cap * 2 : 8;
        struct cell *cells = realloc(params->cells, cap * sizeof *cells);

        if (!cells)
                return false;
        params->cells = cells;
        params->cap = cap;
        return true;
}

/* In quotes whatever it is: an empty text, NULL as a word, blanks. */
static void array_text(struct sp__buf *array, const char *data, size_t len)
{
        sp__buf_char(array, '"');
        for (size_t i = 0; i < len; i++) {
                if (data[i] == '"' || data[i] == '\\')
                        sp__buf_char(array, '\\');
                sp__buf_char(array, data[i]);
        }
        sp__buf_char(array, '"');
}

static void array_bytes(struct sp__buf *array, const unsigned char *data, size_t len)
{
        static const char digits[] = "0123456789abcdef";

        sp__buf_text(array, "\"\\\\x");
        for (size_t i = 0; i < len; i++) {
                sp__buf_char(array, digits[data[i] >> 4]);
                sp__buf_char(array, digits[data[i] & 15]);
        }
        sp__buf_char(array, '"');
}

static sp_status array_add(sp_params *params, const void *data, int32_t len, bool binary)
{
        struct sp__buf *array = &params->array;

        if (array->len + (len > 0 ? (size_t)len : 0) > BYTES_MAX)
                return SP_LIMIT;
        sp__buf_char(array, array->len == 0 ? '{' : ',');
        if (len < 0)
                sp__buf_text(array, "NULL");
        else if (binary)
                array_bytes(array, data, (size_t)len);
        else
                array_text(array, data, (size_t)len);
        return array->failed ? SP_NOMEM : SP_OK;
}

static sp_status add(sp_params *params, const void *data, int32_t len, bool binary)
{
        struct cell cell = {.len = len, .binary = binary};

        if (!params || (!data && len > 0))
                return SP_INVALID;
        if (params->in_array)
                return array_add(params, data, len, binary);
        cell.offset = params->bytes.len;
        if (params->count - start_of(params, params->sets) == VALUES_MAX || params->count == VALUES_IN_ALL ||
            params->bytes.len + (len > 0 ? (size_t)len : 0) > BYTES_MAX)
                return SP_LIMIT;
        if (params->count == params->cap && !cells_grow(params))
                return SP_NOMEM;
        if (len >= 0) {
                sp__buf_add(&params->bytes, data, (size_t)len);
                sp__buf_char(&params->bytes, 0);
        }
        if (params->bytes.failed) {
                params->bytes.failed = false;
                params->bytes.len = cell.offset;
                return SP_NOMEM;
        }
        params->cells[params->count++] = cell;
        if (!params->zero && !binary && len > 0 && memchr(data, 0, (size_t)len))
                params->zero = params->count;
        return SP_OK;
}

sp_status sp_params_add_text(sp_params *params, const void *data, size_t len)
{
        return len > BYTES_MAX ? SP_LIMIT : add(params, data, (int32_t)len, false);
}

sp_status sp_params_add_bytes(sp_params *params, const void *data, size_t len)
{
        return len > BYTES_MAX ? SP_LIMIT : add(params, data, (int32_t)len, true);
}

sp_status sp_params_add_int(sp_params *params, int64_t value)
{
        char text[24], *at = text + sizeof text;
        uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

        do {
                *--at = (char)('0' + left % 10);
                left /= 10;
        } while (left > 0);
        if (value < 0)
                *--at = '-';
        return add(params, at, (int)(text + sizeof text - at), false);
}

/* With as many digits as it takes: a numeric keeps all that it is given, and 0.1 would come to it as 0.10000000000000001. */
static void double_text(double value, char text[32])
{
        for (int digits = 15; digits <= 17; digits++) {
                snprintf(text, 32, "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        sp__point_restore(text);
}

sp_status sp_params_add_double(sp_params *params, double value)
{
        char text[32];

        if (isnan(value))
                return add(params, "NaN", 3, false);
        if (isinf(value))
                return add(params, value < 0 ? "-Infinity" : "Infinity", value < 0 ? 9 : 8, false);
        double_text(value, text);
        return add(params, text, (int)strlen(text), false);
}

sp_status sp_params_add_bool(sp_params *params, bool value)
{
        return add(params, value ? "t" : "f", 1, false);
}

sp_status sp_params_add_null(sp_params *params)
{
        return add(params, NULL, -1, false);
}

size_t sp_params_count(const sp_params *params)
{
        return params ? params->count : 0;
}

sp_status sp_params_begin_array(sp_params *params)
{
        if (!params || params->in_array)
                return SP_INVALID;
        sp__buf_clear(&params->array);
        params->in_array = true;
        return SP_OK;
}

sp_status sp_params_end_array(sp_params *params)
{
        struct sp__buf *array = params ? &params->array : NULL;

        if (!params || !params->in_array)
                return SP_INVALID;
        params->in_array = false;
        sp__buf_text(array, array->len == 0 ? "{}" : "}");
        if (array->failed) {
                array->failed = false;
                return SP_NOMEM;
        }
        return array->len > BYTES_MAX ? SP_LIMIT : add(params, array->data, (int32_t)array->len, false);
}

sp_status sp_params_next(sp_params *params)
{
        if (!params || params->in_array)
                return SP_INVALID;
        if (params->sets == params->ends_cap) {
                size_t cap = params->ends_cap ? params->ends_cap * 2 : 16;
                size_t *ends = realloc(params->ends, cap * sizeof *ends);

                if (!ends)
                        return SP_NOMEM;
                params->ends = ends;
                params->ends_cap = cap;
        }
        params->ends[params->sets++] = params->count;
        return SP_OK;
}

size_t sp_params_sets(const sp_params *params)
{
        return params ? params->sets + (params->count > start_of(params, params->sets)) : 0;
}

size_t sp__params_set_count(const sp_params *params, size_t set)
{
        return (set < params->sets ? params->ends[set] : params->count) - start_of(params, set);
}

bool sp__params_open(const sp_params *params)
{
        return params && params->in_array;
}

static size_t load_cell(sp_params *params, const char *at, size_t left, sp_status *status);

/* Elements are cells, but no arrays. Its size there, 0 when malformed. */
static size_t load_array(sp_params *params, const char *at, size_t left, sp_status *status)
{
        size_t size = CELL_HEAD, one;
        int32_t count = (int32_t)sp__get_u32(at + 1);

        *status = count < 0 ? SP_INVALID : sp_params_begin_array(params);
        for (int32_t i = 0; i < count && *status == SP_OK; i++, size += one) {
                one = load_cell(params, at + size, left - size, status);
                if (one == 0)
                        return 0;
        }
        if (*status == SP_OK)
                *status = sp_params_end_array(params);
        return size;
}

/* One value of the packed form; its size there, 0 when malformed, and the status of adding it. */
static size_t load_cell(sp_params *params, const char *at, size_t left, sp_status *status)
{
        int32_t len;

        if (left >= CELL_HEAD && at[0] == 'a')
                return load_array(params, at, left, status);
        if (left < CELL_HEAD || (at[0] != 't' && at[0] != 'b'))
                return 0;
        len = (int32_t)sp__get_u32(at + 1);
        if (len < -1 || (len > 0 && (size_t)len > left - CELL_HEAD))
                return 0;
        *status = add(params, at + CELL_HEAD, len, at[0] == 'b');
        return CELL_HEAD + (len > 0 ? (size_t)len : 0);
}

static sp_status load_set(sp_params *params, const char **at, const char *end, size_t count)
{
        sp_status status = SP_OK;
        size_t size;

        for (size_t i = 0; i < count && status == SP_OK; i++, *at += size) {
                size = load_cell(params, *at, (size_t)(end - *at), &status);
                if (size == 0)
                        return SP_INVALID;
        }
        return status;
}

static sp_status load_sets(sp_params *params, const char *at, const char *end)
{
        size_t count = sp__get_u16(at + 2), sets = sp__get_u32(at + HEAD);
        sp_status status = SP_OK;

        at += SETS_HEAD;
        /* Sets without a value would cost nothing there, and memory here. */
        if (count == 0 ? sets > VALUES_MAX : sets > (size_t)(end - at) / CELL_HEAD)
                return SP_INVALID;
        for (size_t i = 0; i < sets && status == SP_OK; i++) {
                status = load_set(params, &at, end, count);
                if (status == SP_OK)
                        status = sp_params_next(params);
        }
        return status == SP_OK && at != end ? SP_INVALID : status;
}

static sp_status load_one(sp_params *params, const char *at, const char *end)
{
        size_t count = sp__get_u16(at + 2);
        sp_status status;

        at += HEAD;
        status = load_set(params, &at, end, count);
        return status == SP_OK && at != end ? SP_INVALID : status;
}

sp_status sp_params_load(sp_params *params, const void *data, size_t len)
{
        const char *at = data;
        sp_status status = SP_INVALID;

        if (!params || (!data && len > 0))
                return SP_INVALID;
        sp_params_clear(params);
        if (len >= HEAD && at[0] == 1 && at[1] == 0)
                status = load_one(params, at, at + len);
        else if (len >= SETS_HEAD && at[0] == 2 && at[1] == 0)
                status = load_sets(params, at, at + len);
        if (status != SP_OK)
                sp_params_clear(params);
        return status;
}

static bool view_grow(sp_params *params)
{
        const char **values = realloc(params->values, params->cap * sizeof *values);
        int *lengths = realloc(params->lengths, params->cap * sizeof *lengths);
        int *formats = realloc(params->formats, params->cap * sizeof *formats);

        params->values = values ? values : params->values;
        params->lengths = lengths ? lengths : params->lengths;
        params->formats = formats ? formats : params->formats;
        if (!values || !lengths || !formats)
                return false;
        params->view_cap = params->cap;
        return true;
}

bool sp__params_view_set(const sp_params *shared, size_t set, struct sp__params_view *view)
{
        /* The view is a memo: one thread at a time, as everything of sp_params. */
        sp_params *params = (sp_params *)(uintptr_t)shared;
        size_t count = params ? sp__params_set_count(params, set) : 0;
        bool few = count <= FEW;
        const struct cell *cells;
        const char **values;
        int *lengths, *formats;

        *view = (struct sp__params_view){0};
        if (count == 0)
                return true;
        if (!few && params->view_cap < count && !view_grow(params))
                return false;
        cells = params->cells + start_of(params, set);
        values = few ? params->few_values : params->values;
        lengths = few ? params->few_lengths : params->lengths;
        formats = few ? params->few_formats : params->formats;
        for (size_t i = 0; i < count; i++) {
                values[i] = cells[i].len < 0 ? NULL : params->bytes.data + cells[i].offset;
                lengths[i] = cells[i].len < 0 ? 0 : cells[i].len;
                formats[i] = cells[i].binary;
        }
        *view = (struct sp__params_view){(int)count, values, lengths, formats};
        return true;
}

bool sp__params_view(const sp_params *params, struct sp__params_view *view)
{
        return sp__params_view_set(params, 0, view);
}

static bool copy_ends(sp_params *copy, const sp_params *params)
{
        if (params->sets == 0)
                return true;
        copy->ends = malloc(params->sets * sizeof *copy->ends);
        if (!copy->ends)
                return false;
        memcpy(copy->ends, params->ends, params->sets * sizeof *copy->ends);
        copy->sets = copy->ends_cap = params->sets;
        return true;
}

sp_params *sp__params_copy(const sp_params *params)
{
        sp_params *copy = params ? sp_params_new() : NULL;

        if (!copy)
                return NULL;
        /* No more than it needs: thousands may wait. */
        copy->bytes.data = malloc(params->bytes.len + 1);
        copy->cells = malloc((params->count ? params->count : 1) * sizeof *copy->cells);
        if (!copy->bytes.data || !copy->cells || !copy_ends(copy, params)) {
                sp_params_free(copy);
                return NULL;
        }
        if (params->bytes.len)
                memcpy(copy->bytes.data, params->bytes.data, params->bytes.len);
        if (params->count)
                memcpy(copy->cells, params->cells, params->count * sizeof *copy->cells);
        copy->bytes.len = params->bytes.len;
        copy->bytes.cap = params->bytes.len + 1;
        copy->count = params->count;
        copy->zero = params->zero;
        copy->cap = params->count ? params->count : 1;
        return copy;
}

size_t sp__params_zero(const sp_params *params)
{
        return params ? params->zero : 0;
}

const char *sp__params_get(const sp_params *params, size_t index, size_t *len)
{
        const struct cell *cell = &params->cells[index];

        if (cell->len < 0)
                return NULL;
        *len = (size_t)cell->len;
        return params->bytes.data + cell->offset;
}

/* Apart, so that what is done for numbers is short. */
static __attribute__((noinline)) uint64_t long_hash(const char *data, size_t len, uint64_t seed)
{
        return sp__hash(data, len, seed);
}

/* NULL, text and bytes of the same length must not look alike. */
static uint64_t cell_hash(const sp_params *params, const struct cell *cell)
{
        const char *data = params->bytes.data;

        if (cell->len <= 0)
                return sp__hash_brief(NULL, 0, cell->len < 0 ? 2 : cell->binary);
        return cell->len > SP__BRIEF ? long_hash(data + cell->offset, (size_t)cell->len, cell->binary)
                                     : sp__hash_brief(data + cell->offset, (size_t)cell->len, cell->binary);
}

uint32_t sp__params_print(const sp_params *params, uint16_t each[SP__PRINTED], uint8_t *count)
{
        size_t values = params ? params->count : 0;
        uint64_t all = 0;

        if (params && params->sets && sp_params_sets(params) > 1) {
                *count = SP__SETS;
                return 0;
        }
        *count = (uint8_t)(values < SP__PRINTED ? values : SP__PRINTED);
        for (size_t i = 0; i < values; i++) {
                uint64_t hash = cell_hash(params, &params->cells[i]);

                all = all * 0x9e3779b97f4a7c15u + hash;
                if (i < SP__PRINTED)
                        each[i] = (uint16_t)(hash >> 48);
        }
        return (uint32_t)(all >> 32);
}
