/* SPDX-License-Identifier: MIT */
/**
 * Reads through the cache. The long way, read_run(): look up; on a lease ask the database under the breaker, answer, fill. So
 * the breaker sees the database alone, hits are served while it is open, and everybody else who wants the key waits for
 * our lease. The short way, read_query(), is the library's query through the cache, in one call.
 *
 * The answer is the first cell of the first row. A column that is called "tag" gives the entry that tag.
 */
#ifndef SERVICE_READ_H
#define SERVICE_READ_H

#include "work.h"

/* NULL, and the call is answered, when out of memory. Add the parameters by work_param(): of the key and the statement alike. */
struct work *read_new(struct service *service, struct http_call *call, const struct reading *reading);
/* Where the key's one parameter is not the statement's. Before the others. */
void read_key(struct work *work, const char *text);
void read_run(struct work *work);
void read_query(struct work *work);
/* Where the one parameter is the path's. */
void read_by_id(struct service *service, struct http_call *call, const struct reading *reading, const char *id);
/* The path's and the query's "limit", 1–100, 10 without one. */
void read_list(struct service *service, struct http_call *call, const struct reading *reading, const char *id);
/* The path's and the query's `name`, which must be one of the words (ends with NULL). */
void read_by_word(struct service *service, struct http_call *call, const struct reading *reading, const char *id,
                  const char *name, const char *const words[]);

#endif
