// SPDX-License-Identifier: MIT
'use strict';
/* From JavaScript to what is sent, as node-postgres writes it: a Date as local time with its offset, arrays, JSON. */
const { isDate } = require('node:util').types;
const defaults = require('./defaults.js');

const pad = (number, digits = 2) => String(number).padStart(digits, '0');

/* Year 0 is 1 BC. */
function written(year, month, day, hours, minutes, seconds, ms, zone) {
    return `${pad(year < 1 ? 1 - year : year, 4)}-${pad(month + 1)}-${pad(day)}T${pad(hours)}:${pad(minutes)}:${pad(seconds)}.` +
        `${pad(ms, 3)}${zone}${year < 1 ? ' BC' : ''}`;
}

function utcText(date) {
    return written(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(),
        date.getUTCSeconds(), date.getUTCMilliseconds(), '+00:00');
}

function localText(date) {
    const east = -date.getTimezoneOffset();
    const offset = Math.abs(east);
    const zone = `${east < 0 ? '-' : '+'}${pad(Math.floor(offset / 60))}:${pad(offset % 60)}`;

    return written(date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds(),
        date.getMilliseconds(), zone);
}

function bytesOf(view) {
    return Buffer.isBuffer(view) ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function elementText(value) {
    if (value === null || value === undefined)
        return 'NULL';
    if (Array.isArray(value))
        return arrayText(value);
    if (ArrayBuffer.isView(value))
        return `\\\\x${bytesOf(value).toString('hex')}`;
    return `"${prepared(value).replace(/[\\"]/g, '\\$&')}"`;
}

function arrayText(values) {
    return `{${Array.from(values, elementText).join(',')}}`;
}

function objectOf(value, seen) {
    if (typeof value.toPostgres !== 'function')
        return JSON.stringify(value);
    if (seen.includes(value))
        throw new Error(`circular reference detected while preparing "${value}" for query`);
    return prepared(value.toPostgres((inner) => prepared(inner)), [...seen, value]);
}

/* null, a string, or bytes. */
function prepared(value, seen = []) {
    if (value === null || value === undefined)
        return null;
    if (typeof value === 'string')
        return value;
    if (typeof value !== 'object')
        return value.toString();
    if (ArrayBuffer.isView(value))
        return bytesOf(value);
    if (isDate(value))
        return defaults.parseInputDatesAsUTC ? utcText(value) : localText(value);
    return Array.isArray(value) ? arrayText(value) : objectOf(value, seen);
}

function prepareValue(value) {
    return prepared(value);
}

function prepareValues(values) {
    if (values === undefined || values === null)
        return undefined;
    if (!Array.isArray(values))
        throw new Error('Query values must be an array');
    const made = new Array(values.length);

    for (let i = 0; i < values.length; i++)
        made[i] = prepared(values[i]);
    return made;
}

function escapeIdentifier(name) {
    return `"${name.replace(/"/g, '""')}"`;
}

/* With E'' where there is a backslash, so that it reads alike whatever standard_conforming_strings says. */
function escapeLiteral(value) {
    if (typeof value !== 'string')
        return "''";
    const text = value.replace(/['\\]/g, '$&$&');

    return value.includes('\\') ? ` E'${text}'` : `'${text}'`;
}

module.exports = { escapeIdentifier, escapeLiteral, prepareValue, prepareValues };
