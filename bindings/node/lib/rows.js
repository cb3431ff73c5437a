// SPDX-License-Identifier: MIT
'use strict';
/*
 * Results from packed form (result_pack() in pool.h), in one pass. Text becomes JavaScript by the column's type; `types`
 * overrides: { [oid]: text => value }.
 */
const { parseArray } = require('./array.js');

const identity = (text) => text;
const bytes = (text) => Buffer.from(text.slice(2), 'hex');

/* '2024-01-02 03:04:05.123456+02': what Date reads is ISO 8601. */
function date(text, zone) {
    const parts = /^(\d{4,})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d(?::?\d\d)?)?( BC)?$/.exec(text);
    if (parts === null)
        return text === 'infinity' ? Infinity : text === '-infinity' ? -Infinity : text;
    const [, year, month, day, time, fraction = '', offset, era] = parts;
    const number = era ? 1 - Number(year) : Number(year);
    const sign = number < 0 ? '-' : '+';
    const full = number >= 0 && number <= 9999 ? String(number).padStart(4, '0')
        : sign + String(Math.abs(number)).padStart(6, '0');
    const where = offset === undefined ? zone : offset.length === 3 ? `${offset}:00` : offset;
    return new Date(`${full}-${month}-${day}T${time}${fraction.slice(0, 4)}${where}`);
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

function readHeader(buffer, offset) {
    if (buffer[offset] !== 1)
        throw new Error('sugarperf: a result of an unknown format');
    const columns = buffer.readUInt16LE(offset + 2);
    const rows = buffer.readUInt32LE(offset + 4);
    const affected = Number(buffer.readBigInt64LE(offset + 8));
    const length = buffer.readUInt16LE(offset + 16);
    return { columns, rows, affected, command: buffer.latin1Slice(offset + 18, offset + 18 + length),
        at: offset + 18 + length };
}

function readFields(buffer, header) {
    const fields = new Array(header.columns);
    for (let i = 0; i < header.columns; i++) {
        const type = buffer.readUInt32LE(header.at);
        const length = buffer.readUInt16LE(header.at + 4);
        fields[i] = { name: buffer.utf8Slice(header.at + 6, header.at + 6 + length), type };
        header.at += 6 + length;
    }
    return fields;
}

/*
 * The rows as an array of objects, with `fields`, `affected` and `command` beside them (not enumerable). A row has no
 * prototype's setter to run into: a column named "__proto__" is a plain property.
 */
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

/* `place.at` is behind it afterwards. */
function decodeAt(buffer, place, types) {
    const header = readHeader(buffer, place.at);
    const fields = readFields(buffer, header);
    const names = fields.map((field) => field.name);
    const parsers = fields.map((field) => parserOf(field.type, types));
    const special = names.includes('__proto__');
    const rows = new Array(header.rows);
    let at = header.at;

    for (let r = 0; r < rows.length; r++) {
        const row = special ? Object.create(null) : {};
        for (let c = 0; c < names.length; c++) {
            const length = buffer.readInt32LE(at);
            at += 4;
            if (length < 0) {
                row[names[c]] = null;
            } else {
                row[names[c]] = parsers[c](buffer.utf8Slice(at, at + length));
                at += length;
            }
        }
        rows[r] = row;
    }
    place.at = at;
    Object.defineProperties(rows, {
        fields: { value: fields }, affected: { value: header.affected }, command: { value: header.command },
    });
    return rows;
}

module.exports = { decode, decodeSets };
