/* SPDX-License-Identifier: MIT */
/* What becomes of a statement that its connection answered or lost: told once, or run again where that is safe and may help. */
#include "core/error.h"
#include "pg/fault.h"
#include "pg/pool_internal.h"
#include "pg/result.h"

#include <stdlib.h>
#include <string.h>

/* How long who failed in a group keeps away from others, and who was in a slow one: until its own cost is known. */
enum { TRIES = 3, APART_FAILED = 64, APART_SLOW = 4 };

/* Who sends wrong values all the time is not run twice each time. */
#define VAIN_NS (1000 * SP__MS)

static bool says(const PGresult *error, const char *word)
{
        const char *text = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);

        return text && strstr(text, word);
}

/*
 * By a function, procedure, trigger or DO, which may raise any code, and may have committed before. What the server makes of
 * log_parameter_max_length_on_error is a context, too.
 */
static bool from_within(const PGresult *error)
{
        const char *context = PQresultErrorField(error, PG_DIAG_CONTEXT);

        return context && strncmp(context, "unnamed portal", strlen("unnamed portal")) != 0;
}

static void retire(struct sp__conn *conn)
{
        sp__lock(&conn->pool->lock);
        conn->retire = true;
        sp__unlock(&conn->pool->lock);
}

/*
 * Errors of what was prepared before somebody changed a type or a function, or of the caller's own. `early`: the server says so
 * before anything ran.
 */
static const struct suspect {
        const char *code;
        const char *says;
        bool early;
} suspects[] = {{"XX000", "cache lookup failed", true},
                {"42883", "", true},
                {"42804", "", true},
                {"42P18", "", true},
                {"42P08", "", true},
                {"42725", "", true},
                {"42846", "", true},
                {"22P02", "", false},
                {"22P03", "", false},
                {"22003", "", false},
                {"22007", "", false},
                {"22008", "", false}};

static const struct suspect *suspect_of(const PGresult *error)
{
        const char *code = sp__fault_code(error);

        for (size_t i = 0; i < sizeof suspects / sizeof *suspects; i++) {
                if (strcmp(code, suspects[i].code) == 0 && says(error, suspects[i].says))
                        return &suspects[i];
        }
        return NULL;
}

/* What was prepared earlier may be out of date; true: to run it again does nothing twice. */
static bool outdated(struct sp__query *query, struct sp__conn *conn)
{
        const sp_stmt *stmt = query->stmt;
        const struct suspect *suspect = suspect_of(query->unit.error);
        int64_t vain = atomic_load_explicit(&stmt->vain_ns, memory_order_relaxed);

        if (!suspect || query->unit.preparing || !stmt->sql.resolves || query->pool->limits.statements == 0)
                return false;
        if (vain != 0 && sp__now() - vain < VAIN_NS)
                return false;
        sp__conn_outdate(conn, stmt);
        query->unit.anew = true;
        return !stmt->sql.commits && (suspect->early || !sp__stmt_obscure(stmt));
}

bool sp__query_outdated(const char *code)
{
        static const char *const others[] = {"26000", "0A000", "42P05", "25P02"};

        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                if (strcmp(code, others[i]) == 0)
                        return true;
        }
        for (size_t i = 0; i < sizeof suspects / sizeof *suspects; i++) {
                if (strcmp(code, suspects[i].code) == 0)
                        return true;
        }
        return false;
}

/* Its transaction has failed, and may succeed when it is made again. */
static void note_outdated(struct sp__query *query)
{
        query->outdated = true;
        if (!query->session)
                return;
        sp__lock(&query->pool->lock);
        query->session->outdated = true;
        sp__unlock(&query->pool->lock);
}

/* What came of having prepared it anew: others need to, or it was no use. */
static void learn_renewal(const struct sp__query *query)
{
        const struct sp__unit *unit = &query->unit;

        if (!unit->anew || !unit->preparing || unit->undone || !unit->done_ns)
                return;
        if (unit->error)
                sp__stmt_vain(query->stmt, unit->done_ns);
        else
                atomic_fetch_add_explicit(&query->pool->changes, 1, memory_order_relaxed);
}

