// SPDX-License-Identifier: MIT
'use strict';
/*
 * Results from packed form (result_pack() in pool.h), in one pass. Text becomes JavaScript by the column's type; `types`
 * overrides: { [oid]: text => value }, or decides alone, by getTypeParser(oid, format), as node-postgres's do.
 */
const { parseArray } = require('./array.js');

const identity = (text) => text;

/* Where bytea_output is 'escape': "a\\b\000", a backslash twice, and in octal what is not printed. */
function unescaped(text) {
    const made = Buffer.allocUnsafe(text.length);
    let length = 0;

    for (let i = 0; i < text.length; i++, length++) {
        const code = text.charCodeAt(i);

        if (code === 0x5c && text[++i] !== '\\') {
            made[length] = parseInt(text.slice(i, i + 3), 8);
            i += 2;
        } else {
            made[length] = code;
        }
    }
    return made.subarray(0, length);
}

const bytes = (text) => (text.startsWith('\\x') ? Buffer.from(text.slice(2), 'hex') : unescaped(text));

/* '2024-01-02 03:04:05.123456+02': what Date reads is ISO 8601. */
function date(text, zone) {
    const parts = /^(\d{4,})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d(?::?\d\d)?)?(:\d\d)?( BC)?$/.exec(text);
    if (parts === null)
        return text === 'infinity' ? Infinity : text === '-infinity' ? -Infinity : text;
    const [, year, month, day, time, fraction = '', offset, odd, era] = parts;
    const number = era ? 1 - Number(year) : Number(year);
    const sign = number < 0 ? '-' : '+';
    const full = number >= 0 && number <= 9999 ? String(number).padStart(4, '0')
        : sign + String(Math.abs(number)).padStart(6, '0');
    const where = offset === undefined ? zone : offset.length === 3 ? `${offset}:00` : offset;
    const made = new Date(`${full}-${month}-${day}T${time}${fraction.slice(0, 4)}${where}`);

    /* Before there were zones, offsets had seconds, which ISO 8601 has not. */
    if (odd !== undefined)
        made.setTime(made.getTime() - Number(offset[0] + odd.slice(1)) * 1000);
    return made;
}

const scalar = {
    16: (text) => text === 't',
    17: bytes,
    21: Number,
    23: Number,
    26: Number,
    114: JSON.parse,
    700: Number,
    701: Number,
    1114: (text) => date(text, ''),
    1184: (text) => date(text, 'Z'),
    3802: JSON.parse,
};
/* int8 and numeric do not fit a Number: they stay text, as in node-postgres. */
const arrays = {
    199: 114, 1000: 16, 1001: 17, 1005: 21, 1007: 23, 1028: 26, 1021: 700, 1022: 701, 1115: 1114, 1185: 1184,
    3807: 3802, 1009: 25, 1015: 1043, 1014: 1042, 1016: 20, 1231: 1700, 2951: 2950, 1182: 1082,
};

function parserOf(oid, types) {
    if (typeof types?.getTypeParser === 'function')
        return types.getTypeParser(oid, 'text');
    if (types && types[oid])
        return types[oid];
    if (scalar[oid])
        return scalar[oid];
    if (arrays[oid]) {
        const element = parserOf(arrays[oid], types);
        return (text) => parseArray(text, element);
    }
    return identity;
}

/* A short integer without a string in between: most cells are keys and counts. */
function readInteger(buffer, at, end) {
    const negative = buffer[at] === 0x2d;
    let number = 0;

    for (let i = negative ? at + 1 : at; i < end; i++)
        number = number * 10 + buffer[i] - 0x30;
    return negative ? -number : number;
}

const readText = (buffer, at, end) => buffer.utf8Slice(at, end);

/* From bytes to the value. */
function readerOf(oid, types) {
    const parse = parserOf(oid, types);

    if (parse === Number && (oid === 21 || oid === 23 || oid === 26))
        return readInteger;
    return parse === identity ? readText : (buffer, at, end) => parse(buffer.utf8Slice(at, end));
}

/* Buffer's own methods check their arguments each time. */
const u16 = (buffer, at) => buffer[at] | buffer[at + 1] << 8;
const i32 = (buffer, at) => buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | buffer[at + 3] << 24;
const u32 = (buffer, at) => i32(buffer, at) >>> 0;

/* What a statement's results have in common: read once, known again by the bytes of its head. */
class Shape {
    constructor(buffer, at, columns, types) {
        const length = u16(buffer, at);

        this.command = buffer.latin1Slice(at + 2, at + 2 + length);
        this.fields = fieldsOf(buffer, at + 2 + length, columns);
        this.names = this.fields.map((field) => field.name);
        this.readers = this.fields.map((field) => readerOf(field.type, types));
        /* No setter to run into: a column named "__proto__" is a plain property. */
        this.blank = this.names.includes('__proto__') ? null
            : Object.fromEntries(this.names.map((name) => [name, null]));
    }

