/* SPDX-License-Identifier: MIT */
/* How C crosses into Python. The lock of the interpreter is released only around the calls that may wait. */
%nothread;
%thread sp_pool_query;
%thread sp_pool_acquire;
%thread sp_pool_drain;
%thread sp_pool_free;
%thread sp_pool_health;
%thread sp_session_query;
%thread sp_cache_lookup;
%thread sp_cache_query;
%thread sp_cache_free;
%thread sp_lease_fill;
%thread sp_cache_invalidate;
%thread sp_call_enter;
%thread sp_call_free;
%thread sp_client_close;
%thread sp_client_drain;
%thread sp_client_free;

%begin %{
/* SWIG 4.3 uses errno in the stable ABI without including it. */
#include <errno.h>
#include <limits.h>
%}

%header %{
/* The error that the call in progress stored on this thread. */
static __thread sp_error *sp_raised;
/* Builds an exception: see set_raise(). */
static PyObject *sp_raise;

static PyObject *sp_exception(sp_status status, const sp_error *error, const char *text);

/* `text` NULL: as the error that the call stored says, else as the status does. */
static void sp_throw(sp_status status, const char *text)
{
        sp_error *error = sp_raised;
        PyObject *made = sp_exception(status, error, text);

        sp_raised = NULL;
        if (made != NULL)
                PyErr_SetObject((PyObject *)Py_TYPE(made), made);
        Py_XDECREF(made);
        sp_error_free(error);
}

/* "key must be text or bytes, not int" */
static void sp_misfit(const char *call, const char *argument, const char *wanted, PyObject *given)
{
        PyObject *name = PyType_GetName(Py_TYPE(given));

        if (name != NULL)
                PyErr_Format(PyExc_TypeError, "%s must be %s, not %U", sp_word(call, argument), wanted, name);
        Py_XDECREF(name);
}

/* Text without a zero byte. */
static const char *sp_text(PyObject *given, const char *call, const char *argument)
{
        Py_ssize_t size;
        const char *text;

        if (!PyUnicode_Check(given)) {
                sp_misfit(call, argument, "text", given);
                return NULL;
        }
        text = PyUnicode_AsUTF8AndSize(given, &size);
        if (text != NULL && strlen(text) != (size_t)size) {
                PyErr_Format(PyExc_ValueError, "%s has a zero byte", sp_word(call, argument));
                return NULL;
        }
        return text;
}

static bool sp_integer(PyObject *given, long long min, long long max, const char *call, const char *argument,
                       long long *number)
{
        int overflow = 0;

        if (!PyLong_Check(given)) {
                sp_misfit(call, argument, "an integer", given);
                return false;
        }
        *number = PyLong_AsLongLongAndOverflow(given, &overflow);
        if (overflow != 0 || *number < min || *number > max) {
                PyErr_Format(PyExc_OverflowError, "%s must be an integer from %lld to %lld", sp_word(call, argument), min, max);
                return false;
        }
        return true;
}

static PyObject *sp_bytes(const void *data, size_t len)
{
        if (data == NULL)
                Py_RETURN_NONE;
        return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)len);
}
%}

%header %{
/* From inside a wrapper. */
#define SP_REFUSE(status)                                                                                              \
        do {                                                                                                           \
                sp_throw(status, NULL);                                                                                \
                SWIG_fail;                                                                                             \
        } while (0)
%}

/* A handle that must be there. */
%define %needed(noun)
%typemap(check) noun *, const noun *
{
        if (!$1 && !sp_optional("$symname", "$1_name")) {
                PyErr_Format(PyExc_TypeError, "%s must be an object of the library", sp_word("$symname", "$1_name"));
                SWIG_fail;
        }
}
%enddef

%typemap(in, numinputs=0) sp_error **error
{
        $1 = &sp_raised;
}

%typemap(out) sp_status
{
        if ($1 != SP_OK) {
                sp_throw($1, NULL);
                SWIG_fail;
        }
        $result = SWIG_Py_Void();
}

