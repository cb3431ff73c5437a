/* SPDX-License-Identifier: MIT */
#include "pg/stmt.h"

#include "base/buf.h"
#include "base/hash.h"
#include "core/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        NAME_LEN = 128,
        KNOWN_FLAGS = SP_STMT_READ | SP_STMT_WRITE | SP_STMT_IDEMPOTENT | SP_STMT_UNNAMED | SP_STMT_OPAQUE
};

static bool copy_texts(sp_stmt *stmt, const char *name, const char *data, size_t len)
{
        XXH128_hash_t hash = XXH3_128bits(data, len);

        snprintf(stmt->id, sizeof stmt->id, "sp_%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
                 (uint64_t)hash.low64);
        stmt->hash = hash.low64;
        stmt->text = malloc(len + 1);
        if (!stmt->text)
                return false;
        memcpy(stmt->text, data, len);
        stmt->text[len] = 0;
        if (name)
                stmt->name = strdup(name);
        else if (asprintf(&stmt->name, "q_%016" PRIx64, stmt->sql.fingerprint) < 0)
                stmt->name = NULL;
        return stmt->name != NULL;
}

static sp_status check_name(const char *name, sp_error **error)
{
        if (name && (!*name || strlen(name) > NAME_LEN))
                return sp__fail(error, SP_LIMIT, "a statement's name must have 1 to %d bytes", NAME_LEN);
        return SP_OK;
}

static sp_status parse(const void *data, size_t len, uint32_t flags, struct sp__sql *sql, sp_error **error)
{
        sp_status status;

        if (flags & ~(uint32_t)KNOWN_FLAGS)
                return sp__fail(error, SP_INVALID, "unknown flags 0x%x", flags & ~(uint32_t)KNOWN_FLAGS);
        if ((flags & SP_STMT_READ) && (flags & SP_STMT_WRITE))
                return sp__fail(error, SP_INVALID, "it is declared to be a read and to write");
        status = sp__sql_parse(data, len, sql, error);
        if (status != SP_INVALID || !(flags & SP_STMT_OPAQUE))
                return status;
        if (error) {
                sp_error_free(*error);
                *error = NULL;
        }
        return sp__sql_opaque(data, len, sql, error);
}

