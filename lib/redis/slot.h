/* SPDX-License-Identifier: MIT */
/** Where in a cluster a command belongs: hash slots, and which words of a command are keys. Pure. */
#ifndef SP_REDIS_SLOT_H
#define SP_REDIS_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SP__SLOTS = 16384, SP__NO_SLOT = -1 };

/** The slot of a key: CRC-16 (XMODEM) of its hash tag, the first {…} that is not empty, else of all of it. */
int sp__slot_of(const void *key, size_t len);
/** Whether there is such a tag. */
bool sp__slot_tagged(const void *key, size_t len);
/** Two bytes, none of them '}', that are of that slot as a hash tag. */
void sp__slot_bytes(int slot, char out[2]);

struct sp__word {
        const char *data;
        size_t len;
};

/** A command of a request, as sp__command_begin() and so on wrote it. */
struct sp__request_view {
        const char *data; /* all of its bytes */
        size_t len;
        size_t words;
        const char *next; /* of its bytes: the next word */
};

/** The next command behind `*at`, which moves on. false at the end. */
bool sp__request_next(const char *data, size_t len, size_t *at, struct sp__request_view *out);
/** The next word. false at the end. */
bool sp__request_word(struct sp__request_view *view, struct sp__word *out);
/** Case is ignored. */
bool sp__word_is(const struct sp__word *word, const char *text);

/** What a cluster must know of a command. */
struct sp__keys_view {
        int slot;    /* of its first key; SP__NO_SLOT: it has none, any node will do */
        bool list;   /* UNLINK, DEL, EXISTS, TOUCH or MGET: all words but the first are keys */
        bool splits; /* one with several keys, of different slots */
};

struct sp__keys_view sp__request_keys(const struct sp__request_view *view);

#endif
