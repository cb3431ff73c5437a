// SPDX-License-Identifier: MIT
'use strict';
/*
 * A block of bytes that grows, and parameters in packed form on it (params.h): u8 1, u8 0, u16 count, then u8 format, i32 length,
 * bytes. Buffer's own methods check their arguments each time; what is short is written without them.
 */
const { isAnyArrayBuffer, isPromise } = require('node:util').types;
const { makeError } = require('./errors.js');

const MAX = 65535;
const TEXT = 0x74;
const BINARY = 0x62;
/* Characters up to which a loop is faster than a call. */
const SHORT = 24;

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

function check(values) {
    if (!Array.isArray(values))
        throw new TypeError('parameters must be an array');
    if (values.length > MAX)
        throw makeError('SP_LIMIT', `there are ${values.length} parameters, at most ${MAX} are allowed`);
}

function arrayElement(value) {
    if (value === null || value === undefined)
        return 'NULL';
    if (Array.isArray(value))
        return arrayText(value);
    return `"${textOf(value).replace(/[\\"]/g, '\\$&')}"`;
}

function arrayText(values) {
    return `{${Array.from(values, arrayElement).join(',')}}`;
}

/* What JSON would leave as {} without a word. */
function jsonText(value) {
    if (value instanceof Map || value instanceof Set)
        throw new TypeError(`a ${value.constructor.name} cannot be a parameter: make an array or an object of it`);
    if (isPromise(value))
        throw new TypeError('a Promise cannot be a parameter: await it');
    return JSON.stringify(value);
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
        if (isAnyArrayBuffer(value))
            return textOf(Buffer.from(value));
        if (ArrayBuffer.isView(value))
            return '\\x' + Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
        return Array.isArray(value) ? arrayText(value) : jsonText(value);
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

/*
 * Values as they are written: what runs the program's own code (toJSON(), a getter) has run then, for that may submit something
 * itself, and so write to the same sheet.
 */
function settled(values) {
    if (!Array.isArray(values))
        return values;
    let made = values;

    for (let i = 0; i < values.length; i++) {
        const value = values[i];

        if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || isAnyArrayBuffer(value))
            continue;
        if (made === values)
            made = [...values];
        made[i] = textOf(value);
    }
    return made;
}

class Sheet {
    constructor(size) {
        this.buffer = Buffer.allocUnsafeSlow(size);
    }

    room(end) {
        if (end <= this.buffer.length)
            return;
        const larger = Buffer.allocUnsafeSlow(Math.max(end, this.buffer.length * 2));

        this.buffer.copy(larger);
        this.buffer = larger;
    }

    u32(at, value) {
        const { buffer } = this;

        buffer[at] = value;
        buffer[at + 1] = value >>> 8;
        buffer[at + 2] = value >>> 16;
        buffer[at + 3] = value >>> 24;
    }

    f64(at, value) {
        double[0] = value;
        for (let i = 0; i < 8; i++)
            this.buffer[at + i] = doubleBytes[i];
    }

    /* These return where what they wrote ends. */

    text(at, text) {
        this.room(at + text.length * 3);
        const { buffer } = this;

        if (text.length > SHORT)
            return at + buffer.utf8Write(text, at);
        for (let i = 0; i < text.length; i++) {
            const code = text.charCodeAt(i);

            if (code > 0x7f)
                return at + buffer.utf8Write(text, at);
            buffer[at + i] = code;
        }
        return at + text.length;
    }

    /* Of 32 bits, without a string in between: V8 keeps those that it made of numbers. */
    integer(at, value) {
        let rest = Math.abs(value);
        let digits = 1;

        this.room(at + 11);
        const { buffer } = this;

        if (value < 0)
            buffer[at++] = 0x2d;
        for (let bound = 10; bound <= rest; bound *= 10)
            digits++;
        for (let i = at + digits - 1; i >= at; i--) {
            buffer[i] = 0x30 + rest % 10;
            rest = Math.floor(rest / 10);
        }
        return at + digits;
    }

    bytes(at, given) {
        if (typeof given === 'string')
            return this.text(at, given);
        this.room(at + given.byteLength);
        this.buffer.set(new Uint8Array(given.buffer, given.byteOffset, given.byteLength), at);
        return at + given.byteLength;
    }

    value(at, value) {
        if (value === null || value === undefined) {
            this.room(at + 5);
            this.buffer[at] = TEXT;
            this.u32(at + 1, -1);
            return at + 5;
        }
        const object = typeof value === 'object';

        if (object && isAnyArrayBuffer(value))
            return this.value(at, new Uint8Array(value));
        const binary = object && ArrayBuffer.isView(value);
        this.room(at + 5);
        const end = binary ? this.bytes(at + 5, value) : typeof value === 'number' && (value | 0) === value ? this.integer(at + 5, value)
            : this.text(at + 5, typeof value === 'string' ? value : textOf(value));

        this.buffer[at] = binary ? BINARY : TEXT;
        this.u32(at + 1, end - at - 5);
        return end;
    }

    values(at, values) {
        for (let i = 0; i < values.length; i++)
            at = this.value(at, values[i]);
        return at;
    }

    /* None: nothing at all. */
    params(at, values) {
        if (values === undefined || values === null || values.length === 0)
            return at;
        check(values);
        this.room(at + 4);
        this.head(at, 1, values.length);
        return this.values(at + 4, values);
    }

    head(at, version, count) {
        this.buffer[at] = version;
        this.buffer[at + 1] = 0;
        this.buffer[at + 2] = count;
        this.buffer[at + 3] = count >>> 8;
    }
}

module.exports = { Sheet, check, settled, textOf };
