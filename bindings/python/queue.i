/* SPDX-License-Identifier: MIT */
/* The hand-written crossings of Python: whole batches of completions, the in-process peek, the way errors are built. */

%{
#include "glue.h"

#define SP_BATCH 64

/* Steals `item`; NULL in, NULL out. */
static PyObject *sp_append(PyObject *list, PyObject *item)
{
        if (item == NULL || PyList_Append(list, item) != 0) {
                Py_XDECREF(item);
                Py_DECREF(list);
                return NULL;
        }
        Py_DECREF(item);
        return list;
}

static PyObject *sp_value_pair(const sp_value *value)
{
        size_t len;
        const void *data = sp_value_data(value, &len);

        return Py_BuildValue("(Iy#)", (unsigned)sp_value_codec(value), (const char *)data, (Py_ssize_t)len);
}

/* (state, codec and bytes or None, lease or None). */
static PyObject *sp_lookup_triple(sp_lookup *lookup)
{
        const sp_value *value = sp_lookup_value(lookup);
        int state = sp_lookup_state(lookup);
        sp_lease *lease = sp_lookup_take_lease(lookup);
        PyObject *pair = value != NULL ? sp_value_pair(value) : (Py_INCREF(Py_None), Py_None);
        PyObject *made = lease != NULL ? SWIG_NewPointerObj(lease, SWIGTYPE_p_sp_lease, 0) : (Py_INCREF(Py_None), Py_None);
        PyObject *triple = pair != NULL && made != NULL ? Py_BuildValue("(iOO)", state, pair, made) : NULL;

        if (triple == NULL)
                sp_lease_release(lease);
        Py_XDECREF(pair);
        Py_XDECREF(made);
        sp_lookup_free(lookup);
        return triple;
}

static PyObject *sp_rows(const sp_result *result, PyObject *types, bool tuples)
{
        size_t len;
        const void *data = sp_result_pack(result, &len);

        return data != NULL ? sp_rows_decode(data, len, types, tuples) : PyErr_NoMemory();
}

/* Of a batch: the sets, one by one. */
static PyObject *sp_rows_sets(const sp_result *result, PyObject *types, bool tuples)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; list != NULL && i < sp_result_sets(result); i++)
                list = sp_append(list, sp_rows(sp_result_set(result, i), types, tuples));
        return list;
}

static PyObject *sp_rare_payload(sp_completion *completion)
{
        struct sp_lookups *lookups = sp_completion_take_lookups(completion);
        struct sp_turn *turn;

        if (lookups != NULL)
                return SWIG_NewPointerObj(lookups, SWIGTYPE_p_sp_lookups, 0);
        turn = sp_completion_take_turn(completion);
        if (turn != NULL)
                return SWIG_NewPointerObj(turn, SWIGTYPE_p_sp_turn, 0);
        Py_RETURN_NONE;
}

static PyObject *sp_completion_payload(sp_completion *completion, PyObject *types, bool tuples)
{
        const struct sp_result *result = sp_completion_result(completion);
        const sp_value *value = sp_completion_value(completion);
        struct sp_session *session;
        struct sp_stream *stream;
        struct sp_lookup *lookup;
        struct sp_copy *copy;

        if (result != NULL)
                return sp_result_sets(result) == 1 ? sp_rows(result, types, tuples) : sp_rows_sets(result, types, tuples);
        if (value != NULL)
                return sp_value_pair(value);
        lookup = sp_completion_take_lookup(completion);
        if (lookup != NULL)
                return sp_lookup_triple(lookup);
        session = sp_completion_take_session(completion);
        if (session != NULL)
                return SWIG_NewPointerObj(session, SWIGTYPE_p_sp_session, 0);
        stream = sp_completion_take_stream(completion);
        if (stream != NULL)
                return SWIG_NewPointerObj(stream, SWIGTYPE_p_sp_stream, 0);
        copy = sp_completion_take_copy(completion);
        if (copy != NULL)
                return SWIG_NewPointerObj(copy, SWIGTYPE_p_sp_copy, 0);
        return sp_rare_payload(completion);
}

