/* SPDX-License-Identifier: MIT */
/*
 * What crosses by hand between C and Python: results become Python's objects, and Python's values parameters, in one pass
 * each. Called with the interpreter's lock held; what fails has set an exception.
 */
#ifndef SUGARPERF_PYTHON_GLUE_H
#define SUGARPERF_PYTHON_GLUE_H

#include <Python.h>
#include <stdbool.h>
#include <sugarperf/sugarperf.h>

/* What the package lends: set once, when it is imported. */
struct sp_lent {
        PyObject *rows;     /* the class of a result */
        PyObject *parsers;  /* dict: a type's OID to what makes a value of its text */
        PyObject *parser;   /* the same as a function of the OID and a client's own types */
        PyObject *text_of;  /* a value as PostgreSQL writes it */
        PyObject *sequence; /* refuses what is no list of parameters */
};

extern struct sp_lent sp_lent;

/**
 * A result in packed form (sp_result_pack()) as an object of the class `rows`. `types`: a dict of the client's own parsers by
 * OID, or None. A row is a dict, or a tuple where `tuples` says so.
 */
PyObject *sp_rows_decode(const void *data, size_t len, PyObject *types, bool tuples);

/**
 * A sequence of values, or None for none (`*out` NULL). The caller's: sp_params_free(). Where it fails an exception is set, or
 * the status says why.
 */
sp_status sp_params_of(PyObject *values, sp_params **out);
/** A sequence of such sequences, none of which is None. */
sp_status sp_params_of_sets(PyObject *sets, sp_params **out);

#endif
