/* SPDX-License-Identifier: MIT */
/* The way of a trip through a cluster: its commands, each to its node, and again where a node sends it elsewhere. */
#include "core/error.h"
#include "redis/cluster_internal.h"
#include "redis/orders.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 6, HOPS_AT_ONCE = 3 };

/* While a slot is handed over two nodes may each name the other one: the further a command was sent, the longer it pauses. */
#define PAUSE_FIRST (1 * SP__MS)
#define PAUSE_MOST  (50 * SP__MS)

struct trip {
        struct sp__cluster *cluster; /* a reference */
        struct sp__command *command; /* whose answer is awaited */
        struct sp__orders *plan;
        int64_t until;    /* nothing is sent elsewhere after it */
        atomic_uint refs; /* of its pieces */
        sp__mutex lock;   /* a leaf; guards the command's replies and the error */
        sp_error *error;  /* the first one: the trip fails */
};

struct sp__piece {
        struct sp__list link; /* waiting or pausing */
        struct sp__timer timer;
        struct trip *trip;
        struct sp__order *orders;
        struct sp__node *node;
        bool asking;    /* each is sent with ASKING before it */
        bool greeting;  /* the first reply is that of the owner's greeting */
        unsigned moves; /* the cluster's, when it was greeted */
        unsigned version;
};

/* Takes the error, which counts if it is the first. */
static void fail(struct trip *trip, sp_error *error)
{
        sp__lock(&trip->lock);
        if (!trip->error) {
                trip->error = error;
                error = NULL;
        }
        sp__unlock(&trip->lock);
        sp_error_free(error);
}

static void settle(struct trip *trip)
{
        struct sp__command *command = trip->command;
        struct sp__batch done;

        sp__batch_init(&done);
        if (trip->error)
                sp__op_fail(&command->op, sp_error_status(trip->error), sp__error_copy(trip->error), &done);
        else
                sp__command_answer(command, trip->cluster->address.where, &done);
        sp__op_unref(&command->op);
        sp__batch_deliver(&done);
}

static void trip_unref(struct trip *trip)
{
        if (atomic_fetch_sub(&trip->refs, 1) != 1)
                return;
        settle(trip);
        sp_error_free(trip->error);
        sp__mutex_destroy(&trip->lock);
        sp__orders_free(trip->plan);
        sp__cluster_unref(trip->cluster);
        free(trip);
}

/* Takes the reply. */
static void keep(struct trip *trip, const struct sp__order *order, redisReply *reply)
{
        sp__lock(&trip->lock);
        sp__orders_keep(trip->command, order, reply);
        sp__unlock(&trip->lock);
}

static struct sp__piece *piece_new(struct trip *trip)
{
        struct sp__piece *piece = calloc(1, sizeof *piece);

