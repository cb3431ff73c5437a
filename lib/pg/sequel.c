/* SPDX-License-Identifier: MIT */
#include "pg/sequel.h"

#include "core/error.h"
#include "loop/port.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

struct sp__sequels {
        sp__mutex lock;
        struct sp__list list; /* in the order of calls */
        uint64_t number;      /* of the latest */
        uint64_t claimed;     /* up to there they are for the ends on their way to do or drop */
        unsigned ends;        /* … as many */
};

/* Where a rollback to a savepoint ends. */
struct mark {
        struct sp__sequel base;
        char name[SP_SAVEPOINT_MAX + 1];
};

static struct sp__sequel *sequel_at(struct sp__list *link)
{
        return SP__OF(link, struct sp__sequel, link);
}

static struct mark *mark_of(struct sp__sequel *sequel)
{
        return SP__OF(sequel, struct mark, base);
}

static bool prepare(sp_session *session)
{
        struct sp__sequels *sequels;

        if (session->sequels)
                return true;
        sequels = calloc(1, sizeof *sequels);
        if (!sequels)
                return false;
        sp__mutex_init(&sequels->lock);
        sp__list_init(&sequels->list);
        session->sequels = sequels;
        return true;
}

static void append(struct sp__sequels *sequels, struct sp__sequel *sequel)
{
        sp__lock(&sequels->lock);
        sequel->number = ++sequels->number;
        sp__list_push(&sequels->list, &sequel->link);
        sp__unlock(&sequels->lock);
}

/* A transaction, or something on its way that may be its beginning. */
static bool may_be_open(sp_session *session)
{
        sp_pool *pool = session->pool;
        bool open;

        sp__lock(&pool->lock);
        open = session->lead || session->opening || atomic_load(&session->posted) || !sp__list_empty(&session->held) ||
               (!session->broken && session->conn->load > 0) ||
               (!session->broken && sp__conn_in_transaction(session->conn));
        sp__unlock(&pool->lock);
        return open;
}

