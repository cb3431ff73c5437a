// SPDX-License-Identifier: MIT
'use strict';
/* A statement is declared once, with the name that metrics and the profiler use, and run from anywhere. */
const native = require('./native.js');
const given = require('./given.js');
const { call } = require('./errors.js');
const { Recent } = require('./recent.js');
const { Query } = require('./tag.js');

/* Statements of plain query texts that are kept declared, at least. */
const KEPT = 1024;
const kept = new Recent(KEPT);
const FLAGS = ['read', 'write', 'idempotent', 'unnamed', 'opaque'];

function flagsOf(options) {
    const { read, write, idempotent, unnamed, opaque } = given.options(options, FLAGS);

    return (read ? native.SP_STMT_READ : 0) | (write ? native.SP_STMT_WRITE : 0) |
        (idempotent ? native.SP_STMT_IDEMPOTENT : 0) | (unnamed ? native.SP_STMT_UNNAMED : 0) | (opaque ? native.SP_STMT_OPAQUE : 0);
}

class Statement {
    /* `name` null: the statement's fingerprint. */
    constructor(name, sql, options = {}) {
        this.native = call('stmt_new', name, sql, flagsOf(options));
    }

    get name() {
        return native.stmt_name(this.native);
    }
}

function keep(sql) {
    let statement = kept.get(sql);

    if (statement === undefined)
        kept.set(sql, statement = new Statement(null, sql));
    return statement;
}

function statementOf(sql) {
    if (sql instanceof Statement)
        return sql.native;
    if (typeof sql === 'string')
        return keep(sql).native;
    if (sql instanceof Query)
        return keep(sql.text).native;
    throw new TypeError('a query must be a string, a Statement or what sql`…` makes');
}

/* A query of sql`…` has its values. */
function valuesOf(sql, values) {
    if (!(sql instanceof Query))
        return values;
    if (values !== undefined && values !== null)
        throw new TypeError('what sql`…` makes has its values: no others beside it');
    return sql.values;
}

module.exports = { Statement, statementOf, valuesOf };
