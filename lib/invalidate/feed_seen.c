/* SPDX-License-Identifier: MIT */
/* Whether others see what a transaction did: not at once when its commit is in the log. On the feed's thread. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <stdlib.h>
#include <string.h>

/* "xmin:xmax:xid,xid": below xmin all is seen, from xmax on nothing, between them what is not named. */
bool sp__feed_seen(uint32_t xid, const char *snapshot)
{
        char *at;
        uint32_t xmin = (uint32_t)strtoull(snapshot, &at, 10);
        uint32_t xmax = *at == ':' ? (uint32_t)strtoull(at + 1, &at, 10) : xmin;

        /* In a circle, as transactions' short numbers come again. */
        if ((int32_t)(xid - xmin) < 0)
                return true;
        if ((int32_t)(xid - xmax) >= 0)
                return false;
        while (*at == ':' || *at == ',') {
                char *from = at + 1;

                if ((uint32_t)strtoull(from, &at, 10) == xid && at != from)
                        return false;
        }
        return true;
}

sp_status sp__feed_snapshot(struct sp_feed *feed, char **out, sp_error **error)
{
        sp_result *result = NULL;
        sp_status status = sp_pool_query(feed->pool, feed->ctx, feed->snapshot, NULL, &result, error);
        const char *text;
        size_t len;

        if (status != SP_OK)
                return status;
        text = sp_result_rows(result) ? sp_result_get(result, 0, 0, &len) : NULL;
        if (!text)
                status = sp__fail(error, SP_PROTOCOL, "a snapshot that makes no sense");
        else if (!(*out = strdup(text)))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        sp_result_free(result);
        return status;
}
