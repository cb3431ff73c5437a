/* SPDX-License-Identifier: MIT */
#include "sql/parser.h"

#include "base/thread.h"

#include <dlfcn.h>
#include <pg_query.h>
#include <unistd.h>

enum { THREADS_MAX = 32 };

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool entered;

/* The thread that parses for those that came late. The door's lock guards it. */
static struct clerk {
        pid_t pid; /* in which it runs: a fork has none */
        void (*use)(void *arg);
        void *arg;
        atomic_uint word;
} clerk;

enum { IDLE, ASKED };

/* What is pinned is still there when this library was unloaded. */
static void pin(void *address)
{
        Dl_info info;
        void *handle;

        if (!dladdr(address, &info) || !info.dli_fname)
                return;
        handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
        if (handle)
                dlclose(handle);
}

/* The key's destructor is libpg_query's code, and runs when a thread ends. */
static void pin_parser(void)
{
        static bool pinned;

        if (!pinned)
                pin((void *)(uintptr_t)pg_query_init);
        pinned = true;
}

static void *clerk_body(void *arg)
{
        for (;;) {
                while (atomic_load(&clerk.word) != ASKED)
                        sp__word_wait(&clerk.word, IDLE, SP__FOREVER);
                clerk.use(clerk.arg);
                atomic_store(&clerk.word, IDLE);
                sp__word_wake(&clerk.word);
        }
        return arg;
}

static bool clerk_stands(void)
{
        pid_t pid = getpid();
        pthread_t thread;

        if (clerk.pid == pid)
                return true;
        pin((void *)(uintptr_t)clerk_body);
        atomic_store(&clerk.word, IDLE);
        if (!sp__thread_start(&thread, clerk_body, NULL, "sp-parser"))
                return false;
        pthread_detach(thread);
        clerk.pid = pid;
        return true;
}

static void ask_clerk(void (*use)(void *arg), void *arg)
{
        clerk.use = use;
        clerk.arg = arg;
        atomic_store(&clerk.word, ASKED);
        sp__word_wake(&clerk.word);
        while (atomic_load(&clerk.word) == ASKED)
                sp__word_wait(&clerk.word, ASKED, SP__FOREVER);
}

void sp__parser_enter(void (*use)(void *arg), void *arg)
{
        static int threads;

        pthread_mutex_lock(&door);
        pin_parser();
        if (!entered && threads >= THREADS_MAX && clerk_stands()) {
                ask_clerk(use, arg);
        } else {
                threads += !entered;
                entered = true;
                use(arg);
        }
        pthread_mutex_unlock(&door);
}
