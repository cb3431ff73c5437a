// SPDX-License-Identifier: MIT
'use strict';
/* A result as node-postgres hands it out. */
const rows = require('../rows.js');

const TAG = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/;

/* What all results of the same shape have in common: command, OID and count. Fields are each result's own: a caller may change them. */
const kept = new WeakMap();

function fieldOf({ name, type }) {
    return {
        name, tableID: 0, columnID: 0, dataTypeID: type, dataTypeSize: -1, dataTypeModifier: -1, format: 'text',
    };
}

function headOf(shape) {
    let head = kept.get(shape);
    if (head !== undefined)
        return head;
    const [, command = null, first, second] = TAG.exec(shape.command) ?? [];

    head = {
        command, rowCount: first === undefined ? null : Number(second ?? first), oid: second === undefined ? null : Number(first),
    };
    kept.set(shape, head);
    return head;
}

class Result {
    constructor(rowMode, types) {
        this.command = null;
        this.rowCount = null;
        this.oid = null;
        this.rows = [];
        this.fields = [];
        this._types = types;
        this.RowCtor = null;
        this.rowAsArray = rowMode === 'array';
    }

    /* A tag alone, "COMMIT". */
    static of(command) {
        const result = new Result();

        result.command = command;
        return result;
    }
}

/* From packed form. */
function decode(bytes, offset, types, rowMode) {
    const result = new Result(rowMode, types);
    const found = rows.decodePlain(bytes, offset, types, result.rowAsArray);
    const head = headOf(found.shape);

    result.command = head.command;
    result.rowCount = head.rowCount;
    result.oid = head.oid;
    result.rows = found.rows;
    result.fields = found.shape.fields.map(fieldOf);
    return result;
}

module.exports = { Result, decode };
