/* SPDX-License-Identifier: MIT */
/* Results from their packed form, in one pass: see glue.h. */
#include "glue.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 64 /* bytes of a number's text */

struct sp_lent sp_lent;

/* Little endian, as packed; `torn` once something was wanted behind the end. */
struct reader {
        const unsigned char *at, *end;
        bool torn;
};

enum kind { KIND_TEXT, KIND_BOOL, KIND_BYTES, KIND_INT, KIND_FLOAT, KIND_PARSED };

struct column {
        PyObject *name, *oid;
        PyObject *parse; /* KIND_PARSED */
        enum kind kind;
};

static const unsigned char *take(struct reader *reader, size_t len)
{
        const unsigned char *at = reader->at;

        if (reader->torn || (size_t)(reader->end - at) < len) {
                reader->torn = true;
                return NULL;
        }
        reader->at = at + len;
        return at;
}

static uint64_t number(struct reader *reader, size_t len)
{
        const unsigned char *at = take(reader, len);
        uint64_t value = 0;

        while (at != NULL && len > 0)
                value = value << 8 | at[--len];
        return value;
}

/* As number() of 4 bytes, which are most of what is read. */
static int32_t length(struct reader *reader)
{
        const unsigned char *at = take(reader, 4);

        return at != NULL ? (int32_t)(at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24) : 0;
}

static PyObject *text(struct reader *reader, size_t len)
{
        const char *at = (const char *)take(reader, len);

        return at != NULL ? PyUnicode_DecodeUTF8(at, (Py_ssize_t)len, NULL) : NULL;
}

static PyObject *malformed(const char *what)
{
        PyErr_Format(PyExc_ValueError, "sugarperf: a malformed %s in a result", what);
        return NULL;
}

static PyObject *integer_of(const char *at, size_t len)
{
        const char *end = at + len;
        bool negative = len > 0 && *at == '-';
        uint64_t value = 0;

        at += negative;
        if (at == end || end - at > 19)
                return malformed("integer");
        for (; at < end; at++) {
                if (*at < '0' || *at > '9')
                        return malformed("integer");
                value = value * 10 + (uint64_t)(*at - '0');
        }
        return PyLong_FromLongLong(negative ? (long long)-value : (long long)value);
}

