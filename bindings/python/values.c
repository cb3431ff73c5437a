/* SPDX-License-Identifier: MIT */
/* Python's values as parameters: see glue.h. Plain ones cross here, the package's text_of() writes all others. */
#include "glue.h"

#define VALUES_MAX 65535 /* of a set; what is longer is refused in words */

static sp_status add_str(sp_params *params, PyObject *value)
{
        Py_ssize_t len;
        const char *text = PyUnicode_AsUTF8AndSize(value, &len);

        return text != NULL ? sp_params_add_text(params, text, (size_t)len) : SP_INVALID;
}

/* Steals the text. */
static sp_status add_made(sp_params *params, PyObject *text)
{
        sp_status status = text != NULL ? add_str(params, text) : SP_INVALID;

        Py_XDECREF(text);
        return status;
}

static sp_status add_written(sp_params *params, PyObject *value)
{
        return add_made(params, PyObject_CallFunctionObjArgs(sp_lent.text_of, value, NULL));
}

static sp_status add_integer(sp_params *params, PyObject *value)
{
        int overflow = 0;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        return overflow == 0 ? sp_params_add_int(params, number) : add_made(params, PyObject_Str(value));
}

static sp_status add_bytes(sp_params *params, PyObject *value)
{
        PyObject *bytes = PyBytes_FromObject(value);
        Py_ssize_t len;
        char *data;
        sp_status status = SP_INVALID;

        if (bytes != NULL && PyBytes_AsStringAndSize(bytes, &data, &len) == 0)
                status = sp_params_add_bytes(params, data, (size_t)len);
        Py_XDECREF(bytes);
        return status;
}

static sp_status add(sp_params *params, PyObject *value)
{
        if (value == Py_None)
                return sp_params_add_null(params);
        if (PyUnicode_Check(value))
                return add_str(params, value);
        if (PyBool_Check(value))
                return sp_params_add_bool(params, value == Py_True);
        if (PyLong_CheckExact(value))
                return add_integer(params, value);
        if (PyFloat_CheckExact(value))
                return add_made(params, PyObject_Str(value));
        if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value))
                return add_bytes(params, value);
        return add_written(params, value);
}

static sp_status add_all(sp_params *params, PyObject *values)
{
        Py_ssize_t count = PySequence_Size(values);
        sp_status status = count >= 0 ? SP_OK : SP_INVALID;

        for (Py_ssize_t i = 0; i < count && status == SP_OK; i++) {
                PyObject *value = PySequence_GetItem(values, i);

                status = value != NULL ? add(params, value) : SP_INVALID;
                Py_XDECREF(value);
        }
        return status;
}

/* Lists and tuples are looked at here, whatever else it may be in Python. */
static sp_status checked(PyObject *values)
{
        PyObject *none;

        if ((PyList_CheckExact(values) || PyTuple_CheckExact(values)) && PySequence_Size(values) <= VALUES_MAX)
                return SP_OK;
        none = PyObject_CallFunctionObjArgs(sp_lent.sequence, values, NULL);
        Py_XDECREF(none);
        return none != NULL ? SP_OK : SP_INVALID;
}

static sp_status add_sets(sp_params *params, PyObject *sets)
{
        Py_ssize_t count = PySequence_Size(sets);
        sp_status status = count >= 0 ? SP_OK : SP_INVALID;

        for (Py_ssize_t i = 0; i < count && status == SP_OK; i++) {
                PyObject *values = PySequence_GetItem(sets, i);

                status = values != NULL ? checked(values) : SP_INVALID;
                if (status == SP_OK)
                        status = add_all(params, values);
                if (status == SP_OK)
                        status = sp_params_next(params);
                Py_XDECREF(values);
        }
        return status;
}

static sp_status made(PyObject *from, sp_status (*fill)(sp_params *params, PyObject *from), sp_params **out)
{
        sp_params *params = sp_params_new();
        sp_status status = params != NULL ? fill(params, from) : SP_NOMEM;

        if (status == SP_OK)
                *out = params;
        else
                sp_params_free(params);
        return status;
}

sp_status sp_params_of(PyObject *values, sp_params **out)
{
        int some = values != Py_None ? PyObject_IsTrue(values) : 0;
        sp_status status;

        if (some < 0)
                return SP_INVALID;
        if (some == 0) {
                *out = NULL;
                return SP_OK;
        }
        status = checked(values);
        return status == SP_OK ? made(values, add_all, out) : status;
}

sp_status sp_params_of_sets(PyObject *sets, sp_params **out)
{
        return made(sets, add_sets, out);
}
