/* SPDX-License-Identifier: MIT */
/*
 * The low level of every binding, generated from the public headers: each sp_<noun>_<verb>() becomes a function
 * <noun>_<verb>(), each opaque handle a class without members. The typemaps say once how a status is raised, how bytes
 * and out parameters cross, and who owns what. A language adds its own typemaps and the few hand-written calls that
 * carry a batch of completions across in one crossing (node/queue.i, python/queue.i).
 */
%module(package="sugarperf") native


%{
#include <sugarperf/sugarperf.h>
#include "words.h"
%}

%include <stdint.i>

%rename("%(strip:[sp_])s") "";
%nodefaultctor;
%nodefaultdtor;

/* Statuses that are data, not the outcome of the call. */
%apply int { sp_status sp_error_status, sp_status sp_completion_status, sp_status sp_slow_status };

#if defined(SWIGJAVASCRIPT)
%include "node/typemaps.i"
#elif defined(SWIGPYTHON)
%include "python/typemaps.i"
#endif
%apply (const void *data, size_t len) { (const void *key, size_t key_len), (const void *key, size_t len) };

%worded(sp_targets_key, arg3, SP_KEY_MAX, SP_TARGETS_MAX)
%worded(sp_targets_tag, arg3, SP_TAG_MAX, SP_TARGETS_MAX)
%worded(sp_targets_pattern, strlen(arg2), SP_KEY_MAX, SP_TARGETS_MAX)
%worded(sp_lease_tag, arg3, SP_TAG_MAX, SP_TAGS_MAX)
%worded(sp_lookups_tag, arg4, SP_TAG_MAX, SP_TAGS_MAX)

%include "handles.i"

/* A callback on the caller's thread: each language has its own loader over the lease. */
%ignore sp_cache_get_or_load;
%ignore sp_cache_get_many;
/* The faces wait for their asynchronous twins. */
%ignore sp_cache_lookup_many;
%ignore sp_lookups_fill;
/* All of them cross at once. */
%ignore sp_lookups_count;
%ignore sp_lookups_state;
%ignore sp_lookups_value;
%ignore sp_lookups_key;
#if defined(SWIGPYTHON)
%include "python/handles.i"
#else
%ignore sp_lookups_next;
%ignore sp_lookups_give_up;
%ignore sp_lookups_free;
#endif
%ignore sp_pool_transact;
%ignore sp_pool_acquire_now;
/* The faces wait for its asynchronous twin, which waits for the pause as well. */
%ignore sp_pool_retry_pause;
/* All sets of a batch cross at once. */
%ignore sp_result_set;
%ignore sp_result_find;
/* A client has its metrics. */
%ignore sp_metrics_new;
%ignore sp_metrics_free;
/* Raw commands are for C. */
%ignore sp_client_redis;
/* The faces wait for its asynchronous twin, which yields the rows. */
%ignore sp_copy_end;
/* Completions are taken in batches by the hand-written calls. */
%ignore sp_queue_take;
%ignore sp_queue_wait;
%ignore sp_completion;
%rename("$ignore", regexmatch$name="^sp_completion_") "";
/* Freed by the collector, or by the face where the moment matters (see handles.i). */
%ignore sp_error_free;
%rename("$ignore", regexmatch$name="^sp_[a-z]+_(ref|unref)$") "";

%include "sugarperf/base.h"
%include "sugarperf/config.h"
%include "sugarperf/ctx.h"
%include "sugarperf/params.h"
%include "sugarperf/queue.h"
%include "sugarperf/key.h"
%include "sugarperf/pool.h"
%include "sugarperf/session.h"
%include "sugarperf/batch.h"
%include "sugarperf/cache.h"
%include "sugarperf/invalidate.h"
%include "sugarperf/feed.h"
%include "sugarperf/breaker.h"
%include "sugarperf/policy.h"
%include "sugarperf/profiler.h"
%include "sugarperf/metrics.h"
%include "sugarperf/client.h"

#if defined(SWIGJAVASCRIPT)
%include "node/queue.i"
#elif defined(SWIGPYTHON)
%include "python/queue.i"
#endif
