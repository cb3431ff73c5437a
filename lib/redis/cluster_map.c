/* SPDX-License-Identifier: MIT */
/* The nodes of a cluster and who of them serves which slots. */
#include "redis/cluster_internal.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two questions for the map. */
#define PAUSE (100 * SP__MS)

static bool greet(void *arg, const char *run_id, struct sp__buf *out)
{
        struct sp__node *node = arg;
        struct sp__cluster *cluster = node->cluster;
        unsigned moves = atomic_load(&cluster->moves);
        bool home = cluster->options.greet && atomic_load(&cluster->owners[cluster->home]) == node->number;

        sp__lock(&cluster->lock);
        snprintf(node->run_id, sizeof node->run_id, "%s", run_id);
        sp__unlock(&cluster->lock);
        home = home && cluster->options.greet(cluster->options.arg, run_id, out);
        atomic_store(&node->greeted, home ? moves : 0);
        return home;
}

static void strayed(void *arg)
{
        struct sp__node *node = arg;

        atomic_store(&node->greeted, 0);
}

static struct sp__node *find(struct sp__cluster *cluster, const char *host, uint16_t port)
{
        unsigned count = atomic_load(&cluster->count);

        for (unsigned i = 0; i < count; i++) {
                struct sp__node *node = cluster->nodes[i];

                if (node->address.port == port && strcmp(node->address.host, host) == 0)
                        return node;
        }
        return NULL;
}

static struct sp__node *node_new(struct sp__cluster *cluster, const char *host, uint16_t port)
{
        struct sp__pipe_options options = cluster->options;
        struct sp__node *node = calloc(1, sizeof *node);

        if (!node)
                return NULL;
        node->cluster = cluster;
        node->listed = true;
        options.greet = cluster->options.greet ? greet : NULL;
        options.strayed = strayed;
        options.arg = node;
        if (sp__address_at(&node->address, &cluster->address, host, port) &&
            sp__guards_at(cluster->guards, node->address.where, &node->breaker, NULL) == SP_OK)
                node->pipe = sp__pipe_new(cluster->engine, &node->address, &options);
        if (node->pipe)
                return node;
        sp_breaker_unref(node->breaker);
        sp__address_free(&node->address);
        free(node);
        return NULL;
}

struct sp__node *sp__cluster_node(struct sp__cluster *cluster, const char *host, uint16_t port)
{
        struct sp__node *node;
        unsigned count;

        sp__lock(&cluster->lock);
        node = find(cluster, host, port);
        count = atomic_load(&cluster->count);
        if (!node && count < SP__NODES_MAX && !cluster->closed && (node = node_new(cluster, host, port))) {
                node->number = count + 1;
                cluster->nodes[count] = node;
                atomic_store(&cluster->count, count + 1);
        }
        sp__unlock(&cluster->lock);
        return node;
}

static struct sp__node *anybody(struct sp__cluster *cluster)
{
        unsigned turn = atomic_fetch_add(&cluster->turn, 1), count = atomic_load(&cluster->count);

        for (int i = 0; i < SP__SLOTS; i++) {
                unsigned number = atomic_load(&cluster->owners[(turn * 997 + (unsigned)i) % SP__SLOTS]);

                if (number)
                        return cluster->nodes[number - 1];
        }
        return cluster->nodes[turn % count];
}

struct sp__node *sp__cluster_owner(struct sp__cluster *cluster, int slot)
{
        unsigned number;

        if (slot == SP__NO_SLOT)
                return anybody(cluster);
        number = atomic_load(&cluster->owners[slot]);
        return number ? cluster->nodes[number - 1] : NULL;
}

static void set_owner(struct sp__cluster *cluster, int slot, uint16_t number)
{
        uint16_t former = atomic_exchange(&cluster->owners[slot], number);

        if (slot == cluster->home && former != number)
                atomic_fetch_add(&cluster->moves, 1);
}

void sp__cluster_own(struct sp__cluster *cluster, int slot, const struct sp__node *node)
{
        set_owner(cluster, slot, (uint16_t)node->number);
}

/* A question for the map: one node after the other. */
struct question {
        struct sp__cluster *cluster;
        struct sp__node *node; /* that is asked now */
        unsigned first, tried;
        int64_t until; /* nobody else is asked after it */
        sp_error *error;
};

static void rest_unlisted(struct sp__cluster *cluster)
{
        unsigned count = atomic_load(&cluster->count);

        for (unsigned i = 0; i < count; i++) {
                struct sp__node *node = cluster->nodes[i];
                bool listed;

                sp__lock(&cluster->lock);
                listed = node->listed;
                sp__unlock(&cluster->lock);
                if (!listed)
                        sp__pipe_rest(node->pipe);
        }
}

