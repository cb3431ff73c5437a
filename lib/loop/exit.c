/* SPDX-License-Identifier: MIT */
#include "loop/exit.h"

#include "base/clock.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* An engine's turn does not block, so it is far longer than one takes. */
#define PATIENCE SP__SECOND

/* What ends is the process, so this is the process's. `owner`: its id, as a child inherits the rest. */
static atomic_int owner, inside;
static atomic_bool registered, begun;

static void close_gate(void)
{
        const struct timespec pause = {.tv_nsec = 100000};
        int64_t until = sp__now() + PATIENCE;

        if (atomic_load(&owner) != getpid())
                return;
        /* In this order, and the other way round in sp__exit_enter(): one of the two sees the other. */
        atomic_store(&begun, true);
        while (atomic_load(&inside) > 0 && sp__now() < until)
                nanosleep(&pause, NULL);
}

void sp__exit_watch(void)
{
        int former = atomic_load(&owner), pid = getpid();

        /* The parent's engines do not run here. */
        if (former != pid && atomic_compare_exchange_strong(&owner, &former, pid))
                atomic_store(&inside, 0);
        if (atomic_exchange(&registered, true))
                return;
        /* Handlers run in the reverse order: OpenSSL's must be there first. Without an option the call does nothing. */
        OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
        atexit(close_gate);
}

void sp__exit_enter(void)
{
        atomic_fetch_add(&inside, 1);
        if (!atomic_load(&begun))
                return;
        atomic_fetch_sub(&inside, 1);
        for (;;)
                pause();
}

void sp__exit_leave(void)
{
        atomic_fetch_sub(&inside, 1);
}

bool sp__exit_begun(void)
{
        return atomic_load_explicit(&begun, memory_order_relaxed);
}
