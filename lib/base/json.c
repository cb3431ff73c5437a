/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 2000, BLOCK = 256 };

struct block {
        struct block *next;
        size_t used;
        struct sp__json nodes[BLOCK];
};

struct sp__json_tree {
        struct block *blocks;
        struct sp__json *root;
        char *texts; /* decoded in place: a copy of the input */
        char *at, *end;
        int depth;
};

static struct sp__json *node_new(struct sp__json_tree *tree, enum sp__json_kind kind)
{
        struct sp__json *node;

        if (!tree->blocks || tree->blocks->used == BLOCK) {
                struct block *block = malloc(sizeof *block);

                if (!block)
                        return NULL;
                block->next = tree->blocks;
                block->used = 0;
                tree->blocks = block;
        }
        node = &tree->blocks->nodes[tree->blocks->used++];
        *node = (struct sp__json){.kind = kind, .text = ""};
        return node;
}

static char skip(struct sp__json_tree *tree)
{
        while (tree->at < tree->end && strchr(" \t\r\n", *tree->at))
                tree->at++;
        return tree->at < tree->end ? *tree->at : 0;
}

static unsigned hex(const char *at, const char *end)
{
        unsigned value = 0;

        for (int i = 0; i < 4; i++) {
                char c = at + i < end ? at[i] : 'x';

                if (c >= '0' && c <= '9')
                        value = value * 16 + (unsigned)(c - '0');
                else if ((c | 32) >= 'a' && (c | 32) <= 'f')
                        value = value * 16 + (unsigned)((c | 32) - 'a' + 10);
                else
                        return 0;
        }
        return value;
}

/* Of what is not ASCII only that something stood there matters here. */
static char escaped(struct sp__json_tree *tree)
{
        static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
        char c = tree->at < tree->end ? *tree->at++ : 0;
        const char *found = c ? strchr(from, c) : NULL;
        unsigned code;

        if (found)
                return to[found - from];
        if (c != 'u')
                return c;
        code = hex(tree->at, tree->end);
        tree->at += tree->end - tree->at < 4 ? tree->end - tree->at : 4;
        return code > 0 && code < 0x80 ? (char)code : '?';
}

/* At a quote. Decoding only shortens, so that it is done in place; NULL: it does not end. */
static const char *string(struct sp__json_tree *tree)
{
        char *start = ++tree->at, *to = start;

        while (tree->at < tree->end && *tree->at != '"') {
                char c = *tree->at++;

                *to++ = c == '\\' ? escaped(tree) : c;
        }
        if (tree->at >= tree->end)
                return NULL;
        tree->at++;
        *to = 0;
        return start;
}

static struct sp__json *value(struct sp__json_tree *tree);

/* What stands between the brackets, up to the one that closes. */
static bool members(struct sp__json_tree *tree, struct sp__json *parent, char closing)
{
        const struct sp__json **last = &parent->first;

        tree->at++;
        for (char c = skip(tree); c != closing; c = skip(tree)) {
                const char *key = NULL;
                struct sp__json *node;

                if (parent->first) {
                        if (c != ',')
                                return false;
                        tree->at++;
                        c = skip(tree);
                }
                if (closing == '}') {
                        if (c != '"' || !(key = string(tree)) || skip(tree) != ':')
                                return false;
                        tree->at++;
                }
                node = value(tree);
                if (!node)
                        return false;
                node->key = key;
                *last = node;
                last = &node->next;
        }
        tree->at++;
        return true;
}

static struct sp__json *nested(struct sp__json_tree *tree, enum sp__json_kind kind, char closing)
{
        struct sp__json *node = ++tree->depth > DEPTH ? NULL : node_new(tree, kind);

        if (!node || !members(tree, node, closing))
                return NULL;
        tree->depth--;
        return node;
}

/* A number or a word. It is cut out when the byte behind it was looked at: a copy of its own. */
static struct sp__json *word(struct sp__json_tree *tree)
{
        struct sp__json *node = node_new(tree, SP__JSON_OTHER);
        char *start = tree->at;

        while (tree->at < tree->end && !strchr(",]} \t\r\n", *tree->at))
                tree->at++;
        if (!node || tree->at == start)
                return NULL;
        node->text = start;
        return node;
}

static struct sp__json *value(struct sp__json_tree *tree)
{
        struct sp__json *node;

        switch (skip(tree)) {
        case '{':
                return nested(tree, SP__JSON_OBJECT, '}');
        case '[':
                return nested(tree, SP__JSON_ARRAY, ']');
        case '"':
                node = node_new(tree, SP__JSON_TEXT);
                if (node)
                        node->text = string(tree);
                return node && node->text ? node : NULL;
        default:
                return word(tree);
        }
}

/* Words end where what follows began: only now may that be overwritten. */
static void cut_words(struct sp__json_tree *tree)
{
        for (struct block *block = tree->blocks; block; block = block->next) {
                for (size_t i = 0; i < block->used; i++) {
                        struct sp__json *node = &block->nodes[i];

                        if (node->kind == SP__JSON_OTHER)
                                ((char *)(uintptr_t)node->text)[strcspn(node->text, ",]} \t\r\n")] = 0;
                }
        }
}

struct sp__json_tree *sp__json_read(const char *data, size_t len)
{
        struct sp__json_tree *tree = calloc(1, sizeof *tree);

        if (!tree)
                return NULL;
        tree->texts = malloc(len + 1);
        if (tree->texts) {
                memcpy(tree->texts, data, len);
                tree->texts[len] = 0;
                tree->at = tree->texts;
                tree->end = tree->texts + len;
                tree->root = value(tree);
        }
        if (!tree->root || skip(tree)) {
                sp__json_free(tree);
                return NULL;
        }
        cut_words(tree);
        return tree;
}

void sp__json_free(struct sp__json_tree *tree)
{
        if (!tree)
                return;
        while (tree->blocks) {
                struct block *next = tree->blocks->next;

                free(tree->blocks);
                tree->blocks = next;
        }
        free(tree->texts);
        free(tree);
}

const struct sp__json *sp__json_root(const struct sp__json_tree *tree)
{
        return tree->root;
}

const struct sp__json *sp__json_get(const struct sp__json *node, const char *key)
{
        if (!node || node->kind != SP__JSON_OBJECT)
                return NULL;
        for (const struct sp__json *at = node->first; at; at = at->next) {
                if (strcmp(at->key, key) == 0)
                        return at;
        }
        return NULL;
}

const char *sp__json_text(const struct sp__json *node, const char *key)
{
        const struct sp__json *found = sp__json_get(node, key);

        return found ? found->text : "";
}
