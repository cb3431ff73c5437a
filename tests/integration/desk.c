/* SPDX-License-Identifier: MIT */
#include "desk.h"

#include "base/random.h"

#include <stdio.h>
#include <string.h>

static void declare_template(struct desk *desk, sp_cache *cache)
{
        char text[TEXT_MAX];
        sp_template *tmpl;

        snprintf(text, sizeof text, "%s:item:{id}:full", desk->name);
        assert_int_equal(sp_template_new(text, NULL, &tmpl, NULL), SP_OK);
        snprintf(text, sizeof text, "%s:item:*", desk->name);
        assert_int_equal(sp_template_pattern(tmpl, text, NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
}

sp_cache *desk_another_cache(struct desk *desk)
{
        char space[TEXT_MAX];
        sp_cache *cache;

        snprintf(space, sizeof space, "cache.namespace=%s", desk->name);
        cache = cache_with(desk->way, (const char *const[]){space, NULL});
        declare_template(desk, cache);
        return cache;
}

void desk_begin(struct desk *desk, void **state)
{
        char text[TEXT_MAX];
        sp_error *error = NULL;

        *desk = (struct desk){.way = *state};
        snprintf(desk->name, sizeof desk->name, "i%016llx", (unsigned long long)sp__random_seed());
        desk->cache = desk_another_cache(desk);
        assert_int_equal(sp_rules_new(desk->cache, &desk->rules, NULL), SP_OK);
        snprintf(text, sizeof text, "items(id) when title -> %s:item:{id}:full, tag %s\nlists -> %s:item:*", desk->name,
                 desk->name, desk->name);
        if (sp_rules_add(desk->rules, "test", text, strlen(text), &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        desk->pool = pool_with((const char *const[]){"pool.min=0", NULL});
}

void desk_end(struct desk *desk)
{
        sp_rules_unref(desk->rules);
        sp_cache_free(desk->cache);
        sp_pool_free(desk->pool);
}

const char *desk_key(const struct desk *desk, const char *part, char *out)
{
        sprintf(out, "%s:item:%s:full", desk->name, part);
        return out;
}

void desk_put(struct desk *desk, const char *part)
{
        char name[TEXT_MAX];

        put_text(desk->way, desk->cache, desk_key(desk, part, name), part);
}

bool desk_has(struct desk *desk, const char *part)
{
        char name[TEXT_MAX];

        return state_of(desk->way, desk->cache, desk_key(desk, part, name)) == SP_LOOKUP_HIT;
}

sp_row *desk_row(const char *table, int change, const char *id)
{
        sp_row *row = sp_row_new(table, change);

        assert_non_null(row);
        if (id)
                assert_int_equal(sp_row_set(row, "id", id, strlen(id)), SP_OK);
        return row;
}

sp_status desk_tell(struct desk *desk, sp_row *row, sp_error **error)
{
        sp_completion *done = NULL;
        sp_queue *queue;
        sp_status status;

        if (desk->way->invalidate == sp_cache_invalidate) {
                status = sp_invalidate_row(desk->rules, NULL, row, error);
                sp_row_free(row);
                return status;
        }
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        status = sp_invalidate_row_async(desk->rules, NULL, row, queue, 7);
        if (status == SP_OK) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
                status = completion_outcome(done, error);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_row_free(row);
        return status;
}
