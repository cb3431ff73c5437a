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
        sp__mutex lock; /* a leaf; guards what follows */
        struct sp__list ready;
        size_t pending;
        size_t refs; /* the user's, and one for each pending operation */
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
        queue->refs = 1;
        sp__mutex_init(&queue->lock);
        sp__list_init(&queue->ready);
        *out = queue;
        return SP_OK;
}

/* The lock is held and released. */
static void unlock_unref(sp_queue *queue)
{
        bool last = --queue->refs == 0;

        sp__unlock(&queue->lock);
        if (!last)
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
                sp__lock(&queue->lock);
                unlock_unref(queue);
        }
        sp__lock(&queue->lock);
        unlock_unref(queue);
}

int sp_queue_fd(const sp_queue *queue)
{
        return queue ? queue->fd : -1;
}

sp_status sp__queue_reserve(sp_queue *queue)
{
        bool full;

        if (sp__forked(&queue->fork))
                return SP_FORKED;
        sp__lock(&queue->lock);
        full = queue->pending >= queue->max;
        if (!full) {
                queue->pending++;
                queue->refs++;
        }
        sp__unlock(&queue->lock);
        return full ? SP_FULL : SP_OK;
}

void sp__queue_cancel(sp_queue *queue)
{
        sp__lock(&queue->lock);
        queue->pending--;
        unlock_unref(queue);
}

void sp__queue_push(sp_queue *queue, struct sp__list *ops)
{
        struct sp__list *link;
        uint64_t one = 1;

        sp__lock(&queue->lock);
        if (!queue->freed) {
                if (sp__list_empty(&queue->ready) && write(queue->fd, &one, sizeof one) < 0) {
                        /* Full: it is readable already. */
                }
                sp__list_join(&queue->ready, ops);
                sp__unlock(&queue->lock);
                return;
        }
        sp__unlock(&queue->lock);
        while ((link = sp__list_pop(ops))) {
                sp__op_unref(SP__OF(link, sp__op, done_link));
                sp__queue_cancel(queue);
        }
}

size_t sp_queue_take(sp_queue *queue, sp_completion **out, size_t max)
{
        struct sp__list *link;
        uint64_t count;
        size_t n = 0;

        if (!queue || !out || sp__forked(&queue->fork))
                return 0;
        sp__lock(&queue->lock);
        while (n < max && (link = sp__list_pop(&queue->ready)))
                out[n++] = SP__OF(link, sp__op, done_link);
        queue->pending -= n;
        queue->refs -= n;
        if (n > 0 && sp__list_empty(&queue->ready) && read(queue->fd, &count, sizeof count) < 0) {
                /* It was not readable: so it shall be. */
        }
        sp__unlock(&queue->lock);
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