static PyObject *sp_exception(sp_status status, const sp_error *error, const char *text)
{
        bool retryable = error != NULL ? sp_error_retryable(error) : sp_status_retryable(status);

        if (sp_raise == NULL)
                return PyErr_Format(PyExc_RuntimeError, "sugarperf.errors is not set up");
        if (text == NULL)
                text = error != NULL ? sp_error_message(error) : sp_status_text(status);
        return PyObject_CallFunction(sp_raise, "issO", (int)status, text,
                                     error != NULL ? sp_error_code(error) : "", retryable ? Py_True : Py_False);
}

/* What was raised, no longer so. */
static PyObject *sp_caught(void)
{
        PyObject *type, *value, *trace;

        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        if (value != NULL && trace != NULL)
                PyException_SetTraceback(value, trace);
        Py_XDECREF(type);
        Py_XDECREF(trace);
        return value;
}

/* What the operation yields, else NULL and the exception: its error, or what became of a payload that cannot be made. */
static PyObject *sp_outcome(sp_completion *completion, PyObject *types, bool tuples, PyObject **raised)
{
        sp_status status = sp_completion_status(completion);
        PyObject *payload = NULL;

        *raised = NULL;
        if (status == SP_OK)
                payload = sp_completion_payload(completion, types, tuples);
        else
                *raised = sp_exception(status, sp_completion_error(completion), NULL);
        if (payload == NULL && *raised == NULL)
                *raised = sp_caught();
        return payload;
}

/* (tag, exception or None, payload) */
static PyObject *sp_completion_tuple(sp_completion *completion, PyObject *types, bool tuples)
{
        unsigned long long tag = sp_completion_tag(completion);
        PyObject *raised, *payload = sp_outcome(completion, types, tuples, &raised);
        PyObject *tuple = Py_BuildValue("(KOO)", tag, raised != NULL ? raised : Py_None, payload != NULL ? payload : Py_None);

        Py_XDECREF(raised);
        Py_XDECREF(payload);
        return tuple;
}

static PyObject *sp_batch_list(sp_completion **batch, size_t count, PyObject *types, bool tuples)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; i < count; i++) {
                if (list != NULL)
                        list = sp_append(list, sp_completion_tuple(batch[i], types, tuples));
                sp_completion_free(batch[i]);
        }
        return list;
}

/* Names of the methods of a future, made once. */
static PyObject *sp_name(PyObject **kept, const char *name)
{
        if (*kept == NULL)
                *kept = PyUnicode_InternFromString(name);
        return *kept;
}

/* Takes the future of a tag out; NULL: none, with or without an exception. */
static PyObject *sp_future_of(PyObject *pending, uint64_t tag)
{
        PyObject *key = PyLong_FromUnsignedLongLong(tag);
        PyObject *future = key != NULL ? Py_XNewRef(PyDict_GetItemWithError(pending, key)) : NULL;

        if (future != NULL && PyDict_DelItem(pending, key) != 0)
                Py_CLEAR(future);
        Py_XDECREF(key);
        return future;
}

static PyObject *sp_future_set(PyObject *future, PyObject *payload, PyObject *raised)
{
        static PyObject *result, *exception;
        PyObject *name = payload != NULL ? sp_name(&result, "set_result") : sp_name(&exception, "set_exception");

        return name != NULL ? PyObject_CallMethodObjArgs(future, name, payload != NULL ? payload : raised, NULL) : NULL;
}

/* What nobody waits for any more goes back with its completion. */
static void sp_future_settle(PyObject *future, sp_completion *completion, PyObject *types)
{
        static PyObject *done;
        PyObject *over = sp_name(&done, "done") != NULL ? PyObject_CallMethodObjArgs(future, done, NULL) : NULL;
        PyObject *payload, *raised, *none;

        if (over == Py_False) {
                payload = sp_outcome(completion, types, false, &raised);
                none = sp_future_set(future, payload, raised);
                Py_XDECREF(payload);
                Py_XDECREF(raised);
                /* Some exceptions no future takes. */
                if (none == NULL && (raised = sp_caught()) != NULL) {
                        none = sp_future_set(future, NULL, raised);
                        Py_DECREF(raised);
                }
                Py_XDECREF(none);
        }
        Py_XDECREF(over);
        if (PyErr_Occurred())
                PyErr_WriteUnraisable(future);
}