        if (!piece) {
                fail(trip, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return NULL;
        }
        atomic_fetch_add(&trip->refs, 1);
        piece->trip = trip;
        piece->version = atomic_load(&trip->cluster->version);
        sp__list_init(&piece->link);
        return piece;
}

static void piece_end(struct sp__piece *piece)
{
        struct trip *trip = piece->trip;

        free(piece);
        trip_unref(trip);
}

static void answered(sp__op *op);

/* The slot of the log was not this node's when it was greeted. */
static void add_greeting(struct sp__piece *piece, struct sp__command *command)
{
        struct sp__cluster *cluster = piece->trip->cluster;
        char run_id[SP__RUN_ID];

        piece->moves = atomic_load(&cluster->moves);
        if (!cluster->options.greet || piece->asking || piece->orders->slot != cluster->home ||
            atomic_load(&piece->node->greeted) == piece->moves)
                return;
        sp__lock(&cluster->lock);
        memcpy(run_id, piece->node->run_id, sizeof run_id);
        sp__unlock(&cluster->lock);
        /* Never connected so far: its pipe will greet. */
        if (!*run_id || !cluster->options.greet(cluster->options.arg, run_id, &command->request))
                return;
        sp__command_make_room(command, ++command->due);
        piece->greeting = true;
}

static void add_order(struct sp__command *command, const struct sp__order *order, bool asking)
{
        if (asking) {
                sp__command_begin(command, 1);
                sp__command_text(command, "ASKING");
        }
        sp__buf_add(&command->request, order->data, order->len);
        if (sp__command_make_room(command, command->due + 1))
                command->due++;
}

static void send_piece(struct sp__piece *piece, sp__op *caller)
{
        struct sp__command *command = sp__command_new();
        sp_error *open;

        if (!command) {
                fail(piece->trip, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                piece_end(piece);
                return;
        }
        command->strict = piece->trip->command->strict;
        add_greeting(piece, command);
        for (struct sp__order *order = piece->orders; order; order = order->next)
                add_order(command, order, piece->asking);
        command->op.then = answered;
        command->op.owner = piece;
        command->op.caller = caller;
        open = sp__command_guard(command, piece->node->breaker);
        if (open)
                sp__command_refuse(command, open);
        else
                sp__pipe_run(piece->node->pipe, command);
}

static void resume(struct sp__piece *piece);

/* It waits until the map was asked for anew; `why` (owned) is the answer where that is no use. */
static void await_map(struct sp__piece *piece, sp_error *why)
{
        struct sp__cluster *cluster = piece->trip->cluster;
        unsigned before = atomic_load(&cluster->version);
        bool asks = sp__cluster_ask(cluster), waits, came;

        sp__lock(&cluster->lock);
        waits = asks && cluster->asking && !cluster->closed;
        came = asks && !cluster->closed && before != atomic_load(&cluster->version);
        if (waits)
                sp__list_push(&cluster->waiting, &piece->link);
        sp__unlock(&cluster->lock);
        if (waits || (came && sp__cluster_owner(cluster, piece->orders->slot))) {
                sp_error_free(why);
                if (!waits)
                        resume(piece);
                return;
        }
        fail(piece->trip, why);
        piece_end(piece);
}

static void unserved(struct sp__piece *piece)
{
        await_map(piece,
                  sp__error_new(SP_UNAVAILABLE, "CLUSTERDOWN", "Redis at %s: no node is known to serve that slot",
                                piece->trip->cluster->address.where));
}

/* Each to its node; those of one node together. */
static void dispatch(struct trip *trip, struct sp__order *orders, sp__op *caller)
{
        while (orders) {
                struct sp__node *node = sp__cluster_owner(trip->cluster, orders->slot);
                struct sp__piece *piece = piece_new(trip);
                struct sp__order **tail, *rest = NULL, **rest_tail = &rest;

                if (!piece)
                        return;
                piece->node = node;
                tail = &piece->orders;
                for (struct sp__order *order = orders, *next; order; order = next) {
                        next = order->next;
                        order->next = NULL;
                        if (order == orders || order->slot == SP__NO_SLOT ||
                            sp__cluster_owner(trip->cluster, order->slot) == node) {
                                *tail = order;
                                tail = &order->next;
                        } else {
                                *rest_tail = order;
                                rest_tail = &order->next;
                        }
                }
                orders = rest;
                /* A blocked caller drives the last one alone: it can wait at one place only. */
                if (node)
                        send_piece(piece, orders ? NULL : caller);
                else
                        unserved(piece);
        }
}

void sp__cluster_go_on(struct sp__cluster *cluster, struct sp__list *waiting, const sp_error *error)
{
        struct sp__list *link;

        while ((link = sp__list_pop(waiting))) {
                struct sp__piece *piece = SP__OF(link, struct sp__piece, link);
                const struct sp__node *owner = sp__cluster_owner(cluster, piece->orders->slot);

                if (owner)
                        dispatch(piece->trip, piece->orders, NULL);
                else
                        fail(piece->trip,
                             error ? sp__error_copy(error)
                                   : sp__error_new(SP_UNAVAILABLE, "CLUSTERDOWN",
                                                   "Redis at %s: no node serves that slot", cluster->address.where));
                piece_end(piece);
        }
}

static void resume(struct sp__piece *piece)
{
        dispatch(piece->trip, piece->orders, NULL);
        piece_end(piece);
}

static void paused(struct sp__timer *timer)
{
        struct sp__piece *piece = SP__OF(timer, struct sp__piece, timer);
        struct sp__cluster *cluster = piece->trip->cluster;

        sp__lock(&cluster->lock);
        sp__list_remove(&piece->link);
        sp__unlock(&cluster->lock);
        resume(piece);
}

/* The cluster's lock is held. */
static int64_t next_pause(struct sp__cluster *cluster, unsigned hops)
{
        int64_t pause = PAUSE_FIRST << (hops < 6 ? hops : 6);

        if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        return (int64_t)((double)pause * (0.5 + sp__random_unit(&cluster->random) / 2));
}

static void pause_piece(struct sp__piece *piece)
{
        struct sp__cluster *cluster = piece->trip->cluster;
        int64_t pause;
        bool set;

        piece->timer.fire = paused;
        sp__lock(&cluster->lock);
        pause = next_pause(cluster, piece->orders->hops);
        set = !cluster->closed && sp__timer_set(cluster->engine, &piece->timer, sp__now() + pause);
        if (set)
                sp__list_push(&cluster->pausing, &piece->link);
        sp__unlock(&cluster->lock);
        if (!set) {
                fail(piece->trip, sp__error_new(SP_CLOSED, NULL, "closed"));
                piece_end(piece);
        }
}

static struct sp__piece *piece_of(struct trip *trip, struct sp__order *order)
{
        struct sp__piece *piece = piece_new(trip);

        order->next = NULL;
        if (piece)
                piece->orders = order;
        return piece;
}

/* "MOVED 3999 10.0.0.1:7001": NULL where it is nothing of the kind. No host: the one that says so. */
static struct sp__node *named_by(struct sp__cluster *cluster, const struct sp__node *by, const redisReply *reply,
                                 int *slot)
{
        const char *number = strchr(reply->str, ' '), *place = number ? strchr(number + 1, ' ') : NULL;
        const char *colon = place ? strrchr(place, ':') : NULL;
        long at = number ? strtol(number, NULL, 10) : -1, port = colon ? strtol(colon + 1, NULL, 10) : 0;
        char host[256];
        size_t len;

        if (!colon || at < 0 || at >= SP__SLOTS || port < 1 || port > 65535)
                return NULL;
        len = (size_t)(colon - ++place);
        if (len >= sizeof host)
                return NULL;
        memcpy(host, place, len);
        host[len] = 0;
        *slot = (int)at;
        return sp__cluster_node(cluster, len == 0 || strcmp(host, "?") == 0 ? by->address.host : host, (uint16_t)port);
}

static bool begins_with(const redisReply *reply, const char *word)
{
        return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, word, strlen(word)) == 0;
}

/* Where an order goes that was not executed: `node`, at once, or, after a pause, whom the map names by then. */
struct detour {
        struct sp__node *node;
        bool asking;
        bool pauses;
};

/* false: the reply is the answer. */
static bool read_detour(const struct sp__piece *from, const struct sp__order *order, const redisReply *reply,
                        struct detour *detour)
{
        struct sp__cluster *cluster = from->trip->cluster;
        bool moved = begins_with(reply, "MOVED "), ask = begins_with(reply, "ASK ");
        int slot = 0;