    row() {
        return this.blank === null ? Object.create(null) : { ...this.blank };
    }
}

function fieldsOf(buffer, at, columns) {
    const fields = new Array(columns);

    for (let i = 0; i < columns; i++) {
        const type = u32(buffer, at);
        const length = u16(buffer, at + 4);
        fields[i] = Object.freeze({ name: buffer.utf8Slice(at + 6, at + 6 + length), type });
        at += 6 + length;
    }
    return Object.freeze(fields);
}

/* Heads that are kept, for each table of parsers. */
const KEPT = 1024;
const none = new Map();
let byTypes = new WeakMap();

/* Parsers of some table were changed. */
function forget() {
    byTypes = new WeakMap();
}

function keptFor(types) {
    if (types === undefined || types === null)
        return none;
    let kept = byTypes.get(types);
    if (kept === undefined)
        byTypes.set(types, kept = new Map());
    return kept;
}

function shapeAt(buffer, at, end, columns, types) {
    const kept = keptFor(types);
    const head = buffer.latin1Slice(at, end);
    let shape = kept.get(head);

    if (shape === undefined) {
        shape = new Shape(buffer, at, columns, types);
        if (kept.size >= KEPT)
            kept.clear();
        kept.set(head, shape);
    }
    return shape;
}

/* The rows, with `fields`, `affected` and `command` beside them. What is made of them (map, filter) is a plain array. */
class Rows extends Array {
    #shape;
    #affected;

    static get [Symbol.species]() {
        return Array;
    }

    static made(count, shape, affected) {
        const rows = new Rows(count);

        rows.#shape = shape;
        rows.#affected = affected;
        return rows;
    }

    get fields() {
        return this.#shape.fields;
    }

    get affected() {
        return this.#affected;
    }

    get command() {
        return this.#shape.command;
    }
}

function readRow(buffer, place, shape) {
    const row = shape.row();
    const { names, readers } = shape;
    let { at } = place;

    for (let c = 0; c < names.length; c++) {
        const length = i32(buffer, at);
        at += 4;
        if (length < 0) {
            row[names[c]] = null;
        } else {
            row[names[c]] = readers[c](buffer, at, at + length);
            at += length;
        }
    }
    place.at = at;
    return row;
}

function readList(buffer, place, { readers }) {
    const row = new Array(readers.length);
    let { at } = place;

    for (let c = 0; c < readers.length; c++) {
        const length = i32(buffer, at);
        at += 4;
        row[c] = length < 0 ? null : readers[c](buffer, at, at + length);
        if (length > 0)
            at += length;
    }
    place.at = at;
    return row;
}

/* What stands before the rows; `place.at` is at the first one afterwards. */
function headAt(buffer, place, types) {
    const start = place.at;
    const columns = u16(buffer, start + 2);

    if (buffer[start] !== 1)
        throw new Error('sugarperf: a result of an unknown format');
    place.at = start + 18 + u16(buffer, start + 16);
    for (let i = 0; i < columns; i++)
        place.at += 6 + u16(buffer, place.at + 4);
    return shapeAt(buffer, start + 16, place.at, columns, types);
}

/* `place.at` is behind it afterwards. */
function decodeAt(buffer, place, types) {
    const start = place.at;
    const shape = headAt(buffer, place, types);
    const count = u32(buffer, start + 4);
    const rows = Rows.made(count, shape, u32(buffer, start + 8) + i32(buffer, start + 12) * 4294967296);

    for (let r = 0; r < count; r++)
        rows[r] = readRow(buffer, place, shape);
    return rows;
}

/* Rows in an array that is nothing else, as objects or as `lists` of values; with their shape. */
function decodePlain(buffer, offset, types, lists) {
    const place = { at: offset };
    const shape = headAt(buffer, place, types);
    const count = u32(buffer, offset + 4);
    const read = lists ? readList : readRow;
    const rows = [];

    for (let r = 0; r < count; r++)
        rows.push(read(buffer, place, shape));
    return { rows, shape };
}

function decode(buffer, offset, types) {
    return decodeAt(buffer, { at: offset }, types);
}

/* Of a batch: the rows of each set, with what all of them affected. */
function decodeSets(buffer, offset, count, types) {
    const place = { at: offset };
    const sets = new Array(count);
    let affected = 0;

    for (let i = 0; i < count; i++) {
        sets[i] = decodeAt(buffer, place, types);
        affected += sets[i].affected;
    }
    return Object.defineProperty(sets, 'affected', { value: affected });
}

/* As a statement answers, of rows that a test gives. */
function rowsOf(found, command) {
    const rows = Rows.made(found.length, { fields: Object.freeze(Object.keys(found[0] ?? {}).map((name) => ({ name, type: 0 }))), command }, found.length);

    return Object.assign(rows, found);
}

module.exports = { rowsOf, decode, decodePlain, decodeSets, forget, identity, parserOf };