sp_status sp__session_follow(sp_session *session, struct sp__sequel *sequel, sp_error **error)
{
        if (sp__engine_forked(session->pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (!may_be_open(session))
                return sp__fail(error, SP_INVALID, "no transaction is open on the session: invalidate at once instead");
        if (!prepare(session))
                return sp__fail(error, SP_NOMEM, "out of memory");
        append(session->sequels, sequel);
        return SP_OK;
}

static void discard(struct sp__sequel *sequel)
{
        if (sequel->kind)
                sequel->kind->drop(sequel);
        else
                free(mark_of(sequel));
}

static void discard_all(struct sp__list *list)
{
        struct sp__list *link;

        while ((link = sp__list_pop(list)))
                discard(sequel_at(link));
}

/* Those of calls up to that one leave the list. */
static void detach(struct sp__sequels *sequels, uint64_t above, uint64_t upto, struct sp__list *out)
{
        sp__list_init(out);
        sp__lock(&sequels->lock);
        SP__EACH(&sequels->list, at, after)
        {
                if (sequel_at(at)->number <= above || sequel_at(at)->number > upto)
                        continue;
                sp__list_remove(at);
                sp__list_push(out, at);
        }
        sp__unlock(&sequels->lock);
}

/* The latest savepoint of that name before the call; 0: none that was seen here. */
static uint64_t find_mark(struct sp__sequels *sequels, const char *name, uint64_t upto)
{
        uint64_t found = 0;

        sp__lock(&sequels->lock);
        SP__EACH(&sequels->list, at, after)
        {
                struct sp__sequel *sequel = sequel_at(at);

                if (!sequel->kind && sequel->number <= upto && strcmp(mark_of(sequel)->name, name) == 0)
                        found = sequel->number;
        }
        sp__unlock(&sequels->lock);
        return found;
}

/* What was done since stays, and so do the deeds; only the names go. */
static void forget_marks(struct sp__sequels *sequels, uint64_t from, uint64_t upto)
{
        sp__lock(&sequels->lock);
        SP__EACH(&sequels->list, at, after)
        {
                struct sp__sequel *sequel = sequel_at(at);

                if (sequel->kind || sequel->number < from || sequel->number > upto)
                        continue;
                sp__list_remove(at);
                free(mark_of(sequel));
        }
        sp__unlock(&sequels->lock);
}

/* Marks go, neighbours become one. */
static size_t tidy(struct sp__list *list)
{
        struct sp__sequel *last = NULL;
        size_t count = 0;

        SP__EACH(list, at, after)
        {
                struct sp__sequel *sequel = sequel_at(at);

                sp__list_remove(at);
                if (!sequel->kind) {
                        discard(sequel);
                } else if (!last || last->kind != sequel->kind || !last->kind->merge(last, sequel)) {
                        sp__list_push(after, at);
                        last = sequel;
                        count++;
                }
        }
        return count;
}

static void run_all(struct sp__list *list, sp__op *caller, void (*then)(void *owner), void *owner)
{
        struct sp__list *link;

        while ((link = sp__list_pop(list)))
                sequel_at(link)->kind->run(sequel_at(link), caller, then, owner);
}

static void nobody(void *owner)
{
}

static uint64_t claimed(struct sp__sequels *sequels)
{
        uint64_t upto;

        sp__lock(&sequels->lock);
        upto = sequels->claimed;
        sp__unlock(&sequels->lock);
        return upto;
}

/* Before the next transaction, or at the end: of a transaction whose end was not seen. */
static void settle(sp_session *session, bool rolled_back)
{
        struct sp__list list;

        if (!session->sequels)
                return;
        detach(session->sequels, claimed(session->sequels), UINT64_MAX, &list);
        if (rolled_back)
                discard_all(&list);
        else if (tidy(&list) > 0)
                run_all(&list, NULL, nobody, NULL);
}

void sp__sequels_end(sp_session *session, bool rolled_back)
{
        if (!session->sequels)
                return;
        settle(session, rolled_back);
        sp__mutex_destroy(&session->sequels->lock);
        free(session->sequels);
        session->sequels = NULL;
}

/* The end of a transaction, or of a part of it: the statement, and what follows from its answer. */
struct ending {
        sp__op op;
        sp_session *session; /* a reference */
        struct sp__sequel_call call;
        uint64_t upto;
        atomic_size_t left; /* deeds under way, and one more */
        sp_status status;
        sp_error *error;
};

static void cancel(sp__op *op, sp_status why)
{
}

static void destroy(sp__op *op)
{
        struct ending *ending = SP__OF(op, struct ending, op);

        sp_error_free(ending->error);
        free(ending);
}

static const struct sp__op_kind ending_kind = {.cancel = cancel, .destroy = destroy};

/* What follows its transaction is its own from the call on, whatever begins behind it. */
static void claim(struct ending *ending, int change)
{
        struct sp__sequels *sequels = ending->session->sequels;

        if (ending->call.kind != SP__SEQUEL_COMMIT && ending->call.kind != SP__SEQUEL_ROLLBACK)
                return;
        sp__lock(&sequels->lock);
        sequels->ends += (unsigned)change;
        sequels->claimed = sequels->ends == 0 ? 0 : change > 0 ? ending->upto : sequels->claimed;
        sp__unlock(&sequels->lock);
}

/* Gives the machine's reference back. */
static void finish(struct ending *ending)
{
        sp_session *session = ending->session;
        sp_pool *pool = session->pool;
        struct sp__batch done;

        sp__batch_init(&done);
        if (ending->status == SP_OK) {
                sp__op_yield(&ending->op, SP__YIELD_NONE, NULL, NULL, &done);
        } else {
                sp__op_fail(&ending->op, ending->status, ending->error, &done);
                ending->error = NULL;
        }
        claim(ending, -1);
        sp__session_unref(session);
        sp__batch_deliver(&done);
        sp__op_unref(&ending->op);
        sp__pool_leave(pool);
}

static void deed_done(void *owner)
{
        struct ending *ending = owner;

        if (atomic_fetch_sub(&ending->left, 1) == 1)
                finish(ending);
}

static void follow_up(struct ending *ending)
{
        struct sp__list list;
        size_t count;

        detach(ending->session->sequels, 0, ending->upto, &list);
        count = tidy(&list);
        atomic_store(&ending->left, count + 1);
        run_all(&list, ending->op.caller, deed_done, ending);
        deed_done(ending);
}

static void drop_since(struct ending *ending, uint64_t above)
{
        struct sp__list list;

        detach(ending->session->sequels, above, ending->upto, &list);
        discard_all(&list);
}

/* An answer of the server's says that the transaction was rolled back; and where it was never asked it goes on. */
static void commit_answered(struct ending *ending)
{
        if (ending->status == SP_SQL) {
                drop_since(ending, 0);
                finish(ending);
        } else if (ending->status == SP_INVALID) {
                finish(ending);
        } else {
                follow_up(ending);
        }
}

static void part_answered(struct ending *ending)
{
        struct sp__sequels *sequels = ending->session->sequels;
        uint64_t mark = find_mark(sequels, ending->call.name, ending->upto);

        if (ending->status == SP_OK && mark && ending->call.kind == SP__SEQUEL_ROLLBACK_TO)
                drop_since(ending, mark);
        else if (ending->status == SP_OK && mark)
                forget_marks(sequels, mark, ending->upto);
        finish(ending);
}

static void answered(sp__op *op)
{
        struct ending *ending = op->owner;

        ending->status = op->status;
        ending->error = sp__error_copy(op->error);
        switch (ending->call.kind) {
        case SP__SEQUEL_COMMIT:
                commit_answered(ending);
                break;
        case SP__SEQUEL_ROLLBACK:
                if (ending->status == SP_OK)
                        drop_since(ending, 0);
                finish(ending);
                break;
        default:
                part_answered(ending);
        }
}

/* NULL: out of memory; the query is gone then. */
static struct ending *ending_new(struct sp__query *query, const struct sp__sequel_call *call)
{
        sp_session *session = query->session;
        struct ending *ending = calloc(1, sizeof *ending);

        if (!ending) {
                sp__op_unref(&query->op);
                return NULL;
        }
        sp__op_init(&ending->op, &ending_kind, NULL, SP__FOREVER);
        atomic_fetch_add(&session->refs, 1);
        ending->session = session;
        ending->call = *call;
        ending->upto = session->sequels->number;
        sp__pool_enter(session->pool);
        return ending;
}

/* Consumes the query. On failure nothing was sent, and the ending is as it was. */
static sp_status start(struct ending *ending, struct sp__query *query, sp_error **error)
{
        sp_pool *pool = query->pool;
        sp_status status;

        sp__op_ref(&ending->op);
        query->posts = !ending->op.waits;
        claim(ending, 1);
        status = sp__query_step(query, SP__FOREVER, ending->op.caller, answered, ending, error);
        if (status == SP_OK)
                return SP_OK;
        claim(ending, -1);
        sp__session_unref(ending->session);
        sp__pool_leave(pool);
        sp__op_unref(&ending->op);
        return status;
}

sp_status sp__sequel_run(struct sp__query *query, const struct sp__sequel_call *call, sp_error **error)
{
        sp_pool *pool = query->pool;
        struct ending *ending = ending_new(query, call);
        sp_status status;

        if (!ending)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__op_to_caller(&ending->op);
        sp__pool_enter(pool);
        status = start(ending, query, error);
        if (status == SP_OK) {
                sp__op_wait(&ending->op);
                status = ending->op.status;
                if (status != SP_OK) {
                        sp__error_give(error, ending->op.error);
                        ending->op.error = NULL;
                }
        }
        sp__op_unref(&ending->op);
        sp__pool_leave(pool);
        return status;
}

sp_status sp__sequel_submit(struct sp__query *query, const struct sp__sequel_call *call, sp_queue *queue, uint64_t tag)
{
        struct ending *ending = ending_new(query, call);
        sp_error *error = NULL;
        sp_status status;

        if (!ending)
                return SP_NOMEM;
        status = sp__op_to_queue(&ending->op, queue, tag);
        if (status != SP_OK) {
                sp__session_unref(ending->session);
                sp__pool_leave(query->pool);
                sp__op_unref(&query->op);
                sp__op_abandon(&ending->op);
                return status;
        }
        status = start(ending, query, &error);
        if (status == SP_OK) {
                sp__op_unref(&ending->op);
                return SP_OK;
        }
        sp__op_abandon(&ending->op);
        return sp__op_refuse(queue, tag, status, error);
}

sp_status sp__sequel_mark(sp_session *session, const char *name, sp_error **error)
{
        struct mark *mark = prepare(session) ? calloc(1, sizeof *mark) : NULL;

        if (!mark)
                return sp__fail(error, SP_NOMEM, "out of memory");
        strncpy(mark->name, name, SP_SAVEPOINT_MAX);
        append(session->sequels, &mark->base);
        return SP_OK;
}

void sp__sequel_begin(sp_session *session)
{
        settle(session, false);
}