/*
 * What the server forgot, or knows in another form, is prepared anew from now on; true: that was it. It says so of the statement
 * itself, before anything of it runs.
 */
static bool correct(struct sp__query *query, struct sp__conn *conn)
{
        const struct sp__unit *unit = &query->unit;
        const char *code = sp__fault_code(unit->error);

        if ((query->stmt->flags & SP_STMT_UNNAMED) || from_within(unit->error))
                return false;
        if (strcmp(code, "26000") == 0 && says(unit->error, query->stmt->id)) {
                sp__conn_forget(conn, query->stmt);
                return true;
        }
        if (strcmp(code, "42P05") == 0 && says(unit->error, query->stmt->id)) {
                /* Its name is a hash of its text: what stands there is the same statement. */
                sp__conn_remember(conn, query->stmt);
                return true;
        }
        if (strcmp(code, "0A000") != 0 || !says(unit->error, "cached plan"))
                return outdated(query, conn);
        /* For all connections of all pools: each replaces what it has when it needs it next. */
        sp__stmt_replan(query->stmt, unit->plan);
        /* A proxy may keep it all the same. */
        if (query->tries > 0)
                retire(conn);
        return true;
}

/* What CALL and DO run may have committed before it failed, outside of a transaction; a function, or a DO without the word, cannot. */
static bool may_have_committed(const struct sp__query *query)
{
        const sp_stmt *stmt = query->stmt;

        return stmt->sql.commits && !query->in_block && !(stmt->flags & SP_STMT_IDEMPOTENT) &&
               (strcasestr(stmt->text, "commit") || strcasestr(stmt->text, "call"));
}

/* Whether it may help to run it again, and it is certain that nothing ran. */
static bool heal(struct sp__query *query, struct sp__conn *conn)
{
        const char *code = sp__fault_code(query->unit.error);

        /* It writes, where the server was told to refuse that. It is not asked to do so again. */
        if (sp__unit_reads(&query->unit) && strcmp(code, "25006") == 0) {
                sp__stmt_writes(query->stmt);
                return true;
        }
        if (strcmp(code, "25006") == 0 && query->pool->is_replica)
                return false;
        /* Others may just have been opened to the same server. */
        if (strcmp(code, "25006") == 0)
                return sp__pool_demoted(conn, query->in_session) &&
                       !(may_have_committed(query) && from_within(query->unit.error)) &&
                       query->tries < TRIES + sp__pool_max(query->pool);
        if (!correct(query, conn))
                return false;
        /* Behind more that is on its way the connection cannot tell. */
        if (sp__conn_in_transaction(conn) || query->in_block)
                note_outdated(query);
        return query->tries < TRIES && !query->outdated;
}

/* What came, and what libpq keeps it in, which is known without a look at each cell. */
static void weigh(const PGresult *result, struct sp__stmt_record *record)
{
        int rows = PQntuples(result);

        record->rows += rows ? rows : atoll(PQcmdTuples((PGresult *)(uintptr_t)result));
        record->bytes += rows ? (int64_t)PQresultMemorySize(result) : 0;
}

static void weigh_all(const struct sp__unit *unit, struct sp__stmt_record *record)
{
        if (unit->result)
                weigh(unit->result, record);
        for (uint32_t i = 0; unit->sets && i < unit->sets->answered; i++)
                weigh(unit->sets->results[i], record);
}

