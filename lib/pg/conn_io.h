/* SPDX-License-Identifier: MIT */
/** What conn.c, conn_open.c and conn_io.c share. Unless they say otherwise: the port's lock is held. */
#ifndef SP_PG_CONN_IO_H
#define SP_PG_CONN_IO_H

#include "pg/conn.h"

/** Starts to connect; engine's thread, no lock held. */
void sp__conn_connect(struct sp__conn *conn);
void sp__conn_connect_step(struct sp__conn *conn);
/** What happened under the lock is told, without it. */
void sp__conn_tell(struct sp__conn *conn);
/** The connect time-out; engine's thread, no lock held. */
void sp__conn_connect_late(struct sp__conn *conn);
/**
 * Watches libpq's socket, by a descriptor of our own: libpq closes its own whenever it finds the connection broken, also in a
 * send by one thread while another one polls, and the number would soon be another connection's. false: none is left.
 */
bool sp__conn_watch(struct sp__conn *conn, uint32_t want);
void sp__conn_unwatch(struct sp__conn *conn);
/**
 * Buffers a unit and puts it among those in flight: PREPARE where needed, the statement, its Sync, or that of its group once
 * that is full. A failure marks the connection lost.
 */
void sp__conn_put(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params);
/** Sends what can be sent, and the group that has come together where fewer than two are in flight. */
void sp__conn_write(struct sp__conn *conn);
/** Buffers what it needs to be allowed to write. */
bool sp__conn_writes(struct sp__conn *conn);
void sp__conn_read(struct sp__conn *conn, uint32_t events, struct sp__batch *done);
/** conn_change.c: a unit was put that may change what the ones behind it mean, or end what did. */
void sp__conn_note_change(struct sp__conn *conn, const struct sp__unit *unit);
/** A Sync was answered: others are told of what has taken effect. */
void sp__conn_settle_change(struct sp__conn *conn, bool in_transaction);
/** The connection is gone: others are told of what may have. */
void sp__conn_tell_change(struct sp__conn *conn);
/** demote.c: whether its server, as it reports of itself, is not what the target wants. */
bool sp__conn_unfit(const struct sp__conn *conn);
/** Whether the server said goodbye; takes apart what it sent while nothing was in flight. */
bool sp__conn_dying(struct sp__conn *conn);
/** Closes it, by the token's holder or while it is free: what was in flight ends without an answer. */
void sp__conn_end(struct sp__conn *conn, sp_error *why, sp_status status);

#endif
