/* SPDX-License-Identifier: MIT */
/* Units of work: what was written and which transactions are open is one unit's, and what an inner one writes the outer one's. */
#include "core/ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct family {
        sp_ctx *root, *child, *own, *inner;
};

static struct family family_new(void)
{
        struct family f = {.root = sp_ctx_new(NULL)};

        f.child = sp_ctx_new(f.root);
        f.own = sp_ctx_new(f.child);
        assert_int_equal(sp_ctx_set(f.own, "unit", "own", NULL), SP_OK);
        f.inner = sp_ctx_new(f.own);
        return f;
}

static void family_free(struct family *f)
{
        sp_ctx_unref(f->inner);
        sp_ctx_unref(f->own);
        sp_ctx_unref(f->child);
        sp_ctx_unref(f->root);
}

static void test_a_write_is_that_of_the_outer_unit_as_well(void **state)
{
        struct family f = family_new();

        sp__ctx_note_write(f.inner);
        assert_true(sp__ctx_wrote(f.own) > 0);
        assert_true(sp__ctx_wrote(f.inner) > 0);
        assert_true(sp__ctx_wrote(f.child) > 0);
        family_free(&f);
        f = family_new();
        sp__ctx_note_write(f.child);
        assert_true(sp__ctx_wrote(f.root) > 0);
        assert_int_equal(sp__ctx_wrote(f.inner), 0);
        family_free(&f);
}

static void test_an_open_transaction_is_its_own_unit_s(void **state)
{
        struct family f = family_new();

        sp__ctx_transaction(f.own, 1);
        assert_true(sp__ctx_in_transaction(f.inner));
        assert_false(sp__ctx_in_transaction(f.child));
        sp__ctx_transaction(f.own, -1);
        sp__ctx_transaction(f.child, 1);
        assert_true(sp__ctx_in_transaction(f.root));
        assert_false(sp__ctx_in_transaction(f.inner));
        sp__ctx_transaction(f.child, -1);
        family_free(&f);
}

static void test_it_ends_with_its_parent(void **state)
{
        struct family f = family_new();

        assert_int_equal(sp_ctx_set(f.own, "unit", "other", NULL), SP_INVALID);
        sp_ctx_cancel(f.root);
        assert_true(sp_ctx_cancelled(f.inner));
        family_free(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_write_is_that_of_the_outer_unit_as_well),
            cmocka_unit_test(test_an_open_transaction_is_its_own_unit_s),
            cmocka_unit_test(test_it_ends_with_its_parent),
        };

        return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
