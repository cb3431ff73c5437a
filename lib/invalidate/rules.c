/* SPDX-License-Identifier: MIT */
#include "invalidate/rules.h"

#include "base/hash.h"
#include "cache/cache.h"
#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sp_status sp_rules_new(sp_cache *cache, sp_rules **out, sp_error **error)
{
        sp_rules *rules;

        SP__NEED(cache, error);
        SP__NEED(out, error);
        rules = calloc(1, sizeof *rules);
        if (!rules)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_init(&rules->refs, 1);
        rules->cache = cache;
        *out = rules;
        return SP_OK;
}

sp_rules *sp_rules_ref(sp_rules *rules)
{
        if (rules)
                atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
        return rules;
}

void sp_rules_unref(sp_rules *rules)
{
        if (!rules || atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < rules->table_count; i++)
                sp__ruled_free(rules->tables[i]);
        free(rules->tables);
        free(rules);
}

/* Rules that were bound and are not yet among the others. */
struct batch {
        size_t count;
        struct {
                struct sp__rule *rule;
                struct sp__ruled *table;
        } items[SP_RULES_MAX];
};

static sp_status bind_all(sp_rules *rules, struct sp__draft_reader *reader, struct batch *batch)
{
        struct sp__draft *draft = malloc(sizeof *draft);
        sp_status status = draft ? SP_OK : sp__fail(reader->error, SP_NOMEM, "out of memory");

        while (status == SP_OK && (status = sp__draft_next(reader, draft)) == SP_OK) {
                if (rules->rule_count + batch->count == SP_RULES_MAX) {
                        status = sp__fail(reader->error, SP_LIMIT,
                                          "%.128s:%u: there are %d rules already, which is the most", reader->source,
                                          draft->line, SP_RULES_MAX);
                        break;
                }
                status =
                    sp__rule_bind(rules, rules->cache->keys, reader->source, draft, &batch->items[batch->count].rule,
                                  &batch->items[batch->count].table, reader->error);
                batch->count += status == SP_OK;
        }
        free(draft);
        return status == SP_NOT_FOUND ? SP_OK : status;
}

static bool make_room(struct sp__ruled *table)
{
        struct sp__rule **all = realloc(table->rules, (table->rule_count + 1) * sizeof(struct sp__rule *));

        if (all)
                table->rules = all;
        return all != NULL;
}

/* Each rule to its table; all, or (out of memory) none. */
static bool adopt(sp_rules *rules, struct batch *batch)
{
        size_t done = 0;

        while (done < batch->count && make_room(batch->items[done].table)) {
                struct sp__ruled *table = batch->items[done].table;

                table->rules[table->rule_count++] = batch->items[done++].rule;
        }
        if (done == batch->count) {
                rules->rule_count += done;
                return true;
        }
        while (done > 0)
                batch->items[--done].table->rule_count--;
        return false;
}

/* Some editors begin a file with U+FEFF. */
static void skip_mark(struct sp__draft_reader *reader)
{
        if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xef\xbb\xbf", 3) == 0)
                reader->at += 3;
}

sp_status sp_rules_add(sp_rules *rules, const char *source, const void *data, size_t len, sp_error **error)
{
        struct sp__draft_reader reader = {source ? source : "rules", data, NULL, 1, error};
        struct batch *batch;
        sp_status status;

        SP__NEED(rules, error);
        if (!data && len > 0)
                return sp__missing(error, __func__, "data");
        if (len > SP_RULES_TEXT_MAX)
                return sp__fail(error, SP_LIMIT, "%.128s: %zu bytes of rules, at most %d are allowed", reader.source,
                                len, SP_RULES_TEXT_MAX);
        if (len == 0)
                return SP_OK;
        reader.end = reader.at + len;
        skip_mark(&reader);
        batch = calloc(1, sizeof *batch);
        status = batch ? bind_all(rules, &reader, batch) : sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK && !adopt(rules, batch))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        for (size_t i = 0; status != SP_OK && batch && i < batch->count; i++)
                sp__rule_free(batch->items[i].rule);
        free(batch);
        return status;
}

