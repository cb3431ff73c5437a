/* SPDX-License-Identifier: MIT */
/**
 * Where a pool's password comes from, when not from its URL: handed in by the application, a file, or a program; asked for at
 * each connection anew, so that it may change while the pool runs.
 *
 * Threads: any. Its lock is a leaf.
 */
#ifndef SP_PG_PASSWORD_H
#define SP_PG_PASSWORD_H

#include <stdatomic.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

struct sp__password;

/** SP_INVALID: the command cannot be taken apart. */
sp_status sp__password_new(const sp_config *config, const char *pool, struct sp__password **out, sp_error **error);
void sp__password_free(struct sp__password *password);
/** Nobody is told of refusals any more: who waits for one ends with SP_CLOSED. */
void sp__password_close(struct sp__password *password);

/** NULL: none. */
sp_status sp__password_set(struct sp__password *password, const void *data, size_t len, sp_error **error);
/** Whether asking for it may block. */
bool sp__password_blocks(struct sp__password *password);
/**
 * For an attempt that began at `since`. NULL: `*out` is it, to be given to sp__password_wipe(), or NULL where nobody but the
 * URL has one. Else why there is none; static. `stop`: the attempt is over.
 */
const char *sp__password_ask(struct sp__password *password, int64_t since, const atomic_bool *stop, char **out);
/** Overwrites and frees it; may be NULL. */
void sp__password_wipe(char *text);

/** Whether another one may come: a refusal is then not the last word. */
bool sp__password_changes(struct sp__password *password);
/** The server refused it, or (`wanted`) asked for one and there was none. No lock held. */
void sp__password_refused(struct sp__password *password, bool wanted);
sp_status sp__password_watch(struct sp__password *password, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);

#endif
