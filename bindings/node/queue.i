/* SPDX-License-Identifier: MIT */
/* The hand-written crossings of Node: see watch.h. */

%typemap(in, numinputs=0) napi_env env
{
        $1 = env;
}
%typemap(in) napi_value
{
        $1 = $input;
}
%typemap(out) napi_value
{
        if ($1 == nullptr)
                SWIG_fail;
        $result = Napi::Value(env, $1);
}
%typemap(in) sp_watch *watch
{
        void *data = nullptr;

        if (napi_get_value_external(env, $input, &data) != napi_ok)
                SWIG_exception_fail(SWIG_TypeError, "$symname: expected a watch");
        $1 = static_cast<sp_watch *>(data);
}

%typemap(in, numinputs=0) uint32_t *slot (uint32_t slot)
{
        slot = 0;
        $1 = &slot;
}
%typemap(argout) uint32_t *slot
{
        $result = Napi::Number::New(env, *$1);
}

%{
#include "anchor.h"
#include "watch.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
%}

void sp_anchor(napi_env env);
napi_value sp_watch_new(napi_env env, sp_client *client, sp_queue *queue, sp_ctx *root, napi_value drain,
                        napi_value cells, napi_value bytes, napi_value handles);
void sp_watch_hold(sp_watch *watch, bool hold);
napi_value sp_watch_take(napi_env env, sp_watch *watch);
sp_status sp_watch_keep(sp_watch *watch, sp_listener *listener, uint32_t *slot);
double sp_watch_borrow(napi_env env, sp_watch *watch, sp_pool *pool, sp_ctx *ctx);
void sp_watch_release(sp_watch *watch, uint32_t slot);
int sp_watch_give_up(sp_watch *watch, uint32_t slot);
void sp_watch_forget(sp_watch *watch, uint32_t slot);
napi_value sp_watch_end(napi_env env, sp_watch *watch, int64_t timeout_ms);
void sp_watch_close(sp_watch *watch);
sp_status sp_watch_learn_pool(sp_watch *watch, sp_pool *pool, uint32_t *slot);
sp_status sp_watch_learn_cache(sp_watch *watch, sp_cache *cache, uint32_t *slot);
sp_status sp_watch_learn_stmt(sp_watch *watch, sp_stmt *stmt, uint32_t *slot);
void sp_watch_unlearn(sp_watch *watch);
uint32_t sp_watch_send(sp_watch *watch, const void *data, size_t len);
napi_value sp_watch_near(napi_env env, sp_watch *watch, sp_cache *cache);

/* A context that ends now, not when the collector comes; its wrapper is empty then. */
%typemap(in) sp_ctx *ended
{
        void *data = nullptr;

        if (!SWIG_IsOK(SWIG_ConvertPtr($input, &data, $descriptor(sp_ctx *), SWIG_POINTER_RELEASE)))
                SWIG_exception_fail(SWIG_TypeError, "$symname: expected a context");
        $1 = static_cast<sp_ctx *>(data);
}

%inline %{
static void sp_ctx_end(sp_ctx *ended)
{
        sp_ctx_unref(ended);
}

/*
 * A file with these bytes that is in no folder and ends with the process, for what libpq takes by name alone; its owner's alone, as
 * libpq wants a key to be. Its descriptor; -1 where there is none.
 */
static int sp_file_of(const void *data, size_t len)
{
        int fd = memfd_create("sugarperf", MFD_CLOEXEC);
        size_t done = 0;

        if (fd < 0)
                return -1;
        while (done < len) {
                ssize_t some = write(fd, (const char *)data + done, len - done);

                if (some < 0)
                        break;
                done += (size_t)some;
        }
        if (done == len && fchmod(fd, S_IRUSR) == 0)
                return fd;
        close(fd);
        return -1;
}

/* The version that this wrapper was built for. */
static const char *sp_built_for(void)
{
        return SP_VERSION;
}
%}

%wrapper %{
static swig_type_info *sp_type(enum sp_noun noun)
{
        switch (noun) {
        case SP_NOUN_LEASE:
                return SWIGTYPE_p_sp_lease;
        case SP_NOUN_STREAM:
                return SWIGTYPE_p_sp_stream;
        case SP_NOUN_COPY:
                return SWIGTYPE_p_sp_copy;
        case SP_NOUN_LOOKUPS:
                return SWIGTYPE_p_sp_lookups;
        default:
                return SWIGTYPE_p_sp_session;
        }
}

/* Called from C, where no exception may pass: a thread that is being terminated makes no objects any more. */
extern "C" napi_value sp__wrap(napi_env raw, enum sp_noun noun, void *handle)
{
        try {
                Napi::Env env(raw);

                return SWIG_NewPointerObj(handle, sp_type(noun), 0);
        } catch (const Napi::Error &) {
                return nullptr;
        }
}
%}
