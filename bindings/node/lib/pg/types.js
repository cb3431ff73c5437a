// SPDX-License-Identifier: MIT
'use strict';
/*
 * From the server's text to JavaScript, as node-postgres does it, and by the same interface: setTypeParser(), getTypeParser(),
 * builtins. Parsers of rows.js that are the same are the same functions, so that the decoder knows the fast ones again.
 */
const { parseArray } = require('../array.js');
const rows = require('../rows.js');
const { Interval } = require('./interval.js');
const builtins = require('./oids.js');

/* Midnight where the program runs. */
function dateOf(text) {
    const parts = /^(\d{4,})-(\d\d)-(\d\d)( BC)?$/.exec(text);
    if (parts === null)
        return text === 'infinity' ? Infinity : text === '-infinity' ? -Infinity : text;
    const [, year, month, day, era] = parts;
    const date = new Date(2000, 0, 1);

    date.setFullYear(era ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
    return date;
}

function pointOf(text) {
    const [x, y] = text.slice(1, -1).split(',');

    return { x: Number(x), y: Number(y) };
}

/* <(x,y),radius> */
function circleOf(text) {
    const [x, y, radius] = text.replace(/[<>()]/g, '').split(',');

    return { x: Number(x), y: Number(y), radius: Number(radius) };
}

const { identity, parserOf } = rows;
const builtin = (oid) => parserOf(oid, undefined);
const intervalOf = (text) => new Interval(text);
const text = {};
for (const oid of [16, 17, 21, 23, 26, 114, 700, 701, 1114, 1184, 3802])
    text[oid] = builtin(oid);
Object.assign(text, { 600: pointOf, 718: circleOf, 1082: dateOf, 1186: intervalOf });

/* Arrays by the parser of their elements; those that are missing here stay text, as in node-postgres. */
const elements = {
    199: 114, 651: 650, 791: 790, 1000: 16, 1001: 17, 1005: 21, 1007: 23, 1008: 25, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20,
    1017: 600, 1021: 700, 1022: 701, 1028: 26, 1040: 829, 1041: 869, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1187: 1186,
    1270: 1266, 2951: 2950, 3807: 3802, 3907: 3906,
};
for (const [oid, element] of Object.entries(elements)) {
    const parse = text[element] ?? identity;

    text[oid] = (value) => parseArray(value, parse);
}
/* Numbers in an array, though one by one they stay text: so it is in node-postgres. */
text[1231] = (value) => parseArray(value, Number);

const parsers = { text, binary: {} };

function getTypeParser(oid, format = 'text') {
    return parsers[format]?.[oid] ?? identity;
}

function given(format, parse) {
    return typeof format === 'function' ? ['text', format] : [format, parse];
}

function setTypeParser(oid, format, parse) {
    const [which, parser] = given(format, parse);

    parsers[which][oid] = parser;
    rows.forget();
}

/* Parsers of one client, before those of all. */
class TypeOverrides {
    #types;

    constructor(types) {
        this.#types = types ?? module.exports.types;
        this.text = {};
        this.binary = {};
    }

    getOverrides(format) {
        return format === 'text' ? this.text : format === 'binary' ? this.binary : {};
    }

    setTypeParser(oid, format, parse) {
        const [which, parser] = given(format, parse);

        this.getOverrides(which)[oid] = parser;
        rows.forget();
    }

    getTypeParser(oid, format = 'text') {
        return this.getOverrides(format)[oid] ?? this.#types.getTypeParser(oid, format);
    }
}

const types = {
    builtins, getTypeParser, setTypeParser,
    arrayParser: { create: (value, parse = identity) => ({ parse: () => parseArray(value, parse) }) },
};

module.exports = { TypeOverrides, types };
