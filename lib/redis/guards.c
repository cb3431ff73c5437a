/* SPDX-License-Identifier: MIT */
#include "redis/guards.h"

#include "base/buf.h"
#include "base/thread.h"
#include "core/config.h"
#include "core/error.h"
#include "guard/breaker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct sp__guards {
        atomic_uint refs;
        sp_config *config;
        sp__mutex lock; /* before that of the keeper; guards what follows */
        sp_breaker **breakers;
        size_t count;
        sp__guards_keep keep; /* NULL: nobody looks yet */
        void *arg;
};

sp_status sp__guards_new(const sp_config *config, struct sp__guards **out, sp_error **error)
{
        struct sp__guards *guards;

        *out = NULL;
        if (!sp__config_int(config, "redis", NULL, "breaker"))
                return SP_OK;
        guards = calloc(1, sizeof *guards);
        if (!guards || !(guards->config = sp__config_copy(config))) {
                free(guards);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        atomic_init(&guards->refs, 1);
        sp__mutex_init(&guards->lock);
        *out = guards;
        return SP_OK;
}

struct sp__guards *sp__guards_ref(struct sp__guards *guards)
{
        if (guards)
                atomic_fetch_add_explicit(&guards->refs, 1, memory_order_relaxed);
        return guards;
}

/* The lock is held. Takes the reference where it succeeds. */
static sp_status enlist(struct sp__guards *guards, sp_breaker *breaker)
{
        sp_breaker **more = realloc(guards->breakers, (guards->count + 1) * sizeof *more);

        if (!more)
                return SP_NOMEM;
        guards->breakers = more;
        if (guards->keep && guards->keep(guards->arg, breaker) != SP_OK)
                return SP_NOMEM;
        more[guards->count++] = breaker;
        return SP_OK;
}

/* The lock is held, as for the next. A reference, or NULL. */
static sp_breaker *find(const struct sp__guards *guards, const char *name)
{
        for (size_t i = 0; i < guards->count; i++) {
                if (strcmp(sp_breaker_name(guards->breakers[i]), name) == 0)
                        return sp_breaker_ref(guards->breakers[i]);
        }
        return NULL;
}

static sp_status make(struct sp__guards *guards, const char *name, sp_breaker **out, sp_error **error)
{
        sp_breaker *breaker;
        sp_status status = sp__breaker_new(guards->config, "redis", name, NULL, &breaker, error);

        if (status != SP_OK)
                return status;
        status = enlist(guards, breaker);
        if (status != SP_OK) {
                sp_breaker_unref(breaker);
                return sp__fail(error, status, "out of memory");
        }
        *out = sp_breaker_ref(breaker);
        return SP_OK;
}

sp_status sp__guards_at(struct sp__guards *guards, const char *place, sp_breaker **out, sp_error **error)
{
        struct sp__buf name = SP__BUF_INIT;
        sp_status status = SP_OK;

        *out = NULL;
        if (!guards)
                return SP_OK;
        sp__buf_format(&name, "redis@%s/primary", place);
        sp__buf_char(&name, 0);
        sp__lock(&guards->lock);
        if (name.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else if (!(*out = find(guards, name.data)))
                status = make(guards, name.data, out, error);
        sp__unlock(&guards->lock);
        sp__buf_free(&name);
        return status;
}

sp_status sp__guards_watch(struct sp__guards *guards, sp__guards_keep keep, void *arg)
{
        sp_status status = SP_OK;

        if (!guards)
                return SP_OK;
        sp__lock(&guards->lock);
        for (size_t i = 0; i < guards->count && status == SP_OK; i++)
                status = keep(arg, guards->breakers[i]);
        guards->keep = keep;
        guards->arg = arg;
        sp__unlock(&guards->lock);
        return status;
}

void sp__guards_unref(struct sp__guards *guards)
{
        if (!guards || atomic_fetch_sub_explicit(&guards->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < guards->count; i++)
                sp_breaker_unref(guards->breakers[i]);
        free(guards->breakers);
        sp__mutex_destroy(&guards->lock);
        sp_config_free(guards->config);
        free(guards);
}
