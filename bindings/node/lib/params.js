// SPDX-License-Identifier: MIT
'use strict';
/*
 * Parameters in packed form (params.h): u8 1, u8 0, u16 count, then u8 format, i32 length, bytes. Written into one
 * buffer that is reused: the library copies what it needs before the call returns.
 */
const native = require('./native.js');
const { call, makeError } = require('./errors.js');

const MAX = 65535;
const TEXT = 0x74;
const BINARY = 0x62;

let buffer = Buffer.allocUnsafe(4096);
const params = native.params_new();

function grow(needed) {
    if (needed <= buffer.length)
        return;
    const larger = Buffer.allocUnsafe(Math.max(needed, buffer.length * 2));
    buffer.copy(larger);
    buffer = larger;
}

function arrayElement(value) {
    if (value === null || value === undefined)
        return 'NULL';
    if (Array.isArray(value))
        return arrayText(value);
    return `"${textOf(value).replace(/[\\"]/g, '\\$&')}"`;
}

function arrayText(values) {
    return `{${values.map(arrayElement).join(',')}}`;
}

/* A value as PostgreSQL writes it. */
function textOf(value) {
    switch (typeof value) {
    case 'string':
        return value;
    case 'number':
        return numberText(value);
    case 'bigint':
        return String(value);
    case 'boolean':
        return value ? 't' : 'f';
    case 'object':
        if (value instanceof Date)
            return dateText(value);
        if (ArrayBuffer.isView(value))
            return '\\x' + Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
        return Array.isArray(value) ? arrayText(value) : JSON.stringify(value);
    default:
        throw new TypeError(`a ${typeof value} cannot be a parameter`);
    }
}

/* From 2^53 on an integer may have been rounded before it came here. Those from 1e21 on are written as what they are. */
function numberText(value) {
    if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21)
        throw new TypeError('an integer from 2^53 on may have been rounded: give it as a BigInt or as text');
    return String(value);
}

function dateText(date) {
    if (Number.isNaN(date.getTime()))
        throw new TypeError('an invalid Date cannot be a parameter');
    const year = date.getUTCFullYear();
    if (year >= 0 && year <= 9999)
        return date.toISOString();
    /* toISOString() writes ±YYYYYY there; PostgreSQL takes years without a sign, and BC for those before 1. */
    const rest = date.toISOString().slice(7);
    return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}

function put(offset, value) {
    if (value === null || value === undefined) {
        grow(offset + 5);
        buffer[offset] = TEXT;
        buffer.writeInt32LE(-1, offset + 1);
        return offset + 5;
    }
    if (ArrayBuffer.isView(value)) {
        grow(offset + 5 + value.byteLength);
        buffer[offset] = BINARY;
        buffer.writeInt32LE(value.byteLength, offset + 1);
        buffer.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), offset + 5);
        return offset + 5 + value.byteLength;
    }
    const text = textOf(value);
    grow(offset + 5 + text.length * 3);
    const length = buffer.write(text, offset + 5);
    buffer[offset] = TEXT;
    buffer.writeInt32LE(length, offset + 1);
    return offset + 5 + length;
}

function check(values) {
    if (!Array.isArray(values))
        throw new TypeError('parameters must be an array');
    if (values.length > MAX)
        throw makeError('SP_LIMIT', `there are ${values.length} parameters, at most ${MAX} are allowed`);
}

/* The values as an sp_params, valid until the next call; null for none. */
function load(values) {
    if (values === undefined || values === null || values.length === 0)
        return null;
    check(values);
    let end = 4;
    buffer[0] = 1;
    buffer[1] = 0;
    buffer.writeUInt16LE(values.length, 2);
    for (const value of values)
        end = put(end, value);
    call('params_load', params, buffer.subarray(0, end));
    return params;
}

/* Several sets of the same number of values: version 2, and how many sets there are. */
function loadSets(sets) {
    if (!Array.isArray(sets))
        throw new TypeError('sets must be an array of arrays of parameters');
    const count = sets.length === 0 ? 0 : sets[0]?.length;
    let end = 8;

    sets.forEach((values, i) => {
        check(values);
        if (values.length !== count)
            throw makeError('SP_INVALID', `set ${i} has ${values.length} parameters, set 0 has ${count}`);
    });
    buffer[0] = 2;
    buffer[1] = 0;
    buffer.writeUInt16LE(count, 2);
    buffer.writeUInt32LE(sets.length, 4);
    for (const values of sets) {
        for (const value of values)
            end = put(end, value);
    }
    call('params_load', params, buffer.subarray(0, end));
    return params;
}

module.exports = { load, loadSets, textOf };