sp_status sp_rules_load(sp_rules *rules, const char *path, sp_error **error)
{
        const char *name;
        sp_status status;
        char *text;
        FILE *file;
        size_t len;

        SP__NEED(rules, error);
        SP__NEED(path, error);
        file = fopen(path, "re");
        if (!file)
                return sp__fail(error, SP_NOT_FOUND, "%.256s cannot be read: %s", path, strerror(errno));
        text = malloc(SP_RULES_TEXT_MAX + 1);
        len = text ? fread(text, 1, SP_RULES_TEXT_MAX + 1, file) : 0;
        name = strrchr(path, '/');
        if (!text)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else if (ferror(file))
                status = sp__fail(error, SP_NOT_FOUND, "%.256s cannot be read", path);
        else
                status = sp_rules_add(rules, name ? name + 1 : path, text, len, error);
        fclose(file);
        free(text);
        return status;
}

const struct sp__ruled *sp__rules_table(const sp_rules *rules, const char *schema, const char *name)
{
        for (size_t i = 0; i < rules->table_count; i++) {
                const struct sp__ruled *table = rules->tables[i];

                if (strcmp(table->name, name) == 0 && strcmp(table->schema, schema) == 0)
                        return table->rule_count ? table : NULL;
        }
        return NULL;
}

static uint64_t hash_text(const char *text)
{
        return sp__hash(text, strlen(text), 0);
}

static uint64_t hash_rule(const struct sp__ruled *table, const struct sp__rule *rule)
{
        uint64_t hash = hash_text(table->schema) * 3 + hash_text(table->name) * 5 + rule->events;

        for (size_t i = 0; i < rule->when_count; i++)
                hash += hash_text(table->columns[rule->when[i]]) * 7;
        for (size_t i = 0; i < rule->goal_count; i++)
                hash += (hash_text(rule->goals[i].text) + rule->goals[i].kind) * 11;
        return hash;
}

uint64_t sp__rules_hash(const sp_rules *rules)
{
        uint64_t sum = 0;

        /* A sum, as the order does not matter; each first mixed, so that parts of rules cannot change places. */
        for (size_t i = 0; i < rules->table_count; i++) {
                for (size_t k = 0; k < rules->tables[i]->rule_count; k++) {
                        uint64_t hash = hash_rule(rules->tables[i], rules->tables[i]->rules[k]);

                        sum += sp__hash(&hash, sizeof hash, 0);
                }
        }
        return sum;
}

/* JSON being written. */
struct page {
        struct sp__buf *text;
        bool any;
};

static void explain_aim(void *arg, const struct sp__rule *rule, enum sp__aim_kind kind, const void *data, size_t len)
{
        static const char *const words[] = {"key", "tag", "pattern", "all"};
        struct page *page = arg;
        char where[160];

        snprintf(where, sizeof where, "%.128s:%u", rule->source, rule->line);
        sp__buf_text(page->text, page->any ? ",{\"rule\":" : "{\"rule\":");
        sp__buf_json(page->text, where, strlen(where));
        sp__buf_format(page->text, ",\"kind\":\"%s\",\"text\":", words[kind]);
        sp__buf_json(page->text, data, len);
        sp__buf_char(page->text, '}');
        page->any = true;
}

static bool write_page(const sp_row *row, const struct sp__change *change, struct sp__buf *text)
{
        struct page page = {text, false};
        struct sp__reach reach = {.aim = explain_aim, .arg = &page, .params = sp_params_new()};
        bool good = reach.params != NULL;

        sp__buf_text(text, "{\"table\":");
        sp__row_name(row, text);
        sp__buf_format(text, ",\"change\":\"%s\",\"targets\":[", sp__change_word(change->kind));
        if (good && change->table)
                good = sp__reach_change(&reach, change);
        sp__buf_text(text, "]}");
        sp_params_free(reach.params);
        return good && !text->failed;
}

sp_status sp_rules_explain(const sp_rules *rules, const sp_row *row, sp_value **out, sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__row_cells cells;
        struct sp__change change;
        sp_value *value = NULL;
        sp_status status;

        SP__NEED(rules, error);
        SP__NEED(row, error);
        SP__NEED(out, error);
        status = sp__row_change(row, rules, &cells, &change, error);
        if (status != SP_OK)
                return status;
        if (write_page(row, &change, &text))
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        if (!value)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = value;
        return SP_OK;
}
