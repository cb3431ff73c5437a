/* SPDX-License-Identifier: MIT */
/** The scripts that Redis runs for us, called by their digest; after SCRIPT FLUSH once more with their text. */
#ifndef SP_CACHE_SCRIPTS_H
#define SP_CACHE_SCRIPTS_H

#include "redis/command.h"

enum sp__script {
        /** V · epoch, run id, 1 or 0 → {epoch, n}: where the log is; begins a new epoch where it was lost or, 1, of another run. */
        SP__SCRIPT_PLACE,
        /**
         * V · epoch, run id, tags at most, tags (8 bytes each), channel → {epoch, n}: the log's next entry. The channel is no
         * key: while a slot moves, a node runs what has one key alone.
         */
        SP__SCRIPT_BUMP,
        /** k, k's lease · token, ms, former token → {1 or 0, k's value}. */
        SP__SCRIPT_ACQUIRE,
        /** A feed's rules, its lease, its state · token, ms, identity → {1 or 0, the rules, the identity}: ours where there was none. */
        SP__SCRIPT_LEAD,
        /** k, k's lease · token, entry, ms → 1 or 0. */
        SP__SCRIPT_FILL,
        /** A raw k, its lease · token, value, ms, SHA-1 of what stood there (empty: nothing) → 1 or 0. */
        SP__SCRIPT_FILL_RAW,
        /** k's lease · token → 1 or 0. */
        SP__SCRIPT_RELEASE,
        /** k · the format's 3 bytes, fresh until, kept until (0: as it is, and the limit of the former), now → 1 or 0. */
        SP__SCRIPT_EXTEND,
        /** k, k's lease · entry, ms → 1: it is what there is, and who loads does not store. */
        SP__SCRIPT_SET,
        /** done, lease · due, token, ms, window → 1: the turn is ours, 0: another one has it, 2: it was done, up to `window` before. */
        SP__SCRIPT_TURN,
        /** done, lease · token, due, ms to remember it (0: it was not done) → 1 or 0. */
        SP__SCRIPT_TURN_END,
        /** done, lease · token, ms, due → 1: it is still ours, also where it was lost; 0: another one has it, or did it. */
        SP__SCRIPT_TURN_KEEP,
        SP__SCRIPTS
};

/** Adds the script's call with `keys` keys and `args` arguments, which are to be added next. */
void sp__script_begin(struct sp__command *command, enum sp__script script, bool with_text, size_t keys, size_t args);
/** A SHA-1 as Redis writes it; `hex` has room for 41. */
void sp__sha1_hex(const void *data, size_t len, char *hex);
/** The same as bytes, for a greeting. Always with its text. */
const char *sp__script_text(enum sp__script script);

#endif
