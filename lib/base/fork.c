/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

bool sp__fork_init(struct sp__fork *guard)
{
        size_t size = (size_t)sysconf(_SC_PAGESIZE);
        void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
                return false;
        if (madvise(page, size, MADV_WIPEONFORK) != 0) {
                munmap(page, size);
                return false;
        }
        guard->page = page;
        *guard->page = 1;
        return true;
}

void sp__fork_destroy(struct sp__fork *guard)
{
        if (guard->page)
                munmap((void *)(uintptr_t)guard->page, (size_t)sysconf(_SC_PAGESIZE));
        guard->page = NULL;
}