/* A context that belongs to one call; NULL: an exception is set. */
static sp_ctx *sp_call_context(sp_ctx *parent, const char *timeout)
{
        sp_ctx *ctx = sp_ctx_new(parent);
        sp_status status = ctx == NULL ? SP_NOMEM : timeout != NULL ? sp_ctx_set(ctx, "timeout", timeout, &sp_raised) : SP_OK;

        if (status == SP_OK)
                return ctx;
        sp_throw(status, NULL);
        sp_ctx_unref(ctx);
        return NULL;
}

#define SP_FLIGHT "sugarperf.flight"

static void sp_flight_end(PyObject *flight)
{
        sp_ctx_unref((sp_ctx *)PyCapsule_GetPointer(flight, SP_FLIGHT));
}

static void sp_throw_once(sp_status status)
{
        if (!PyErr_Occurred())
                sp_throw(status, NULL);
}

typedef sp_status (*sp_submission)(void *handle, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                                   uint64_t tag);

static sp_status sp_submit_pool(void *handle, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                                uint64_t tag)
{
        return sp_pool_query_async((sp_pool *)handle, ctx, stmt, params, queue, tag);
}

static sp_status sp_submit_session(void *handle, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                                   uint64_t tag)
{
        return sp_session_query_async((sp_session *)handle, ctx, stmt, params, queue, tag);
}

/* Context, parameters and submission in one crossing; the context is what comes back, for flight_cancel(). */
static PyObject *sp_launch(sp_submission submit, void *handle, sp_ctx *parent, const char *timeout, const sp_stmt *stmt,
                           PyObject *values, sp_queue *queue, uint64_t tag)
{
        sp_ctx *ctx = sp_call_context(parent, timeout);
        PyObject *flight = ctx != NULL ? PyCapsule_New(ctx, SP_FLIGHT, sp_flight_end) : NULL;
        sp_params *params = NULL;
        sp_status status;

        if (flight == NULL) {
                sp_ctx_unref(ctx);
                return NULL;
        }
        status = sp_params_of(values, &params);
        if (status == SP_OK)
                status = submit(handle, ctx, stmt, params, queue, tag);
        sp_params_free(params);
        if (status == SP_OK)
                return flight;
        sp_throw_once(status);
        Py_DECREF(flight);
        return NULL;
}

static PyObject *sp_params_object(sp_status status, sp_params *params)
{
        if (status != SP_OK) {
                sp_throw_once(status);
                return NULL;
        }
        return params != NULL ? SWIG_NewPointerObj(params, SWIGTYPE_p_sp_params, SWIG_POINTER_OWN) : Py_NewRef(Py_None);
}
%}

%include "sugarperf/schedule.h"

%typemap(in) PyObject *
{
        $1 = $input;
}
%typemap(out) PyObject *
{
        if ($1 == NULL)
                SWIG_fail;
        $result = $1;
}