static void record(struct sp__query *query, sp_status status)
{
        const struct sp__unit *unit = &query->unit;
        sp_pool *pool = query->pool;
        /* Once: tests/bench/profile_share.c switches it meanwhile. */
        void (*ran)(void *, const struct sp__stmt_record *) = pool->watcher.ran;
        struct sp__stmt_record record = {
            .name = query->stmt->name,
            .text = query->stmt->sql.text,
            .stmt = query->stmt,
            .fingerprint = query->stmt->sql.fingerprint,
            .pool = pool->name,
            .place = sp__target_place(&pool->target),
            .status = status,
            .code = unit->error ? sp__fault_code(unit->error) : "",
            .ctx = query->op.ctx,
        };

        atomic_fetch_add_explicit(&pool->counts.queries, 1, memory_order_relaxed);
        if (status != SP_OK)
                atomic_fetch_add_explicit(&pool->counts.errors, 1, memory_order_relaxed);
        if (unit->sent_ns == 0)
                return;
        record.wait_ns = unit->sent_ns - query->born_ns;
        if (unit->done_ns) {
                record.execute_ns = unit->first_ns - unit->sent_ns;
                record.fetch_ns = unit->done_ns - unit->first_ns;
        } else {
                record.execute_ns = sp__now() - unit->sent_ns;
        }
        record.done_ns = unit->sent_ns + record.execute_ns + record.fetch_ns;
        sp__histogram_record(pool->wait_time, record.wait_ns);
        if (!ran)
                return;
        query->ran_ns = record.wait_ns + record.execute_ns + record.fetch_ns;
        weigh_all(unit, &record);
        ran(pool->watcher.arg, &record);
}

/* PostgreSQL takes COMMIT for ROLLBACK where the transaction had failed, and calls that a success. */
static void answer_deed(struct sp__query *query, struct sp__batch *done)
{
        const char *name = query->stmt->name;
        sp_error *error;

        if (query->deed != SP__DEED_COMMIT || strcmp(PQcmdStatus(query->unit.result), "COMMIT") == 0) {
                record(query, SP_OK);
                sp__op_yield(&query->op, SP__YIELD_NONE, NULL, NULL, done);
                return;
        }
        record(query, SP_SQL);
        error = sp__error_new(
            SP_SQL, "25P02",
            "\"%s\": a statement of the transaction had failed, or ended before it was sent: it was rolled back", name);
        sp__error_set_retryable(error, sp__session_outdated(query->session));
        sp__op_fail(&query->op, SP_SQL, error, done);
}

static void answer_copy(struct sp__query *query, struct sp__batch *done)
{
        const char *name = query->stmt->name;
        sp_copy *copy = query->unit.copy;

        if (!query->unit.result) {
                record(query, SP_INVALID);
                sp__op_fail(&query->op, SP_INVALID,
                            sp__error_new(SP_INVALID, NULL, "\"%s\" is no COPY from STDIN or to STDOUT", name), done);
                return;
        }
        record(query, SP_OK);
        query->unit.copy = NULL;
        sp__op_yield(&query->op, SP__YIELD_COPY, copy, (void (*)(void *))sp_copy_free, done);
}

static void answer(struct sp__query *query, struct sp__batch *done)
{
        struct sp__unit *unit = &query->unit;
        sp_status status = SP_OK;
        sp_result *result;
        sp_error *error;

        if (unit->error) {
                error = sp__fault_of_result(unit->error, query->stmt, &status);
                error = unit->sets ? sp__sets_fault(unit, error) : error;
                if (query->outdated)
                        sp__error_set_retryable(error, true);
                if (may_have_committed(query))
                        sp__error_set_retryable(error, false);
                record(query, status);
                sp__op_fail(&query->op, status, error, done);
                return;
        }
        if (query->deed == SP__DEED_COPY) {
                answer_copy(query, done);
                return;
        }
        if (query->deed != SP__DEED_QUERY) {
                answer_deed(query, done);
                return;
        }
        record(query, SP_OK);
        if (query->stream && !sp__stream_page(query->stream, unit->result)) {
                sp__op_yield(&query->op, SP__YIELD_NONE, NULL, NULL, done);
                return;
        }
        result = unit->sets ? sp__sets_result(unit->sets) : sp__result_new(unit->result);
        if (!unit->sets)
                unit->result = NULL;
        if (result)
                sp__op_yield(&query->op, SP__YIELD_RESULT, result, (void (*)(void *))sp_result_free, done);
        else
                sp__op_fail(&query->op, SP_NOMEM, NULL, done);
}