        *detour = (struct detour){.pauses = begins_with(reply, "TRYAGAIN")};
        if (detour->pauses)
                return true;
        if (!(moved || ask) || !(detour->node = named_by(cluster, from->node, reply, &slot)))
                return false;
        if (moved) {
                sp__cluster_own(cluster, slot, detour->node);
                sp__cluster_ask(cluster);
        }
        detour->asking = ask;
        /* Who was asked for it by its owner gets it at once: pausing would begin with the owner again. */
        detour->pauses = order->hops >= HOPS_AT_ONCE && !(ask && !from->asking);
        return true;
}

/* Whether it may still be sent elsewhere. */
static bool may_go_on(const struct trip *trip, const struct sp__order *order)
{
        return sp__op_pending(&trip->command->op) && (order->hops < HOPS_AT_ONCE || sp__now() < trip->until);
}

static sp_error *refusal(const struct trip *trip, const redisReply *reply)
{
        const char *where = trip->cluster->address.where;
        bool moved = begins_with(reply, "MOVED ");

        if (!moved && !begins_with(reply, "ASK "))
                return sp__redis_error(reply, where);
        return sp__error_new(SP_UNAVAILABLE, moved ? "MOVED" : "ASK",
                             "Redis at %s: the nodes do not agree on who serves a slot: %s", where, reply->str);
}

static void send_elsewhere(struct sp__piece *from, struct sp__order *order, const struct detour *detour)
{
        struct sp__piece *piece = piece_of(from->trip, order);

        if (!piece)
                return;
        atomic_fetch_add(&from->trip->cluster->options.stats->redirected, 1);
        order->hops++;
        piece->node = detour->node;
        piece->asking = detour->asking;
        if (detour->pauses)
                pause_piece(piece);
        else
                send_piece(piece, NULL);
}

/*
 * The log's place counts only behind the greeting. Where that was refused and the order was not, the slot is on its way, and
 * what was executed is asked for again: all but raw commands may be.
 */
static bool is_unproven(const struct sp__piece *piece, const struct sp__order *order, const redisReply *greeting)
{
        return greeting && greeting->type == REDIS_REPLY_ERROR && order->slot == piece->trip->cluster->home &&
               !piece->trip->command->strict;
}

/* Takes the reply. `greeting`: that to the greeting before it, NULL: none. */
static void take_reply(struct sp__piece *piece, struct sp__order *order, redisReply *reply, const redisReply *greeting)
{
        struct detour detour;
        bool elsewhere = read_detour(piece, order, reply, &detour);
        bool unproven = !elsewhere && is_unproven(piece, order, greeting);

        if (!elsewhere && !unproven) {
                keep(piece->trip, order, reply);
                return;
        }
        if (unproven)
                detour.pauses = true;
        if (may_go_on(piece->trip, order))
                send_elsewhere(piece, order, &detour);
        else
                fail(piece->trip, refusal(piece->trip, unproven ? greeting : reply));
        freeReplyObject(reply);
}

static void take_replies(struct sp__piece *piece, struct sp__command *command)
{
        const redisReply *greeting = piece->greeting ? command->replies[0] : NULL;
        unsigned at = piece->greeting;

        if (greeting && greeting->type != REDIS_REPLY_ERROR)
                atomic_store(&piece->node->greeted, piece->moves);
        for (struct sp__order *order = piece->orders, *next; order; order = next) {
                redisReply *reply;

                next = order->next;
                at += piece->asking;
                reply = command->replies[at];
                command->replies[at++] = NULL;
                take_reply(piece, order, reply, greeting);
        }
}

/* The node is lost, or could not be reached: another one may serve its slots by now. */
static void lose(struct sp__piece *piece, sp_error *error, bool sent)
{
        struct sp__cluster *cluster = piece->trip->cluster;
        bool again = !sent && ++piece->orders->tries < TRIES;

        if (!again) {
                sp__cluster_ask(cluster);
                fail(piece->trip, error);
                piece_end(piece);
        } else if (piece->version != atomic_load(&cluster->version) &&
                   sp__cluster_owner(cluster, piece->orders->slot) != piece->node) {
                sp_error_free(error);
                resume(piece);
        } else {
                await_map(piece, error);
        }
}

static void answered(sp__op *op)
{
        struct sp__piece *piece = op->owner;
        struct sp__command *command = sp__command_of(op);

        if (op->status == SP_OK) {
                take_replies(piece, command);
                piece_end(piece);
        } else if (op->status == SP_UNAVAILABLE || op->status == SP_LOST) {
                lose(piece, sp__error_copy(op->error), command->sent);
        } else {
                fail(piece->trip, sp__error_copy(op->error));
                piece_end(piece);
        }
}

static struct trip *trip_new(struct sp__cluster *cluster, struct sp__command *command)
{
        struct trip *trip = calloc(1, sizeof *trip);

