/* SPDX-License-Identifier: MIT */
/** Statements as the pool sees them. Immutable but for what was learned of their cost, which is atomic. */
#ifndef SP_PG_STMT_H
#define SP_PG_STMT_H

#include "base/clock.h"
#include "sql/statement.h"

#include <stdatomic.h>
#include <sugarperf/pool.h>

enum { SP__STMT_ID = 36 };

/** A longer one holds up the others on its lane more than a connection of its own costs. */
#define SP__STMT_FAST_NS (2 * SP__MS)

struct sp_stmt {
        atomic_uint refs;
        uint32_t flags;
        struct sp__sql sql; /* its text is the normalised one */
        char *name;
        char *text;
        char id[SP__STMT_ID];    /* its name on the server: a hash of the text, so that equal texts are prepared once */
        uint64_t hash;           /* half of it, as a number */
        _Atomic int64_t cost_ns; /* moving average of the server's time; 0: never ran */
        atomic_bool writes;      /* the server refused it where writes are refused */
        atomic_int apart;        /* so many times from now on it has a Sync of its own */
        atomic_uint plan;        /* how often its result changed type: what was prepared before is not it any more */
        _Atomic int64_t vain_ns; /* when it failed although it was prepared anew: its own error */
        /* Where the first one that keeps records of it does so, set once: a look-up less at each run. Opaque here. */
        _Atomic(void *) recorded_as;
        _Atomic uint64_t recorded_by; /* that one's number, set after; 0: nobody yet */
};

/** A statement of the pool's own that works on the session, never prepared; NULL: out of memory. */
sp_stmt *sp__stmt_own(const char *name, const char *text);
/** It may leave anything in its session: its text does not show all that it does, and nobody declared it to be a read. */
bool sp__stmt_obscure(const sp_stmt *stmt);
/** Known to be so short that it may share a connection. */
bool sp__stmt_fast(const sp_stmt *stmt);
/** Declared or seen to be a read, and not found out. */
bool sp__stmt_reads(const sp_stmt *stmt);
/** Declared to write, or its text shows that it writes or locks. */
bool sp__stmt_says_write(const sp_stmt *stmt);
/** Whether it may share a Sync this time. */
bool sp__stmt_joins(const sp_stmt *stmt);

/** What was learned of it. Any thread. */
void sp__stmt_learn(const sp_stmt *stmt, int64_t ns);
void sp__stmt_writes(const sp_stmt *stmt);
/** It harmed its neighbours, or may have: it keeps away from them so many times. */
void sp__stmt_part(const sp_stmt *stmt, int times);
/** It failed by itself just now, whatever it was prepared against. */
void sp__stmt_vain(const sp_stmt *stmt, int64_t now);
/** The server says that the form in which it was prepared, when `plan` was its number, has changed. */
void sp__stmt_replan(const sp_stmt *stmt, unsigned plan);

#endif
