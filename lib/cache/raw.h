/* SPDX-License-Identifier: MIT */
/**
 * Raw keys: other programs read and write them too, so that in Redis there is the value and nothing else, under the key's own
 * name. Nothing tells then of when it is, and what it depends on:
 *
 *     read     always of Redis, never of the in-process level: it is as of the trip, which began after this process's own
 *              last change of the key (else it is made again)
 *     lease    as ever; what stood there at that moment is noted down
 *     fill     only where the lease is still ours and that still stands there: who wrote meanwhile wins
 *
 * What cannot be seen is another program's deletion of a key under which nothing stands: what is being loaded then is stored,
 * unless that program deletes the lease too.
 */
#ifndef SP_CACHE_RAW_H
#define SP_CACHE_RAW_H

#include "cache/flight.h"

/** Notes down what stands there when the lease is given; `bytes` NULL: nothing. */
void sp__raw_see(struct sp__flight *flight, const char *bytes, size_t len);
/** What Redis has becomes what was found. false: out of memory. */
bool sp__raw_take(struct sp__flight *flight, const char *bytes, size_t len);

#endif