static PyObject *float_of(const char *at, size_t len)
{
        char room[NUMBER_MAX];
        double value;

        if (len >= sizeof room)
                return malformed("number");
        memcpy(room, at, len);
        room[len] = 0;
        value = PyOS_string_to_double(room, NULL, NULL);
        return value == -1 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

static int nibble(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool octal(const char *at, const char *end, char *out)
{
        unsigned value = 0;

        for (int i = 0; i < 3; i++, at++) {
                if (at == end || *at < '0' || *at > '7')
                        return false;
                value = value << 3 | (unsigned)(*at - '0');
        }
        *out = (char)value;
        return value <= 255;
}

/* Where bytea_output is 'escape': a backslash twice, and in octal what is not printed. -1: it is not that. */
static Py_ssize_t unescape(const char *at, const char *end, char *out)
{
        char *to = out;

        for (; at < end; to++) {
                if (*at != '\\') {
                        *to = *at++;
                } else if (at + 1 < end && at[1] == '\\') {
                        *to = '\\';
                        at += 2;
                } else if (octal(at + 1, end, to)) {
                        at += 4;
                } else {
                        return -1;
                }
        }
        return to - out;
}

static PyObject *unescaped(const char *at, size_t len)
{
        char *room = malloc(len + 1);
        Py_ssize_t made = room != NULL ? unescape(at, at + len, room) : 0;
        PyObject *bytes = NULL;

        if (room == NULL)
                PyErr_NoMemory();
        else
                bytes = made >= 0 ? PyBytes_FromStringAndSize(room, made) : malformed("bytea");
        free(room);
        return bytes;
}

/* \x00ff, or escaped */
static PyObject *bytes_of(const char *at, size_t len)
{
        PyObject *made;
        char *to;

        if (len < 2 || at[0] != '\\' || at[1] != 'x')
                return unescaped(at, len);
        if (len % 2 != 0)
                return malformed("bytea");
        made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(len / 2 - 1));
        to = made != NULL ? PyBytes_AsString(made) : NULL;
        for (size_t i = 2; to != NULL && i < len; i += 2) {
                int high = nibble(at[i]), low = nibble(at[i + 1]);

                if (high < 0 || low < 0) {
                        Py_DECREF(made);
                        return malformed("bytea");
                }
                *to++ = (char)(high << 4 | low);
        }
        return made;
}

static PyObject *parsed(PyObject *parse, const char *at, size_t len)
{
        PyObject *given = PyUnicode_DecodeUTF8(at, (Py_ssize_t)len, NULL);
        PyObject *made = given != NULL ? PyObject_CallFunctionObjArgs(parse, given, NULL) : NULL;

        Py_XDECREF(given);
        return made;
}

static PyObject *cell(struct reader *reader, const struct column *column)
{
        int32_t len = length(reader);
        const char *at;

        if (len < 0)
                return Py_NewRef(Py_None);
        at = (const char *)take(reader, (size_t)len);
        if (at == NULL)
                return NULL;
        switch (column->kind) {
        case KIND_BOOL:
                return PyBool_FromLong(len == 1 && *at == 't');
        case KIND_BYTES:
                return bytes_of(at, (size_t)len);
        case KIND_INT:
                return integer_of(at, (size_t)len);
        case KIND_FLOAT:
                return float_of(at, (size_t)len);
        case KIND_PARSED:
                return parsed(column->parse, at, (size_t)len);
        default:
                return PyUnicode_DecodeUTF8(at, len, NULL);
        }
}

static enum kind kind_of(uint32_t oid)
{
        switch (oid) {
        case 16:
                return KIND_BOOL;
        case 17:
                return KIND_BYTES;
        case 20: /* int8 */
        case 21: /* int2 */
        case 23: /* int4 */
        case 26: /* oid */
                return KIND_INT;
        case 700:
        case 701:
                return KIND_FLOAT;
        default:
                return KIND_TEXT;
        }
}

/* A parser of the package's or of the client's own, where one is wanted. */
static bool column_parser(struct column *column, PyObject *types)
{
        PyObject *own = types != NULL ? PyDict_GetItemWithError(types, column->oid) : NULL;

        if (own == NULL && PyErr_Occurred())
                return false;
        if (own == NULL && column->kind != KIND_TEXT)
                return true;
        if (own == NULL && types != NULL) {
                /* Arrays of what has a parser of the client's. */
                column->parse = PyObject_CallFunctionObjArgs(sp_lent.parser, column->oid, types, NULL);
                if (column->parse == NULL)
                        return false;
                if (column->parse == Py_None)
                        Py_CLEAR(column->parse);
        } else {
                column->parse = Py_XNewRef(own != NULL ? own : PyDict_GetItemWithError(sp_lent.parsers, column->oid));
                if (column->parse == NULL && PyErr_Occurred())
                        return false;
        }
        if (column->parse != NULL)
                column->kind = KIND_PARSED;
        return true;
}

static bool column_open(struct column *column, struct reader *reader, PyObject *types)
{
        uint32_t oid = (uint32_t)number(reader, 4);

        column->kind = kind_of(oid);
        column->name = text(reader, number(reader, 2));
        if (column->name == NULL)
                return false;
        PyUnicode_InternInPlace(&column->name);
        column->oid = PyLong_FromUnsignedLong(oid);
        return column->oid != NULL && column_parser(column, types);
}

static void columns_free(struct column *columns, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                Py_XDECREF(columns[i].name);
                Py_XDECREF(columns[i].oid);
                Py_XDECREF(columns[i].parse);
        }
        free(columns);
}

