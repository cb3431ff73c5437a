/* SPDX-License-Identifier: MIT */
#include "redis/guards.h"

#include "base/buf.h"
#include "base/thread.h"
#include "core/config.h"
#include "core/error.h"
#include "guard/breaker.h"

#include <stdlib.h>

struct sp__guards {
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
        sp__mutex_init(&guards->lock);
        *out = guards;
        return SP_OK;
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

static sp_status make(const struct sp__guards *guards, const char *place, sp_breaker **out, sp_error **error)
{
        struct sp__buf name = SP__BUF_INIT;
        sp_status status;

        sp__buf_format(&name, "redis@%s/primary", place);
        sp__buf_char(&name, 0);
        status = name.failed ? sp__fail(error, SP_NOMEM, "out of memory")
                             : sp__breaker_new(guards->config, "redis", name.data, NULL, out, error);
        sp__buf_free(&name);
        return status;
}

sp_status sp__guards_add(struct sp__guards *guards, const char *place, sp_breaker **out, sp_error **error)
{
        sp_breaker *breaker;
        sp_status status;

        *out = NULL;
        if (!guards)
                return SP_OK;
        status = make(guards, place, &breaker, error);
        if (status != SP_OK)
                return status;
        sp__lock(&guards->lock);
        status = enlist(guards, breaker);
        sp__unlock(&guards->lock);
        if (status != SP_OK) {
                sp_breaker_unref(breaker);
                return sp__fail(error, status, "out of memory");
        }
        *out = sp_breaker_ref(breaker);
        return SP_OK;
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

void sp__guards_free(struct sp__guards *guards)
{
        if (!guards)
                return;
        for (size_t i = 0; i < guards->count; i++)
                sp_breaker_unref(guards->breakers[i]);
        free(guards->breakers);
        sp__mutex_destroy(&guards->lock);
        sp_config_free(guards->config);
        free(guards);
}
