/* SPDX-License-Identifier: MIT */
#include "loop/helper.h"

void sp__helper_init(struct sp__helper *helper, const char *name, size_t most)
{
        helper->name = name;
        helper->most = most;
        sp__mutex_init(&helper->lock);
        sp__cond_init(&helper->cond);
        sp__list_init(&helper->work);
}

void sp__helper_destroy(struct sp__helper *helper)
{
        sp__cond_destroy(&helper->cond);
        sp__mutex_destroy(&helper->lock);
}

static struct sp__task *next(struct sp__helper *helper)
{
        struct sp__list *link;

        sp__lock(&helper->lock);
        helper->idle++;
        while (!(link = sp__list_pop(&helper->work)) && !helper->stopping)
                sp__cond_wait(&helper->cond, &helper->lock, SP__FOREVER);
        helper->idle--;
        helper->waiting -= link != NULL;
        sp__unlock(&helper->lock);
        return link ? SP__OF(link, struct sp__task, link) : NULL;
}

static void *body(void *arg)
{
        struct sp__helper *helper = arg;
        struct sp__task *task;

        sp__engine_bound();
        while ((task = next(helper)))
                task->run(task);
        sp__lock(&helper->lock);
        helper->ended++;
        pthread_cond_broadcast(&helper->cond);
        sp__unlock(&helper->lock);
        return NULL;
}

/* The lock is held. */
static void start(struct sp__helper *helper)
{
        if (sp__thread_start(&helper->threads[helper->started], body, helper, helper->name))
                helper->started++;
}

void sp__helper_give(struct sp__helper *helper, struct sp__task *task)
{
        sp__lock(&helper->lock);
        sp__list_push(&helper->work, &task->link);
        if (++helper->waiting > helper->idle && helper->started < helper->most && !helper->stopping)
                start(helper);
        pthread_cond_signal(&helper->cond);
        sp__unlock(&helper->lock);
}

void sp__helper_stop(struct sp__helper *helper)
{
        sp__lock(&helper->lock);
        helper->stopping = true;
        pthread_cond_broadcast(&helper->cond);
        sp__unlock(&helper->lock);
}

void sp__helper_wait(struct sp__helper *helper, int64_t deadline)
{
        sp__lock(&helper->lock);
        while (helper->ended < helper->started && sp__cond_wait(&helper->cond, &helper->lock, deadline)) {
                /* Woken, or woken early: look again. */
        }
        sp__unlock(&helper->lock);
}

void sp__helper_end(struct sp__helper *helper)
{
        struct sp__task *task;

        for (size_t i = 0; i < helper->started; i++) {
                pthread_cancel(helper->threads[i]);
                pthread_join(helper->threads[i], NULL);
        }
        while ((task = next(helper)))
                task->run(task);
}
