/* SPDX-License-Identifier: MIT */
/* The library loads and unloads again and again without growing and without a thread left behind. */
#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS 50

static const char *library;

static void cycle(void)
{
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

        if (!handle)
                fail_msg("%s", dlerror());
        assert_int_equal(dlclose(handle), 0);
}

static int keep(struct dl_phdr_info *info, size_t size, void *arg)
{
        if (*info->dlpi_name && !strstr(info->dlpi_name, "libsugarperf"))
                dlopen(info->dlpi_name, RTLD_NOW | RTLD_NODELETE);
        return 0;
}

/*
 * What the library links against grows by itself when it is loaded again and again (libpq's own dependencies do): it stays,
 * so that ours alone counts.
 */
static void keep_dependencies(void)
{
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

        dl_iterate_phdr(keep, NULL);
        dlclose(handle);
}

static size_t entries(const char *path)
{
        DIR *dir = opendir(path);
        size_t n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void test_reload_leaves_no_thread_and_no_fd(void **state)
{
        size_t threads, fds;

        cycle();
        threads = entries("/proc/self/task");
        fds = entries("/proc/self/fd");
        for (int i = 0; i < ROUNDS; i++)
                cycle();
        assert_int_equal(entries("/proc/self/task"), threads);
        assert_int_equal(entries("/proc/self/fd"), fds);
}

static void test_reload_leaves_no_memory(void **state)
{
        size_t before;

        /* The first rounds fill the dynamic linker's own caches. */
        for (int i = 0; i < 5; i++)
                cycle();
        before = mallinfo2().uordblks;
        for (int i = 0; i < ROUNDS; i++)
                cycle();
        assert_true(mallinfo2().uordblks < before + ROUNDS * 16);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_reload_leaves_no_thread_and_no_fd),
            cmocka_unit_test(test_reload_leaves_no_memory),
        };

        if (argc != 2)
                return 2;
        library = argv[1];
        keep_dependencies();
        return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
