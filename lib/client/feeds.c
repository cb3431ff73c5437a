/* SPDX-License-Identifier: MIT */
/* The client's change feeds: they end before what they read from and what they invalidate. */
#include "client/client.h"
#include "core/error.h"
#include "invalidate/feed.h"
#include "observe/registry.h"

#include <stdlib.h>

struct sp__client_feed {
        struct sp__list link;
        sp_feed *feed;
};

/* Takes the feed. */
static sp_status keep(sp_client *client, sp_feed *feed, sp_error **error)
{
        struct sp__client_feed *kept = malloc(sizeof *kept);

        if (kept && sp__metrics_add(client->metrics, sp__feed_collect, feed)) {
                kept->feed = feed;
                sp__lock(&client->lock);
                sp__list_push(&client->feeds, &kept->link);
                sp__unlock(&client->lock);
                return SP_OK;
        }
        free(kept);
        sp_feed_free(feed);
        return sp__fail(error, SP_NOMEM, "out of memory");
}

sp_status sp_client_feed(sp_client *client, const char *pool, sp_rules *rules, sp_feed **out, sp_error **error)
{
        sp_feed *feed = NULL;
        sp_pool *from;
        sp_status status;

        SP__NEED(client, error);
        SP__NEED(rules, error);
        SP__NEED(out, error);
        from = sp_client_pool(client, pool);
        if (!from)
                return sp__fail(error, SP_NOT_FOUND, "the client has no pool \"%.64s\"", pool ? pool : "default");
        status = sp_feed_new(client->config, from, rules, &feed, error);
        if (status == SP_OK)
                status = keep(client, feed, error);
        if (status == SP_OK)
                *out = feed;
        return status;
}

void sp__client_end_feeds(sp_client *client)
{
        struct sp__list *link;

        for (;;) {
                struct sp__client_feed *kept;

                sp__lock(&client->lock);
                link = sp__list_pop(&client->feeds);
                sp__unlock(&client->lock);
                if (!link)
                        return;
                kept = SP__OF(link, struct sp__client_feed, link);
                sp__metrics_remove(client->metrics, kept->feed);
                sp_feed_free(kept->feed);
                free(kept);
        }
}

bool sp__client_write_feeds(sp_client *client, struct sp__buf *out)
{
        const char *before = "[";
        bool well = true;

        sp__lock(&client->lock);
        SP__EACH(&client->feeds, at, after)
        {
                sp_feed *feed = SP__OF(at, struct sp__client_feed, link)->feed;
                sp_value *report = NULL;
                size_t len;

                well &= sp__feed_well(feed);
                out->failed |= sp_feed_report(feed, &report) != SP_OK;
                sp__buf_text(out, before);
                sp__buf_text(out, report ? sp_value_data(report, &len) : "null");
                sp_value_unref(report);
                before = ",";
        }
        sp__unlock(&client->lock);
        sp__buf_text(out, *before == '[' ? "[]" : "]");
        return well;
}