/* Takes the error; NULL: the map is there. */
static void answer(struct question *question, sp_error *error)
{
        struct sp__cluster *cluster = question->cluster;
        struct sp__list waiting;

        sp__list_init(&waiting);
        sp__lock(&cluster->lock);
        cluster->asking = false;
        cluster->asked_at = sp__now();
        atomic_fetch_add(&cluster->version, 1);
        sp__list_join(&waiting, &cluster->waiting);
        sp__unlock(&cluster->lock);
        sp__cluster_go_on(cluster, &waiting, error);
        if (!error)
                rest_unlisted(cluster);
        sp_error_free(error);
        sp_error_free(question->error);
        free(question);
        sp__cluster_unref(cluster);
}

/* A host of the answer; "" and "?" mean the one that was asked. */
static bool host_of(const struct question *question, const redisReply *reply, char *out, size_t cap)
{
        size_t len = 0;
        const char *text = sp__reply_bytes(reply, &len);

        if (reply && reply->type != REDIS_REPLY_NIL && !text)
                return false;
        if (!text || len == 0 || (len == 1 && *text == '?'))
                return (size_t)snprintf(out, cap, "%s", question->node->address.host) < cap;
        if (len >= cap || memchr(text, 0, len))
                return false;
        memcpy(out, text, len);
        out[len] = 0;
        return true;
}

/* [first, last, [host, port, …], …] */
static bool read_range(const struct question *question, const redisReply *range, uint16_t *owners)
{
        const redisReply *primary = sp__reply_at(range, 2);
        int64_t first, last, port;
        struct sp__node *node;
        char host[256];

        if (!sp__reply_int(sp__reply_at(range, 0), &first) || !sp__reply_int(sp__reply_at(range, 1), &last) ||
            !sp__reply_int(sp__reply_at(primary, 1), &port) || first < 0 || last < first || last >= SP__SLOTS ||
            port < 1 || port > 65535 || !host_of(question, sp__reply_at(primary, 0), host, sizeof host))
                return false;
        node = sp__cluster_node(question->cluster, host, (uint16_t)port);
        if (!node)
                return false;
        for (int64_t slot = first; slot <= last; slot++)
                owners[slot] = (uint16_t)node->number;
        return true;
}

/* A slot that the one who was asked does not know of stays where it was: it may know less than others. */
static void adopt(struct sp__cluster *cluster, const uint16_t *owners)
{
        unsigned count = atomic_load(&cluster->count);
        bool *listed = calloc(count + 1, sizeof *listed);

        for (int slot = 0; slot < SP__SLOTS; slot++) {
                if (owners[slot])
                        set_owner(cluster, slot, owners[slot]);
                if (listed && owners[slot] <= count)
                        listed[owners[slot]] = true;
        }
        sp__lock(&cluster->lock);
        for (unsigned i = 0; listed && i < count; i++)
                cluster->nodes[i]->listed = listed[i + 1];
        sp__unlock(&cluster->lock);
        free(listed);
}

static bool read_map(const struct question *question, const redisReply *reply)
{
        uint16_t *owners = calloc(SP__SLOTS, sizeof *owners);
        bool good = owners && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;

        for (size_t i = 0; good && i < (size_t)reply->elements; i++)
                good = read_range(question, reply->element[i], owners);
        if (good)
                adopt(question->cluster, owners);
        free(owners);
        return good;
}

static void ask(struct question *question);

/* Takes the error. */
static void ask_next(struct question *question, sp_error *error)
{
        if (question->error)
                sp_error_free(error);
        else
                question->error = error;
        if (++question->tried < atomic_load(&question->cluster->count) && sp__now() < question->until) {
                ask(question);
                return;
        }
        error = question->error;
        question->error = NULL;
        answer(question, error ? error : sp__error_new(SP_NOMEM, NULL, "out of memory"));
}

/* "ERR This instance has cluster support disabled": a mistake of the configuration. */
static sp_error *refusal(const struct question *question, const redisReply *reply)
{
        const char *where = question->node->address.where;

        if (strstr(reply->str, "cluster support disabled"))
                return sp__error_new(SP_CONFIG, NULL, "Redis at %s is no cluster: redis.url must be redis://…", where);
        return sp__redis_error(reply, where);
}

static void asked(sp__op *op)
{
        struct question *question = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;

        if (op->status == SP_CLOSED)
                answer(question, sp__error_copy(op->error));
        else if (op->status != SP_OK)
                ask_next(question, sp__error_copy(op->error));
        else if (refused)
                ask_next(question, refusal(question, refused));
        else if (read_map(question, command->replies[0]))
                answer(question, NULL);
        else
                ask_next(question, sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: a map of slots that makes no sense",
                                                 question->node->address.where));
}

