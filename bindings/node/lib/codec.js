// SPDX-License-Identifier: MIT
'use strict';
/*
 * Cached values carry a codec, so that what one language stored another can read: undefined and null are "there is
 * nothing", strings text, bytes bytes, anything else JSON.
 */
const native = require('./native.js');
const rows = require('./rows.js');

/* JSON would make null of a number in it without a word. Of what JSON.stringify() took, so that it ends. */
function odd(value, made = false) {
    if (typeof value === 'number' || value instanceof Number)
        return !Number.isFinite(Number(value));
    if (typeof value !== 'object' || value === null)
        return false;
    if (!made && typeof value.toJSON === 'function')
        return odd(value.toJSON(''), true);
    return (Array.isArray(value) ? value : Object.values(value)).some((part) => odd(part));
}

function encode(value) {
    if (value === undefined || value === null)
        return [native.SP_CODEC_ABSENT, ''];
    if (typeof value === 'string')
        return [native.SP_CODEC_TEXT, value];
    if (ArrayBuffer.isView(value))
        return [native.SP_CODEC_BYTES, Buffer.from(value.buffer, value.byteOffset, value.byteLength)];
    const text = JSON.stringify(value);
    if (text === undefined)
        throw new TypeError(`a ${typeof value} cannot be cached`);
    if (text.includes('null') && odd(value))
        throw new TypeError('a value that is cached must be JSON, which has neither NaN nor Infinity');
    return [native.SP_CODEC_JSON, text];
}

function decode(codec, bytes, offset, length, types) {
    switch (codec) {
    case native.SP_CODEC_ABSENT:
        return null;
    case native.SP_CODEC_TEXT:
        return bytes.utf8Slice(offset, offset + length);
    case native.SP_CODEC_JSON:
        return JSON.parse(bytes.utf8Slice(offset, offset + length));
    case native.SP_CODEC_RESULT:
        return rows.decode(bytes, offset, types);
    default:
        return Buffer.from(bytes.subarray(offset, offset + length));
    }
}

/* What a hit in process brought: text is a string already. */
function decodeWhole(codec, data, types) {
    if (codec === native.SP_CODEC_TEXT)
        return data;
    if (codec === native.SP_CODEC_JSON)
        return JSON.parse(data);
    return decode(codec, data, 0, data.length, types);
}

/* What encode() made, as every other reader will get it. */
function roundTrip(codec, data) {
    if (codec === native.SP_CODEC_ABSENT)
        return null;
    return codec === native.SP_CODEC_BYTES ? Buffer.from(data) : decodeWhole(codec, data);
}

module.exports = { encode, decode, decodeWhole, roundTrip };