        if (!trip || !(trip->plan = sp__orders_new(command))) {
                free(trip);
                return NULL;
        }
        trip->cluster = cluster;
        atomic_fetch_add(&cluster->refs, 1);
        trip->command = command;
        trip->until = sp__now() + cluster->options.connect_timeout + cluster->options.timeout;
        atomic_init(&trip->refs, 1);
        sp__mutex_init(&trip->lock);
        return trip;
}

static bool is_closed(struct sp__cluster *cluster)
{
        bool closed;

        sp__lock(&cluster->lock);
        closed = cluster->closed;
        sp__unlock(&cluster->lock);
        return closed;
}

void sp__cluster_run(struct sp__cluster *cluster, struct sp__command *command)
{
        bool closed = is_closed(cluster);
        struct trip *trip = closed || command->request.failed ? NULL : trip_new(cluster, command);

        if (!trip) {
                sp_status status = closed ? SP_CLOSED : SP_NOMEM;

                sp__command_refuse(command, sp__error_new(status, NULL, "%s", sp_status_text(status)));
                return;
        }
        /* All that there will be, and what is not there is nothing. */
        command->got = command->due;
        dispatch(trip, trip->plan->orders, command->op.caller);
        trip_unref(trip);
}

/* What paused and is not about to go on. */
static void stop_pausing(struct sp__cluster *cluster, struct sp__list *stopped)
{
        SP__EACH(&cluster->pausing, at, after)
        {
                struct sp__piece *piece = SP__OF(at, struct sp__piece, link);

                if (!sp__timer_stop(cluster->engine, &piece->timer))
                        continue;
                sp__list_remove(&piece->link);
                sp__list_push(stopped, &piece->link);
        }
}

void sp__cluster_close(struct sp__cluster *cluster)
{
        struct sp__list stopped, *link;

        sp__list_init(&stopped);
        sp__lock(&cluster->lock);
        cluster->closed = true;
        sp__list_join(&stopped, &cluster->waiting);
        stop_pausing(cluster, &stopped);
        sp__unlock(&cluster->lock);
        while ((link = sp__list_pop(&stopped))) {
                struct sp__piece *piece = SP__OF(link, struct sp__piece, link);

                fail(piece->trip, sp__error_new(SP_CLOSED, NULL, "closed"));
                piece_end(piece);
        }
        for (unsigned i = 0; i < atomic_load(&cluster->count); i++)
                sp__pipe_close(cluster->nodes[i]->pipe);
}