static void ask(struct question *question)
{
        struct sp__cluster *cluster = question->cluster;
        struct sp__command *command = sp__command_new();

        if (!command) {
                answer(question, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        question->node = cluster->nodes[(question->first + question->tried) % atomic_load(&cluster->count)];
        sp__command_begin(command, 2);
        sp__command_text(command, "CLUSTER");
        sp__command_text(command, "SLOTS");
        command->op.then = asked;
        command->op.owner = question;
        sp__pipe_run(question->node->pipe, command);
}

bool sp__cluster_ask(struct sp__cluster *cluster)
{
        struct question *question = calloc(1, sizeof *question);
        bool asks = false, due;

        sp__lock(&cluster->lock);
        due = cluster->asking || (question && !cluster->closed && sp__now() - cluster->asked_at >= PAUSE);
        if (due && !cluster->asking)
                asks = cluster->asking = true;
        sp__unlock(&cluster->lock);
        if (!asks) {
                free(question);
                return due;
        }
        atomic_fetch_add(&cluster->refs, 1);
        question->cluster = cluster;
        question->first = atomic_fetch_add(&cluster->turn, 1);
        question->until = sp__now() + cluster->options.connect_timeout + cluster->options.timeout;
        ask(question);
        return true;
}

void sp__cluster_find(struct sp__cluster *cluster, unsigned attempt, struct sp__locate *locate)
{
        unsigned count = atomic_load(&cluster->count);
        struct sp__node *node = attempt % 2 == 0 ? sp__cluster_owner(cluster, cluster->home) : NULL;

        if (!node)
                node = cluster->nodes[attempt / 2 % count];
        if (!sp__address_copy(&locate->address, &node->address))
                locate->error = sp__error_new(SP_NOMEM, NULL, "out of memory");
        locate->then(locate);
}

static bool add_seeds(struct sp__cluster *cluster)
{
        for (size_t i = 0; i < cluster->address.place_count; i++) {
                const struct sp__place *place = &cluster->address.places[i];

                if (!sp__cluster_node(cluster, place->host, place->port))
                        return false;
        }
        return true;
}

struct sp__cluster *sp__cluster_new(struct sp__engine *engine, const struct sp__address *address,
                                    const struct sp__cluster_options *options)
{
        struct sp__cluster *cluster = calloc(1, sizeof *cluster);

        if (!cluster)
                return NULL;
        atomic_init(&cluster->refs, 1);
        cluster->engine = engine;
        cluster->options = options->pipe;
        cluster->guards = options->guards;
        cluster->options.greet = options->home ? options->pipe.greet : NULL;
        cluster->home = options->home ? sp__slot_of(options->home, strlen(options->home)) : 0;
        cluster->asked_at = -PAUSE;
        atomic_init(&cluster->moves, 1);
        cluster->random.state = sp__random_seed();
        sp__mutex_init(&cluster->lock);
        sp__list_init(&cluster->waiting);
        sp__list_init(&cluster->pausing);
        sp__redis_stats_ref(cluster->options.stats);
        if (cluster->options.tls)
                SSL_CTX_up_ref(cluster->options.tls);
        if (sp__address_copy(&cluster->address, address) && add_seeds(cluster))
                return cluster;
        sp__cluster_close(cluster);
        sp__cluster_free(cluster);
        return NULL;
}

bool sp__cluster_stood(struct sp__cluster *cluster)
{
        unsigned count = atomic_load(&cluster->count);

        for (unsigned i = 0; i < count; i++) {
                if (sp__pipe_stood(cluster->nodes[i]->pipe))
                        return true;
        }
        return false;
}

void sp__cluster_unref(struct sp__cluster *cluster)
{
        if (atomic_fetch_sub(&cluster->refs, 1) != 1)
                return;
        for (unsigned i = 0; i < cluster->count; i++) {
                sp__pipe_free(cluster->nodes[i]->pipe);
                sp_breaker_unref(cluster->nodes[i]->breaker);
                sp__address_free(&cluster->nodes[i]->address);
                free(cluster->nodes[i]);
        }
        sp__redis_stats_unref(cluster->options.stats);
        SSL_CTX_free(cluster->options.tls);
        sp__address_free(&cluster->address);
        sp__mutex_destroy(&cluster->lock);
        free(cluster);
}

void sp__cluster_free(struct sp__cluster *cluster)
{
        if (!cluster)
                return;
        if (!sp__engine_forked(cluster->engine)) {
                sp__cluster_unref(cluster);
                return;
        }
        for (unsigned i = 0; i < cluster->count; i++)
                sp__pipe_free(cluster->nodes[i]->pipe);
}