/* Calls that answer a status alone: the words are ours. */
%define %worded(function, length, max, room)
%typemap(out) sp_status function
{
        if ($1 != SP_OK) {
                char text[128];

                sp_refusal("$symname", length, max, room, text, sizeof text);
                sp_throw($1, $1 == SP_NOMEM ? NULL : text);
                SWIG_fail;
        }
        $result = SWIG_Py_Void();
}
%enddef
%typemap(out) sp_status sp_key_format
{
        if ($1 != SP_OK) {
                sp_key_check(arg1, arg2, &sp_raised);
                sp_throw($1, NULL);
                SWIG_fail;
        }
        $result = SWIG_Py_Void();
}

%typemap(in) const char *
{
        $1 = NULL;
        if (($input != Py_None || !sp_optional("$symname", "$1_name")) &&
            ($1 = ($1_ltype)sp_text($input, "$symname", "$1_name")) == NULL)
                SWIG_fail;
}
%typemap(freearg) const char * ""

%define %integer(type, min, max)
%typemap(in) type (long long number)
{
        if (!sp_integer($input, min, max, "$symname", "$1_name", &number))
                SWIG_fail;
        $1 = ($1_ltype)number;
}
%enddef
%integer(int, INT_MIN, INT_MAX)
%integer(int64_t, INT64_MIN, INT64_MAX)
%integer(uint64_t, 0, INT64_MAX)
%integer(size_t, 0, INT64_MAX)
%integer(uint32_t, 0, UINT32_MAX)

%typemap(in) (const void *data, size_t len) (Py_buffer view, int viewed = 0)
{
        if ($input == Py_None && sp_optional("$symname", "$1_name")) {
                $1 = NULL;
                $2 = 0;
        } else if (PyUnicode_Check($input)) {
                Py_ssize_t size;
                const char *text = PyUnicode_AsUTF8AndSize($input, &size);

                if (text == NULL)
                        SWIG_fail;
                $1 = ($1_ltype)text;
                $2 = (size_t)size;
        } else {
                if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) {
                        PyErr_Clear();
                        sp_misfit("$symname", "$1_name", "text or bytes", $input);
                        SWIG_fail;
                }
                viewed = 1;
                $1 = ($1_ltype)view.buf;
                $2 = (size_t)view.len;
        }
}
%typemap(freearg) (const void *data, size_t len)
{
        if (viewed$argnum)
                PyBuffer_Release(&view$argnum);
}

/* Borrowed bytes and their length: copied into bytes. */
%typemap(in, numinputs=0) size_t *len (size_t size)
{
        size = 0;
        $1 = &size;
}
%typemap(out) const void *
{
        $result = NULL;
}
%typemap(argout) size_t *len
{
        $result = sp_bytes(result, *$1);
}

%typemap(in, numinputs=0) (char *buf, size_t cap, size_t *len) (char room[SP_KEY_MAX], size_t size)
{
        $1 = room;
        $2 = sizeof room;
        $3 = &size;
}
%typemap(argout) (char *buf, size_t cap, size_t *len)
{
        Py_DECREF($result);
        $result = PyUnicode_FromStringAndSize($1, (Py_ssize_t)*$3);
}

%typemap(in, numinputs=0) uint64_t *permit (uint64_t permit)
{
        permit = 0;
        $1 = &permit;
}
%typemap(argout) uint64_t *permit
{
        Py_DECREF($result);
        $result = PyLong_FromUnsignedLongLong(*$1);
}

/* An open breaker is an answer, 0, not an error: refusing must cost next to nothing. */
%typemap(out) sp_status sp_breaker_acquire
{
        if ($1 != SP_OK && $1 != SP_OPEN) {
                sp_throw($1, NULL);
                SWIG_fail;
        }
        $result = SWIG_Py_Void();
}

/* `noun **out` becomes the value that the call returns. */
%define %out_handle(noun, flags)
%typemap(in, numinputs=0) noun **out (noun *made)
{
        made = NULL;
        $1 = &made;
}
%typemap(argout) noun **out
{
        Py_DECREF($result);
        $result = SWIG_NewPointerObj(*$1, $*1_descriptor, flags);
}
%enddef

%ignore sp_cache_peek;