%inline %{
/* The version that this wrapper was built for. */
static const char *sp_built_for(void)
{
        return SP_VERSION;
}

/* What the module keeps is one interpreter's: others share its C, and would share its objects. */
static bool sp_in_main_interpreter(void)
{
        return PyInterpreterState_GetID(PyInterpreterState_Get()) == 0;
}

/* Errors are made by callable(status, message, server code, retryable). */
static void sp_set_raise(PyObject *callable)
{
        Py_INCREF(callable);
        Py_XDECREF(sp_raise);
        sp_raise = callable;
}

/* What the package lends to glue.h. */
static void sp_set_lent(PyObject *rows, PyObject *parsers, PyObject *parser, PyObject *text_of, PyObject *sequence)
{
        sp_lent.rows = Py_NewRef(rows);
        sp_lent.parsers = Py_NewRef(parsers);
        sp_lent.parser = Py_NewRef(parser);
        sp_lent.text_of = Py_NewRef(text_of);
        sp_lent.sequence = Py_NewRef(sequence);
}

/* Up to 64 completions, without waiting: each settles the future that `pending`, a dict, has under its tag. */
static PyObject *sp_queue_settle(sp_queue *queue, PyObject *pending, PyObject *types)
{
        sp_completion *batch[SP_BATCH];
        size_t count = sp_queue_take(queue, batch, SP_BATCH);

        for (size_t i = 0; i < count; i++) {
                PyObject *future = sp_future_of(pending, sp_completion_tag(batch[i]));

                if (future != NULL)
                        sp_future_settle(future, batch[i], types);
                else if (PyErr_Occurred())
                        PyErr_WriteUnraisable(pending);
                Py_XDECREF(future);
                sp_completion_free(batch[i]);
        }
        Py_RETURN_NONE;
}

/*
 * Waits for the first completion, the interpreter's lock free meanwhile, then takes up to 64 of them: a list of (tag, exception
 * or None, payload). Rows are tuples rather than dicts where `tuples` says so.
 */
static PyObject *sp_queue_await(sp_queue *queue, int64_t timeout_ms, PyObject *types, PyObject *tuples)
{
        sp_completion *batch[SP_BATCH];
        size_t count;

        Py_BEGIN_ALLOW_THREADS
        count = sp_queue_wait(queue, batch, SP_BATCH, timeout_ms);
        Py_END_ALLOW_THREADS
        return sp_batch_list(batch, count, types, tuples == Py_True);
}

/* Submits a statement to the pool; see sp_launch(). */
static PyObject *sp_pool_launch(sp_pool *pool, sp_ctx *parent, const char *timeout, const sp_stmt *stmt, PyObject *values,
                                sp_queue *queue, uint64_t tag)
{
        return sp_launch(sp_submit_pool, pool, parent, timeout, stmt, values, queue, tag);
}

static PyObject *sp_session_launch(sp_session *session, sp_ctx *parent, const char *timeout, const sp_stmt *stmt,
                                   PyObject *values, sp_queue *queue, uint64_t tag)
{
        return sp_launch(sp_submit_session, session, parent, timeout, stmt, values, queue, tag);
}

static void sp_flight_cancel(PyObject *flight)
{
        sp_ctx_cancel((sp_ctx *)PyCapsule_GetPointer(flight, SP_FLIGHT));
}

/* A list of values as parameters, None for none. */
static PyObject *sp_params_make(PyObject *values)
{
        sp_params *params = NULL;
        sp_status status = sp_params_of(values, &params);

        return sp_params_object(status, params);
}

static PyObject *sp_params_make_sets(PyObject *sets)
{
        sp_params *params = NULL;
        sp_status status = sp_params_of_sets(sets, &params);

        return sp_params_object(status, params);
}

/* Of many keys looked up at once: (codec and bytes) or None, one by one. */
static PyObject *sp_lookups_pairs(sp_lookups *lookups)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; list != NULL && i < sp_lookups_count(lookups); i++) {
                const sp_value *value = sp_lookups_value(lookups, i);

                list = sp_append(list, value != NULL ? sp_value_pair(value) : Py_NewRef(Py_None));
        }
        return list;
}

/* A packed result, as caches keep it: its rows, as dicts. */
static PyObject *sp_rows_unpack(const void *data, size_t len, PyObject *types)
{
        return sp_rows_decode(data, len, types, false);
}

/* The in-process level: (codec, bytes) or None. Never waits. */
static PyObject *sp_cache_glance(sp_cache *cache, const void *data, size_t len)
{
        sp_value *value = NULL;
        PyObject *pair;

        if (sp_cache_peek(cache, data, len, &value) != 1)
                Py_RETURN_NONE;
        pair = sp_value_pair(value);
        sp_value_unref(value);
        return pair;
}
%}