/* Where writes are refused none was made. */
bool sp__query_repeatable(const struct sp__query *query)
{
        return sp__unit_reads(&query->unit) || sp_stmt_repeatable(query->stmt);
}

static void answer_lost(struct sp__query *query, struct sp__batch *done)
{
        const char *place = sp__target_place(&query->pool->target), *name = query->stmt->name;
        const char *code = sp__fault_code(query->unit.error);
        sp_status status = query->unit.unsent ? SP_UNAVAILABLE : SP_LOST;
        sp_error *error;

        if (query->unit.unsent)
                error = sp__error_new(status, code,
                                      "the connection to PostgreSQL at %s was lost before statement \"%s\" was sent",
                                      place, name);
        else
                error = sp__error_new(
                    status, code,
                    "the connection to PostgreSQL at %s was lost while statement \"%s\" ran: its outcome is unknown",
                    place, name);
        sp__error_set_retryable(error, query->unit.unsent || sp__query_repeatable(query));
        record(query, status);
        sp__op_fail(&query->op, status, error, done);
}

/*
 * Not a try of its own: it was never sent, or was lost with a connection that stood before it was lost the last time, and that
 * the same cause may have taken.
 */
static bool missed(const struct sp__query *query)
{
        const struct sp__unit *unit = &query->unit;

        return unit->unsent || (!unit->done_ns && unit->opened_ns < query->lost_ns);
}

/*
 * Whether it may be sent once more: its connection was lost before it ran, or it may run twice. Connections that a restarted
 * server left dead are found one by one.
 */
static bool again(const struct sp__query *query)
{
        if (query->in_session)
                return false;
        if (!query->unit.unsent && !sp__query_repeatable(query))
                return false;
        return missed(query) ? query->misses < TRIES + sp__pool_max(query->pool) : query->tries < TRIES;
}

static void count_try(struct sp__query *query)
{
        bool miss = missed(query);

        query->misses += miss;
        query->tries += !miss;
        if (!query->unit.done_ns && !query->unit.unsent)
                query->lost_ns = sp__now();
}

/*
 * Makes ready for another try; not when it was ended meanwhile, memory is short, or it would come behind what its session was
 * given after it.
 */
static bool prepare_retry(struct sp__query *query)
{
        bool ready;

        sp__lock(&query->pool->lock);
        ready = sp__op_pending(&query->op) && sp__query_keep_params(query) &&
                (!query->in_session || sp__session_repeats(query->session, query));
        if (ready)
                query->conn = NULL;
        sp__unlock(&query->pool->lock);
        return ready;
}

static void unit_clear(struct sp__unit *unit)
{
        PQclear(unit->result);
        PQclear(unit->error);
        unit->result = unit->error = NULL;
        sp__sets_clear(unit->sets);
}

static void learn(const struct sp__query *query)
{
        const struct sp__unit *unit = &query->unit;
        int64_t took = unit->done_ns - unit->began_ns;

        if (unit->sets)
                return;
        if (unit->error && unit->members > 1)
                sp__stmt_part(query->stmt, APART_FAILED);
        /* One that took all the time there is is not fast. */
        else if ((unit->error && !sp__fault_by_time_limit(unit->error)) || unit->undone)
                return;
        else if (unit->members == 1 || took < SP__STMT_FAST_NS)
                sp__stmt_learn(query->stmt, took / unit->members);
        else
                sp__stmt_part(query->stmt, APART_SLOW);
}

/* true: it is to be started again; the connection's reference is kept for that. */
static bool ended_one(struct sp__conn *conn, struct sp__query *query, struct sp__batch *done)
{
        struct sp__unit *unit = &query->unit;
        bool answered = unit->done_ns != 0 && !unit->undone;

        /* It ended long ago. */
        if (unit->instead)
                return false;
        if (unit->done_ns)
                learn(query);
        learn_renewal(query);
        if (unit->undone) {
                query->apart = unit->unsent = true;
                if (prepare_retry(query))
                        return true;
        } else if ((answered ? unit->error && heal(query, conn) : again(query)) && prepare_retry(query)) {
                count_try(query);
                query->apart = true;
                atomic_fetch_add(&query->pool->counts.retries, 1);
                return true;
        }
        if (answered)
                answer(query, done);
        else
                answer_lost(query, done);
        return false;
}

