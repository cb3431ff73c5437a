/* SPDX-License-Identifier: MIT */
#include "core/queue.h"

#include "base/fork.h"
#include "core/error.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { DEFAULT_MAX = 65536 };

struct sp_queue {
        struct sp__fork fork;
        int fd;
        uint32_t max;
        atomic_size_t refs; /* the user's, one for each pending operation, and that of who tells */
        sp__mutex lock;     /* a leaf; guards what follows */
        struct sp__list ready;
        size_t pending;
        bool told; /* the descriptor is readable, or somebody is about to make it so */
        bool freed;
};

sp_status sp_queue_new(uint32_t max, sp_queue **out)
{
        sp_queue *queue;

        SP__NEED(out, NULL);
        queue = calloc(1, sizeof *queue);
        if (!queue)
                return SP_NOMEM;
        queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (queue->fd < 0 || !sp__fork_init(&queue->fork)) {
                if (queue->fd >= 0)
                        close(queue->fd);
                free(queue);
                return SP_NOMEM;
        }
        queue->max = max ? max : DEFAULT_MAX;
        atomic_init(&queue->refs, 1);
        sp__mutex_init(&queue->lock);
        sp__list_init(&queue->ready);
        *out = queue;
        return SP_OK;
}

static void unref(sp_queue *queue, size_t n)
{
        if (atomic_fetch_sub_explicit(&queue->refs, n, memory_order_acq_rel) != n)
                return;
        sp__mutex_destroy(&queue->lock);
        sp__fork_destroy(&queue->fork);
        close(queue->fd);
        free(queue);
}

void sp_queue_free(sp_queue *queue)
{
        struct sp__list dropped, *link;

        if (!queue)
                return;
        if (sp__forked(&queue->fork)) {
                /* The lock may be held by a thread that does not exist here. */
                close(queue->fd);
                return;
        }
        sp__list_init(&dropped);
        sp__lock(&queue->lock);
        queue->freed = true;
        sp__list_join(&dropped, &queue->ready);
        sp__unlock(&queue->lock);
        while ((link = sp__list_pop(&dropped))) {
                sp__op_unref(SP__OF(link, sp__op, done_link));
                unref(queue, 1);
        }
        unref(queue, 1);
}

int sp_queue_fd(const sp_queue *queue)
{
        return queue ? queue->fd : -1;
}

sp_status sp__queue_reserve(sp_queue *queue)
{
        bool full;

        /* Every submission comes by here. */
        if (!queue)
                return SP_INVALID;
        if (sp__forked(&queue->fork))
                return SP_FORKED;
        sp__lock(&queue->lock);
        full = queue->pending >= queue->max;
        queue->pending += !full;
        sp__unlock(&queue->lock);
        if (full)
                return SP_FULL;
        atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
        return SP_OK;
}

void sp__queue_cancel(sp_queue *queue)
{
        sp__lock(&queue->lock);
        queue->pending--;
        sp__unlock(&queue->lock);
        unref(queue, 1);
}

/* Without the lock, which the reader takes as soon as it is woken. */
static void tell(sp_queue *queue)
{
        uint64_t one = 1;

        if (write(queue->fd, &one, sizeof one) < 0) {
                /* Full: it is readable already. */
        }
        unref(queue, 1);
}

void sp__queue_push(sp_queue *queue, struct sp__list *ops)
{
        struct sp__list *link;
        bool wake = false, dropped;

        sp__lock(&queue->lock);
        dropped = queue->freed;
        if (!dropped) {
                sp__list_join(&queue->ready, ops);
                wake = !queue->told;
                queue->told = true;
        }
        if (wake)
                atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
        sp__unlock(&queue->lock);
        if (wake)
                tell(queue);
        while (dropped && (link = sp__list_pop(ops))) {
                sp__op_unref(SP__OF(link, sp__op, done_link));
                sp__queue_cancel(queue);
        }
}

/* Nothing is left. Where its writer is still on the way, the descriptor tells of nothing once, and the next one clears it. */
static void clear(sp_queue *queue)
{
        uint64_t count;

        if (queue->told && read(queue->fd, &count, sizeof count) > 0)
                queue->told = false;
}

size_t sp_queue_take(sp_queue *queue, sp_completion **out, size_t max)
{
        struct sp__list *link;
        size_t n = 0;

        if (!queue || !out || sp__forked(&queue->fork))
                return 0;
        sp__lock(&queue->lock);
        while (n < max && (link = sp__list_pop(&queue->ready)))
                out[n++] = SP__OF(link, sp__op, done_link);
        queue->pending -= n;
        if (sp__list_empty(&queue->ready))
                clear(queue);
        sp__unlock(&queue->lock);
        unref(queue, n);
        return n;
}

size_t sp_queue_wait(sp_queue *queue, sp_completion **out, size_t max, int64_t timeout_ms)
{
        int64_t deadline = sp__after_ms(sp__now(), timeout_ms);
        struct pollfd fd = {.fd = sp_queue_fd(queue), .events = POLLIN};
        size_t n;

        if (!queue || !out)
                return 0;
        while ((n = sp_queue_take(queue, out, max)) == 0 && max > 0) {
                int64_t now = sp__now();

                if (now >= deadline || sp__forked(&queue->fork))
                        break;
                poll(&fd, 1, sp__poll_ms(now, deadline));
        }
        return n;
}

size_t sp_queue_pending(const sp_queue *shared)
{
        sp_queue *queue = (sp_queue *)(uintptr_t)shared;
        size_t pending;

        if (!queue || sp__forked(&queue->fork))
                return 0;
        sp__lock(&queue->lock);
        pending = queue->pending;
        sp__unlock(&queue->lock);
        return pending;
}
