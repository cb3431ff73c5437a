/* SPDX-License-Identifier: MIT */
#include "redis_nodes.h"

#include "base/random.h"
#include "redis/slot.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_TIMEOUT "2000"

struct redis_server nodes[NODES];

char *node_id(int node)
{
        return redis_says(&nodes[node], "CLUSTER MYID");
}

int nodes_set_up(void **state)
{
        static const char *const args[] = {"--cluster-enabled",
                                           "yes",
                                           "--cluster-node-timeout",
                                           NODE_TIMEOUT,
                                           "--save",
                                           "",
                                           "--cluster-require-full-coverage",
                                           "no",
                                           "--repl-diskless-sync-delay",
                                           "0",
                                           "--cluster-allow-replica-migration",
                                           "no",
                                           NULL};
        char *first;

        for (int i = 0; i < NODES; i++) {
                redis_start(&nodes[i], 0, args);
                free(redis_says(&nodes[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1));
        }
        for (int i = 0; i < PRIMARIES; i++)
                free(redis_says(&nodes[i], "CLUSTER ADDSLOTSRANGE %d %d", SP__SLOTS * i / PRIMARIES,
                                SP__SLOTS * (i + 1) / PRIMARIES - 1));
        for (int i = 1; i < NODES; i++)
                free(redis_says(&nodes[i], "CLUSTER MEET 127.0.0.1 %d", nodes[0].port));
        for (int i = 0; i < NODES; i++) {
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_known_nodes:4");
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_slots_ok:16384");
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_state:ok");
        }
        first = node_id(0);
        free(redis_says(&nodes[3], "CLUSTER REPLICATE %s", first));
        free(first);
        redis_await(&nodes[3], "INFO replication", "master_link_status:up");
        return 0;
}

int nodes_tear_down(void **state)
{
        for (int i = 0; i < NODES; i++)
                redis_kill(&nodes[i]);
        return 0;
}

static void set_node_timeout(const char *ms)
{
        for (int i = 0; i < NODES; i++)
                free(redis_says(&nodes[i], "CONFIG SET cluster-node-timeout %s", ms));
}

void node_freeze(int node)
{
        set_node_timeout("60000");
        redis_freeze(&nodes[node]);
}

void node_thaw(int node)
{
        redis_thaw(&nodes[node]);
        set_node_timeout(NODE_TIMEOUT);
}

const char *nodes_url(void)
{
        static char text[128];

        snprintf(text, sizeof text, "redis+cluster://127.0.0.1:1,127.0.0.1:%d", nodes[1].port);
        return text;
}

/* As this one sees it; -1: it knows none. */
static int owner_seen_by(int node, int slot)
{
        redisReply *reply = redis_ask(&nodes[node], "CLUSTER SLOTS");
        int port = 0;

        for (size_t k = 0; reply && reply->type == REDIS_REPLY_ARRAY && k < (size_t)reply->elements; k++) {
                redisReply *range = reply->element[k];

                if (range->element[0]->integer <= slot && slot <= range->element[1]->integer)
                        port = (int)range->element[2]->element[1]->integer;
        }
        if (reply)
                freeReplyObject(reply);
        for (int k = 0; port && k < NODES; k++) {
                if (nodes[k].port == port)
                        return k;
        }
        return -1;
}

int owner_of(int slot)
{
        for (int i = 0; i < NODES; i++) {
                int owner = owner_seen_by(i, slot);

                if (owner >= 0)
                        return owner;
        }
        fail_msg("nobody serves slot %d", slot);
        return -1;
}

int node_after(int slot)
{
        return (owner_of(slot) + 1) % PRIMARIES;
}

int move_begin(int slot, int to)
{
        int from = owner_of(slot);
        char *from_id = node_id(from), *to_id = node_id(to);

        assert_int_not_equal(from, to);
        free(redis_says(&nodes[to], "CLUSTER SETSLOT %d IMPORTING %s", slot, from_id));
        free(redis_says(&nodes[from], "CLUSTER SETSLOT %d MIGRATING %s", slot, to_id));
        free(from_id);
        free(to_id);
        return from;
}

void move_keys(int slot, int from, int to)
{
        while (true) {
                redisReply *keys = redis_ask(&nodes[from], "CLUSTER GETKEYSINSLOT %d 1", slot);

                assert_true(keys && keys->type == REDIS_REPLY_ARRAY);
                if (keys->elements == 0) {
                        freeReplyObject(keys);
                        return;
                }
                free(redis_says(&nodes[from], "MIGRATE 127.0.0.1 %d %b 0 5000", nodes[to].port, keys->element[0]->str,
                                (size_t)keys->element[0]->len));
                freeReplyObject(keys);
        }
}

void tell_owner(int slot, int owner)
{
        char *id = node_id(owner);

        for (int i = 0; i < PRIMARIES; i++) {
                if (nodes[i].pid)
                        free(redis_says(&nodes[i], "CLUSTER SETSLOT %d NODE %s", slot, id));
        }
        free(id);
}

/* "<id> <address> <flags> <master> <ping> <pong> <epoch> …", a line a node; a replica's has its primary's id, too. */
static long epoch_seen_by(int node, const char *id)
{
        char *table = redis_says(&nodes[node], "CLUSTER NODES"), *rest = NULL;
        long epoch = -1;

        for (char *line = strtok_r(table, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                if (strncmp(line, id, strlen(id)) == 0)
                        (void)sscanf(line, "%*s %*s %*s %*s %*s %*s %ld", &epoch);
        }
        free(table);
        return epoch;
}

static bool agree_on_epochs(void)
{
        bool same = true;

        for (int of = 0; of < PRIMARIES; of++) {
                char *id = node_id(of);

                for (int by = 0; by < PRIMARIES; by++)
                        same = same && epoch_seen_by(by, id) == epoch_seen_by(of, id);
                free(id);
        }
        return same;
}

static bool agree_on_owner(int slot, int owner)
{
        for (int by = 0; by < PRIMARIES; by++) {
                if (owner_seen_by(by, slot) != owner)
                        return false;
        }
        return true;
}

/*
 * A node that does not know the latest epoch takes over with one that is too old: what the former owner sent just before
 * undoes it, and the two name each other for ever. So nothing moves before all know of the last time.
 */
static void await_agreement(int slot, int owner)
{
        while (!agree_on_owner(slot, owner) || !agree_on_epochs()) {
                poll(NULL, 0, 5);
                if (!agree_on_owner(slot, owner))
                        tell_owner(slot, owner);
        }
}

void move_end(int slot, int from, int to, enum told told)
{
        char *id = node_id(to);

        free(redis_says(&nodes[told == FORMER_FIRST ? from : to], "CLUSTER SETSLOT %d NODE %s", slot, id));
        free(id);
        poll(NULL, 0, 1 + (int)(sp__random_seed() % 10));
        tell_owner(slot, to);
        await_agreement(slot, to);
}

void move_slot(int slot, int to, enum told told)
{
        int from = move_begin(slot, to);

        move_keys(slot, from, to);
        move_end(slot, from, to, told);
}
