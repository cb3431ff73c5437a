/* SPDX-License-Identifier: MIT */
/* The hand-written crossings of Python: whole batches of completions, the in-process peek, the way errors are built. */

%{
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

static PyObject *sp_packed(const sp_result *result)
{
        size_t len;
        const void *data = sp_result_pack(result, &len);

        return data != NULL ? sp_bytes(data, len) : PyErr_NoMemory();
}

/* Of a batch: the sets, one by one. */
static PyObject *sp_packed_sets(const sp_result *result)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; list != NULL && i < sp_result_sets(result); i++)
                list = sp_append(list, sp_packed(sp_result_set(result, i)));
        return list;
}

static PyObject *sp_completion_payload(sp_completion *completion)
{
        const struct sp_result *result = sp_completion_result(completion);
        const sp_value *value = sp_completion_value(completion);
        struct sp_session *session;
        struct sp_stream *stream;
        struct sp_lookup *lookup;
        struct sp_copy *copy;

        if (result != NULL)
                return sp_result_sets(result) == 1 ? sp_packed(result) : sp_packed_sets(result);
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
        Py_RETURN_NONE;
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

/* (tag, exception or None, payload): a payload that cannot be made is an exception of its own. */
static PyObject *sp_completion_tuple(sp_completion *completion)
{
        sp_status status = sp_completion_status(completion);
        unsigned long long tag = sp_completion_tag(completion);
        PyObject *payload;

        if (status != SP_OK) {
                payload = sp_exception(status, sp_completion_error(completion), NULL);
                return payload != NULL ? Py_BuildValue("(KNO)", tag, payload, Py_None) : NULL;
        }
        payload = sp_completion_payload(completion);
        return payload != NULL ? Py_BuildValue("(KON)", tag, Py_None, payload) : NULL;
}

static PyObject *sp_batch_list(sp_completion **batch, size_t count)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; i < count; i++) {
                if (list != NULL)
                        list = sp_append(list, sp_completion_tuple(batch[i]));
                sp_completion_free(batch[i]);
        }
        return list;
}
%}

%typemap(in) PyObject *callable
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

/* Errors are made by callable(status, message, server code, retryable). */
static void sp_set_raise(PyObject *callable)
{
        Py_INCREF(callable);
        Py_XDECREF(sp_raise);
        sp_raise = callable;
}

/* Up to 64 completions, without waiting: a list of (tag, exception or None, payload). */
static PyObject *sp_queue_drain(sp_queue *queue)
{
        sp_completion *batch[SP_BATCH];

        return sp_batch_list(batch, sp_queue_take(queue, batch, SP_BATCH));
}

/* As queue_drain(), but waits for the first one; the interpreter's lock is free meanwhile. */
static PyObject *sp_queue_await(sp_queue *queue, int64_t timeout_ms)
{
        sp_completion *batch[SP_BATCH];
        size_t count;

        Py_BEGIN_ALLOW_THREADS
        count = sp_queue_wait(queue, batch, SP_BATCH, timeout_ms);
        Py_END_ALLOW_THREADS
        return sp_batch_list(batch, count);
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