sp_status sp_stmt_new(const char *name, const void *data, size_t len, uint32_t flags, sp_stmt **out, sp_error **error)
{
        sp_status status = check_name(name, error);
        sp_error *cause = NULL;
        struct sp__sql sql;
        sp_stmt *stmt;

        SP__NEED(data, error);
        SP__NEED(out, error);
        if (status != SP_OK)
                return status;
        /* What the text shows is told without the name. */
        status = parse(data, len, flags, &sql, &cause);
        if (status != SP_OK) {
                if (!name || !cause) {
                        sp__error_give(error, cause);
                        return status;
                }
                sp__fail(error, status, "statement \"%s\": %s", name, sp_error_message(cause));
                sp_error_free(cause);
                return status;
        }
        stmt = calloc(1, sizeof *stmt);
        if (!stmt) {
                sp__sql_free(&sql);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        atomic_init(&stmt->refs, 1);
        stmt->flags = flags;
        stmt->sql = sql;
        if (!copy_texts(stmt, name, data, len)) {
                sp_stmt_unref(stmt);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        *out = stmt;
        return SP_OK;
}

sp_status sp_stmt_split(const void *data, size_t len, sp_value **out, sp_error **error)
{
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value = NULL;
        sp_status status;

        SP__NEED(data, error);
        SP__NEED(out, error);
        status = sp__sql_split(data, len, &buf, error);
        if (status == SP_OK && !buf.failed)
                value = sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        if (status == SP_OK && !value)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                *out = value;
        return status;
}

sp_stmt *sp__stmt_own(const char *name, const char *text)
{
        sp_stmt *stmt = calloc(1, sizeof *stmt);

        if (!stmt)
                return NULL;
        atomic_init(&stmt->refs, 1);
        stmt->flags = SP_STMT_UNNAMED;
        stmt->sql.kind = SP__SQL_SESSION;
        stmt->sql.text = strdup(name);
        if (stmt->sql.text && copy_texts(stmt, name, text, strlen(text)))
                return stmt;
        sp_stmt_unref(stmt);
        return NULL;
}

sp_stmt *sp_stmt_ref(sp_stmt *stmt)
{
        if (stmt)
                atomic_fetch_add_explicit(&stmt->refs, 1, memory_order_relaxed);
        return stmt;
}

void sp_stmt_unref(sp_stmt *stmt)
{
        if (!stmt || atomic_fetch_sub_explicit(&stmt->refs, 1, memory_order_acq_rel) != 1)
                return;
        sp__sql_free(&stmt->sql);
        free(stmt->name);
        free(stmt->text);
        free(stmt);
}

const char *sp_stmt_name(const sp_stmt *stmt)
{
        return stmt ? stmt->name : "";
}

bool sp__stmt_reads(const sp_stmt *stmt)
{
        bool declared = stmt->flags & SP_STMT_READ;
        bool seems = stmt->sql.kind == SP__SQL_READ && !(stmt->flags & SP_STMT_WRITE);

        return (declared || seems) && !atomic_load_explicit(&stmt->writes, memory_order_relaxed);
}

bool sp__stmt_says_write(const sp_stmt *stmt)
{
        return (stmt->flags & SP_STMT_WRITE) || (stmt->sql.kind == SP__SQL_WRITE && !(stmt->flags & SP_STMT_READ));
}

bool sp_stmt_repeatable(const sp_stmt *stmt)
{
        return stmt && ((stmt->flags & SP_STMT_IDEMPOTENT) || (sp__stmt_reads(stmt) && !sp__stmt_obscure(stmt)));
}

bool sp__stmt_obscure(const sp_stmt *stmt)
{
        return stmt->sql.obscure && !(stmt->flags & SP_STMT_READ);
}

bool sp__stmt_joins(const sp_stmt *shared)
{
        sp_stmt *stmt = (sp_stmt *)(uintptr_t)shared;

        /* What its function sets with SET LOCAL would be the whole group's. */
        if (!sp__stmt_reads(stmt) || stmt->sql.clock || sp__stmt_obscure(stmt))
                return false;
        if (atomic_load_explicit(&stmt->apart, memory_order_relaxed) <= 0)
                return true;
        atomic_fetch_sub_explicit(&stmt->apart, 1, memory_order_relaxed);
        return false;
}

void sp__stmt_part(const sp_stmt *shared, int times)
{
        atomic_store_explicit(&((sp_stmt *)(uintptr_t)shared)->apart, times, memory_order_relaxed);
}

void sp__stmt_replan(const sp_stmt *shared, unsigned plan)
{
        atomic_uint *number = &((sp_stmt *)(uintptr_t)shared)->plan;
        unsigned old = atomic_load(number);

        /* Many that were on their way find out; one is enough. */
        while (old <= plan && !atomic_compare_exchange_weak(number, &old, plan + 1)) {
                /* Another one was first: perhaps it was enough. */
        }
}

void sp__stmt_vain(const sp_stmt *shared, int64_t now)
{
        atomic_store_explicit(&((sp_stmt *)(uintptr_t)shared)->vain_ns, now, memory_order_relaxed);
}

void sp__stmt_writes(const sp_stmt *shared)
{
        atomic_store_explicit(&((sp_stmt *)(uintptr_t)shared)->writes, true, memory_order_relaxed);
}

bool sp__stmt_fast(const sp_stmt *stmt)
{
        int64_t cost = atomic_load_explicit(&stmt->cost_ns, memory_order_relaxed);

        return cost > 0 && cost < SP__STMT_FAST_NS;
}

void sp__stmt_learn(const sp_stmt *shared, int64_t ns)
{
        sp_stmt *stmt = (sp_stmt *)(uintptr_t)shared;
        int64_t old = atomic_load_explicit(&stmt->cost_ns, memory_order_relaxed);
        /* Slow to rise: a thread that was not scheduled makes a statement look slow. */
        int64_t cost = old == 0 ? ns : old + (ns - old) / (ns > old ? 16 : 4);

        /* A lost update of a moving average does no harm. */
        atomic_store_explicit(&stmt->cost_ns, cost > 0 ? cost : 1, memory_order_relaxed);
}
