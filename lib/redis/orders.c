/* SPDX-License-Identifier: MIT */
#include "redis/orders.h"

#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

static void add_up(redisReply *sum, redisReply *reply)
{
        if (sum->type == REDIS_REPLY_INTEGER && reply->type == REDIS_REPLY_INTEGER)
                sum->integer += reply->integer;
        freeReplyObject(reply);
}

/* The only element of `reply` becomes one of `all`. */
static void move_element(redisReply *all, size_t index, redisReply *reply)
{
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
                redisReply *former = all->element[index];

                all->element[index] = reply->element[0];
                reply->element[0] = former;
        }
        freeReplyObject(reply);
}

void sp__orders_keep(struct sp__command *command, const struct sp__order *order, redisReply *reply)
{
        redisReply **slot = &command->replies[order->reply];

        if (order->merge == SP__MERGE_WHOLE || !*slot || reply->type == REDIS_REPLY_ERROR) {
                if (*slot)
                        freeReplyObject(*slot);
                *slot = reply;
        } else if ((*slot)->type == REDIS_REPLY_ERROR) {
                freeReplyObject(reply);
        } else if (order->merge == SP__MERGE_SUM) {
                add_up(*slot, reply);
        } else {
                move_element(*slot, order->element, reply);
        }
}

/*
 * What others wrote is taken apart where it must be. Trips of the library's own are one key a command: while a slot is on its way no
 * node runs what has a key that is there and one that is not (TRYAGAIN).
 */
static bool is_apart(const struct sp__command *command, const struct sp__request_view *view, struct sp__keys_view keys)
{
        return keys.splits || (keys.list && view->words > 2 && !command->strict);
}

/* How many commands a trip becomes. */
static size_t count_orders(const struct sp__command *command)
{
        const struct sp__buf *request = &command->request;
        struct sp__request_view view;
        size_t at = 0, count = 0;

        while (sp__request_next(request->data, request->len, &at, &view))
                count += is_apart(command, &view, sp__request_keys(&view)) ? view.words - 1 : 1;
        return count;
}

/* An array of so many elements that are nil. NULL when out of memory. */
static redisReply *blank_array(size_t count)
{
        redisReply *all = calloc(1, sizeof *all);

        if (!all)
                return NULL;
        all->type = REDIS_REPLY_ARRAY;
        all->element = calloc(count, sizeof *all->element);
        for (size_t i = 0; all->element && i < count; i++) {
                all->element[i] = calloc(1, sizeof **all->element);
                if (!all->element[i])
                        break;
                all->element[i]->type = REDIS_REPLY_NIL;
                all->elements++;
        }
        if ((size_t)all->elements == count)
                return all;
        freeReplyObject(all);
        return NULL;
}

/* "UNLINK a b": UNLINK a, UNLINK b, whose answers add up; those of MGET stand beside each other. */
static bool split(struct sp__orders *plan, struct sp__command *command, struct sp__request_view view, unsigned reply,
                  struct sp__order *orders)
{
        struct sp__word name, key;
        size_t count = view.words - 1;
        bool sums;

        sp__request_word(&view, &name);
        sums = !sp__word_is(&name, "MGET");
        if (!sums && !(command->replies[reply] = blank_array(count)))
                return false;
        for (size_t i = 0; i < count; i++) {
                sp__request_word(&view, &key);
                /* The bytes move while they grow: offsets first. */
                orders[i] = (struct sp__order){.data = NULL, .len = plan->splits.len, .reply = reply, .element = i};
                orders[i].merge = sums ? SP__MERGE_SUM : SP__MERGE_ELEMENT;
                orders[i].slot = sp__slot_of(key.data, key.len);
                sp__resp_head(&plan->splits, 2);
                sp__resp_bulk(&plan->splits, name.data, name.len);
                sp__resp_bulk(&plan->splits, key.data, key.len);
        }
        return true;
}

static void place_splits(struct sp__orders *plan)
{
        size_t end = plan->splits.len;

        for (size_t i = plan->count; i-- > 0;) {
                struct sp__order *order = &plan->orders[i];

                if (order->data)
                        continue;
                order->data = plan->splits.data + order->len;
                order->len = end - order->len;
                end -= order->len;
        }
}

static bool make(struct sp__orders *plan, struct sp__command *command)
{
        struct sp__request_view view;
        size_t at = 0, made = 0;
        unsigned reply = 0;

        while (sp__request_next(command->request.data, command->request.len, &at, &view)) {
                struct sp__keys_view keys = sp__request_keys(&view);

                if (!is_apart(command, &view, keys)) {
                        plan->orders[made++] =
                            (struct sp__order){.data = view.data, .len = view.len, .slot = keys.slot, .reply = reply++};
                        continue;
                }
                if (!split(plan, command, view, reply++, plan->orders + made))
                        return false;
                made += view.words - 1;
        }
        place_splits(plan);
        for (size_t i = 0; i + 1 < plan->count; i++)
                plan->orders[i].next = &plan->orders[i + 1];
        return !plan->splits.failed;
}

struct sp__orders *sp__orders_new(struct sp__command *command)
{
        size_t count = count_orders(command);
        struct sp__orders *plan = calloc(1, sizeof *plan + count * sizeof plan->orders[0]);

        if (!plan)
                return NULL;
        plan->count = count;
        if (make(plan, command))
                return plan;
        sp__orders_free(plan);
        return NULL;
}

void sp__orders_free(struct sp__orders *plan)
{
        if (!plan)
                return;
        sp__buf_free(&plan->splits);
        free(plan);
}