static struct column *columns_read(struct reader *reader, size_t count, PyObject *types)
{
        struct column *columns = calloc(count + 1, sizeof *columns);

        if (columns == NULL) {
                PyErr_NoMemory();
                return NULL;
        }
        for (size_t i = 0; i < count; i++) {
                if (!column_open(&columns[i], reader, types)) {
                        columns_free(columns, count);
                        return NULL;
                }
        }
        return columns;
}

static PyObject *row_dict(struct reader *reader, const struct column *columns, size_t count)
{
        PyObject *row = PyDict_New();

        for (size_t i = 0; row != NULL && i < count; i++) {
                PyObject *value = cell(reader, &columns[i]);

                if (value == NULL || PyDict_SetItem(row, columns[i].name, value) != 0)
                        Py_CLEAR(row);
                Py_XDECREF(value);
        }
        return row;
}

static PyObject *row_tuple(struct reader *reader, const struct column *columns, size_t count)
{
        PyObject *row = PyTuple_New((Py_ssize_t)count);

        for (size_t i = 0; row != NULL && i < count; i++) {
                PyObject *value = cell(reader, &columns[i]);

                if (value == NULL || PyTuple_SetItem(row, (Py_ssize_t)i, value) != 0)
                        Py_CLEAR(row);
        }
        return row;
}

static bool rows_fill(PyObject *rows, struct reader *reader, const struct column *columns, size_t width, size_t count,
                      bool tuples)
{
        for (size_t i = 0; i < count; i++) {
                PyObject *row = tuples ? row_tuple(reader, columns, width) : row_dict(reader, columns, width);
                bool kept = row != NULL && PyList_Append(rows, row) == 0;

                Py_XDECREF(row);
                if (!kept)
                        return false;
        }
        return true;
}

/* Steals the value. */
static bool rows_set(PyObject *rows, const char *name, PyObject *value)
{
        bool set = value != NULL && PyObject_SetAttrString(rows, name, value) == 0;

        Py_XDECREF(value);
        return set;
}

/* [(name, OID), …] */
static PyObject *fields_of(const struct column *columns, size_t count)
{
        PyObject *fields = PyList_New((Py_ssize_t)count);

        for (size_t i = 0; fields != NULL && i < count; i++) {
                PyObject *field = PyTuple_Pack(2, columns[i].name, columns[i].oid);

                if (field == NULL || PyList_SetItem(fields, (Py_ssize_t)i, field) != 0)
                        Py_CLEAR(fields);
        }
        return fields;
}

static PyObject *rows_read(struct reader *reader, PyObject *types, bool tuples)
{
        PyObject *rows = PyObject_CallFunctionObjArgs(sp_lent.rows, NULL);
        size_t width = number(reader, 2), count = number(reader, 4);
        int64_t affected = (int64_t)number(reader, 8);
        PyObject *command = rows != NULL ? text(reader, number(reader, 2)) : NULL;
        struct column *columns = command != NULL ? columns_read(reader, width, types) : NULL;

        if (columns == NULL)
                Py_XDECREF(command);
        if (columns == NULL || !rows_set(rows, "command", command) ||
            !rows_set(rows, "affected", PyLong_FromLongLong(affected)) ||
            !rows_set(rows, "fields", fields_of(columns, width)) ||
            !rows_fill(rows, reader, columns, width, count, tuples))
                Py_CLEAR(rows);
        if (columns != NULL)
                columns_free(columns, width);
        return rows;
}

PyObject *sp_rows_decode(const void *data, size_t len, PyObject *types, bool tuples)
{
        const unsigned char *at = data;
        struct reader reader = {.at = at, .end = at + len};
        PyObject *rows = NULL;

        if (number(&reader, 2) == 1)
                rows = rows_read(&reader, types != Py_None ? types : NULL, tuples);
        if (rows == NULL && !PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "sugarperf: a result of an unknown format");
        return rows;
}
