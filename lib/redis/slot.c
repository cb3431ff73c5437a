/* SPDX-License-Identifier: MIT */
#include "redis/slot.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CRC-16/XMODEM, as the cluster's specification asks for, four bits at a time. */
static uint16_t crc16(const unsigned char *data, size_t len)
{
        static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                           0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
        uint16_t crc = 0;

        for (size_t i = 0; i < len; i++) {
                crc = (uint16_t)(crc << 4 ^ table[(crc >> 12) ^ (data[i] >> 4)]);
                crc = (uint16_t)(crc << 4 ^ table[(crc >> 12) ^ (data[i] & 15)]);
        }
        return crc;
}

/* The first {…} that is not empty; 0: none. */
static size_t tag_in(const char *key, size_t len, const char **tag)
{
        const char *open = memchr(key, '{', len), *close;

        if (!open)
                return 0;
        *tag = open + 1;
        close = memchr(*tag, '}', len - (size_t)(*tag - key));
        return close ? (size_t)(close - *tag) : 0;
}

int sp__slot_of(const void *key, size_t len)
{
        const char *tag;
        size_t tag_len = tag_in(key, len, &tag);

        return crc16(tag_len ? (const void *)tag : key, tag_len ? tag_len : len) % SP__SLOTS;
}

bool sp__slot_tagged(const void *key, size_t len)
{
        const char *tag;

        return tag_in(key, len, &tag) > 0;
}

/* The one message of two bytes with that CRC: its sixteen steps, backwards. */
static void bytes_of_crc(uint16_t crc, char out[2])
{
        for (int i = 0; i < 16; i++)
                crc = (uint16_t)(crc & 1 ? (crc ^ 0x1021) >> 1 | 0x8000 : crc >> 1);
        out[0] = (char)(crc >> 8);
        out[1] = (char)crc;
}

void sp__slot_bytes(int slot, char out[2])
{
        do {
                bytes_of_crc((uint16_t)slot, out);
                slot += SP__SLOTS;
        } while (memchr(out, '}', 2));
}

/* The number behind a '*' or '$', and where the next line begins. */
static size_t number_at(const char *at, const char **after)
{
        char *end;
        size_t number = strtoul(at + 1, &end, 10);

        *after = end + 2;
        return number;
}

bool sp__request_word(struct sp__request_view *view, struct sp__word *out)
{
        if (view->next >= view->data + view->len)
                return false;
        out->len = number_at(view->next, &out->data);
        view->next = out->data + out->len + 2;
        return true;
}

bool sp__request_next(const char *data, size_t len, size_t *at, struct sp__request_view *out)
{
        struct sp__word word;

        if (*at >= len)
                return false;
        out->data = data + *at;
        out->len = len - *at;
        out->words = number_at(out->data, &out->next);
        for (size_t i = 0; i < out->words; i++)
                sp__request_word(out, &word);
        out->len = (size_t)(out->next - out->data);
        *at += out->len;
        number_at(out->data, &out->next);
        return true;
}

bool sp__word_is(const struct sp__word *word, const char *text)
{
        return strlen(text) == word->len && strncasecmp(word->data, text, word->len) == 0;
}

static bool is_one_of(const struct sp__word *word, const char *const list[])
{
        for (size_t i = 0; list[i]; i++) {
                if (sp__word_is(word, list[i]))
                        return true;
        }
        return false;
}

/* How many words stand before the first key; 0: there is none. `count` words before it, where not 0, says how many keys there are. */
static size_t first_key(const struct sp__word *name, bool *counted)
{
        static const char *const none[] = {
            "PING",    "ECHO",   "INFO",     "TIME",     "DBSIZE", "SCRIPT",    "COMMAND", "CONFIG",   "CLIENT",
            "CLUSTER", "KEYS",   "SCAN",     "PUBLISH",  "PUBSUB", "FLUSHDB",   "ACL",     "FLUSHALL", "LATENCY",
            "SLOWLOG", "MODULE", "FUNCTION", "LASTSAVE", "ROLE",   "RANDOMKEY", "SWAPDB",  NULL};
        static const char *const second[] = {"OBJECT", "XGROUP", "XINFO", "MEMORY", "BITOP", NULL};
        static const char *const scripts[] = {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO", NULL};
        static const char *const numbered[] = {"ZUNION",     "ZINTER", "ZDIFF", "SINTERCARD",
                                               "ZINTERCARD", "LMPOP",  "ZMPOP", NULL};

        *counted = true;
        if (is_one_of(name, scripts))
                return 3;
        if (is_one_of(name, numbered))
                return 2;
        *counted = false;
        if (is_one_of(name, none))
                return 0;
        return is_one_of(name, second) ? 2 : 1;
}

/* The first of several keys whose slots differ. */
static bool differ(struct sp__request_view view, int slot)
{
        struct sp__word word;

        while (sp__request_word(&view, &word)) {
                if (sp__slot_of(word.data, word.len) != slot)
                        return true;
        }
        return false;
}

/* XREAD and XREADGROUP: behind STREAMS. */
static int slot_of_streams(struct sp__request_view view)
{
        struct sp__word word;
        bool found = false;

        while (sp__request_word(&view, &word)) {
                if (found)
                        return sp__slot_of(word.data, word.len);
                found = sp__word_is(&word, "STREAMS");
        }
        return SP__NO_SLOT;
}

struct sp__keys_view sp__request_keys(const struct sp__request_view *given)
{
        static const char *const lists[] = {"UNLINK", "DEL", "EXISTS", "TOUCH", "MGET", NULL};
        struct sp__request_view view = *given;
        struct sp__keys_view keys = {.slot = SP__NO_SLOT};
        struct sp__word name, word = {NULL, 0};
        bool counted;
        size_t place;

        if (!sp__request_word(&view, &name))
                return keys;
        if (sp__word_is(&name, "XREAD") || sp__word_is(&name, "XREADGROUP")) {
                keys.slot = slot_of_streams(view);
                return keys;
        }
        place = first_key(&name, &counted);
        if (place == 0 || place >= view.words)
                return keys;
        for (size_t i = 0; i < place; i++) {
                sp__request_word(&view, &word);
                /* "EVAL text 0": no keys. */
                if (counted && i + 2 == place && word.len == 1 && *word.data == '0')
                        return keys;
        }
        keys.slot = sp__slot_of(word.data, word.len);
        keys.list = is_one_of(&name, lists);
        keys.splits = keys.list && differ(view, keys.slot);
        return keys;
}
