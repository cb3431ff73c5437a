/* SPDX-License-Identifier: MIT */
/*
 * What became of the rules' tables without a word in the server's log: all that a table's rules say goes then, as after a TRUNCATE. A shape
 * is kept in Redis once that was done, never before: who leads next finds what happened while nobody did.
 */
#include "core/error.h"
#include "invalidate/feed.h"
#include "invalidate/invalidate.h"

#include <stdio.h>
#include <stdlib.h>

static sp_status drop(struct sp_feed *feed, size_t index, sp_error **error)
{
        const struct sp__ruled *table = feed->rules->tables[index];
        struct sp__change change = {table, SP_ROW_TRUNCATE, NULL, NULL};
        struct sp__aims aims = {.why = "shape"};
        struct sp__reach reach = {.aim = sp__reach_add, .arg = &aims, .params = feed->params};

        snprintf(aims.about, sizeof aims.about, "%.60s.%.60s", table->schema, table->name);
        if (!sp__reach_change(&reach, &change) || aims.failed) {
                sp__aims_free(&aims);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        sp__lock(&feed->lock);
        feed->reshaped++;
        sp__unlock(&feed->lock);
        return sp__invalidate_run(feed->cache, feed->ctx, &aims, error);
}

static void replace(struct sp_feed *feed, struct sp__feed_shape *now)
{
        sp__feed_shape_free(&feed->shape);
        feed->shape = *now;
}

sp_status sp__feed_shape_begin(struct sp_feed *feed, sp_error **error)
{
        struct sp__feed_shape now;
        sp_status status = sp__feed_shape_look(feed->pool, feed->ctx, feed->rules, feed->publication, &now, error);

        if (status == SP_OK)
                replace(feed, &now);
        return status;
}

sp_status sp__feed_shape_resume(struct sp_feed *feed, sp_error **error)
{
        size_t count = feed->rules->table_count;
        uint64_t *kept;
        bool *known, any = false;
        sp_status status;

        if (feed->alone)
                return SP_OK;
        kept = calloc(count + 1, sizeof *kept);
        known = calloc(count + 1, sizeof *known);
        status =
            kept && known ? sp__feed_kept_shape(feed, kept, known, error) : sp__fail(error, SP_NOMEM, "out of memory");
        for (size_t i = 0; i < count && status == SP_OK; i++) {
                if (feed->rules->tables[i]->rule_count == 0 ||
                    (known[i] && kept[i] == sp__feed_shape_digest(&feed->shape, i)))
                        continue;
                status = drop(feed, i, error);
                any = true;
        }
        free(kept);
        free(known);
        return status == SP_OK && any ? sp__feed_keep_shape(feed, &feed->shape, error) : status;
}

/* What could not be asked for will be the next time. */
sp_status sp__feed_shape_follow(struct sp_feed *feed, bool *heirs, sp_error **error)
{
        struct sp__feed_shape now;
        sp_status status = SP_OK;
        bool any = false;

        *heirs = false;
        if (sp__feed_shape_look(feed->pool, feed->ctx, feed->rules, feed->publication, &now, NULL) != SP_OK)
                return SP_OK;
        for (size_t i = 0; i < feed->rules->table_count && status == SP_OK; i++) {
                enum sp__turn turn = sp__feed_shape_turn(&feed->shape, &now, i, feed->pool, feed->ctx);

                if (turn == SP__TURN_OTHER)
                        status = drop(feed, i, error);
                any |= turn != SP__TURN_SAME;
        }
        if (status == SP_OK && any)
                status = sp__feed_keep_shape(feed, &now, error);
        *heirs = any && sp__feed_shape_has_heirs(&feed->shape, &now);
        if (status == SP_OK)
                replace(feed, &now);
        else
                sp__feed_shape_free(&now);
        return status;
}