/* The connection no longer runs it. The pool's lock is held. */
static void release(struct sp__conn *conn, struct sp__query *query)
{
        sp__cancel_ended(conn, query);
        if (query->in_session)
                sp__session_ended(query);
        query->conn = NULL;
}

/* A lane whose answers leave a transaction open is not one any more. The pool's lock is held. */
static void check_lane(struct sp__conn *conn)
{
        if (!conn->lane || !sp__conn_in_transaction(conn))
                return;
        conn->retire = true;
        sp__pool_unlist(conn->pool, conn);
}

static struct sp__query *query_at(struct sp__list *link)
{
        return SP__OF(SP__OF(link, struct sp__unit, link), struct sp__query, unit);
}

/* It was found broken, but nobody has closed it yet: the next try shall not find it again. The pool's lock is held. */
static void avoid(struct sp__conn *conn, const struct sp__query *query)
{
        if (!query->unit.unsent || query->unit.undone || !sp__conn_broken(conn))
                return;
        conn->retire = true;
        sp__pool_unlist(conn->pool, conn);
}

/* The pool's part, in one turn of its lock. */
static void account(struct sp__conn *conn, struct sp__list *units, struct sp__list *retries, uint32_t count)
{
        sp_pool *pool = conn->pool;
        bool close, waited_for, cancel;

        sp__lock(&pool->lock);
        SP__EACH(units, at, after)
        release(conn, query_at(at));
        SP__EACH(retries, again_at, again_after)
        {
                release(conn, query_at(again_at));
                avoid(conn, query_at(again_at));
        }
        check_lane(conn);
        sp__pool_check_fit(conn);
        close = sp__pool_settle(conn, count);
        cancel = sp__cancel_due(conn);
        if (conn->session)
                sp__session_wake(conn->session);
        waited_for = pool->waiters > 0;
        sp__unlock(&pool->lock);
        if (cancel)
                sp__pool_cancel(conn);
        if (close)
                sp__conn_close(conn);
        if (waited_for)
                sp__pool_dispatch(pool);
}

static void retry(struct sp__query *query)
{
        unit_clear(&query->unit);
        if (query->in_session)
                sp__session_repeat(query);
        else
                sp__query_start(query);
        sp__op_unref(&query->op);
}

/*
 * Before callers are told: who was told then holds the last reference, and the memory of query and context goes back on the thread
 * that took it, without the allocator's locks. Those in a session are needed until they are settled.
 */
static void let_go(struct sp__list *finished)
{
        SP__EACH(finished, at, after)
        {
                if (query_at(at)->session)
                        continue;
                sp__list_remove(at);
                sp__op_unref(&query_at(at)->op);
        }
}

void sp__query_ended(struct sp__conn *conn, struct sp__list *units)
{
        struct sp__list retries, finished, *link;
        struct sp__batch done;
        uint32_t count = 0;

        sp__batch_init(&done);
        sp__list_init(&retries);
        sp__list_init(&finished);
        for (; (link = sp__list_pop(units)); count++) {
                struct sp__unit *unit = SP__OF(link, struct sp__unit, link);

                if (sp__pool_asked(conn, unit))
                        continue;
                if (!unit->stmt)
                        sp__session_cleaned(conn, unit);
                else
                        sp__list_push(ended_one(conn, query_at(link), &done) ? &retries : &finished, link);
        }
        /* Connections are given on before callers are told: a caller that asks again finds one free. */
        account(conn, &finished, &retries, count);
        let_go(&finished);
        sp__batch_deliver(&done);
        while ((link = sp__list_pop(&retries)))
                retry(query_at(link));
        while ((link = sp__list_pop(&finished))) {
                sp__query_leave_session(query_at(link));
                sp__op_unref(&query_at(link)->op);
        }
}
