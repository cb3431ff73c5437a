// SPDX-License-Identifier: MIT
'use strict';
/* COPY on a held session: in from whatever yields text or bytes, out as an async iterator of Buffers. */
const { Source } = require('./source.js');
const { Unit } = require('./unit.js');
const { statementOf } = require('./statement.js');

/* Small pieces are sent together. */
const CHUNK = 65536;

function bytesOf(piece) {
    if (typeof piece === 'string')
        return Buffer.from(piece);
    if (ArrayBuffer.isView(piece))
        return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    throw new TypeError('what is copied must be strings or Buffers');
}

function piecesOf(source) {
    if (typeof source === 'string' || ArrayBuffer.isView(source))
        return [source];
    if (typeof source?.[Symbol.asyncIterator] !== 'function' && typeof source?.[Symbol.iterator] !== 'function')
        throw new TypeError('source must be strings or Buffers, or an iterable of them');
    return source;
}

async function* chunksOf(source) {
    let parts = [];
    let size = 0;

    for await (const piece of piecesOf(source)) {
        const bytes = bytesOf(piece);

        parts.push(bytes);
        size += bytes.length;
        if (size >= CHUNK) {
            yield parts.length === 1 ? bytes : Buffer.concat(parts, size);
            parts = [];
            size = 0;
        }
    }
    if (size > 0)
        yield Buffer.concat(parts, size);
}

/* Resolves to the number of rows. When the source throws nothing of it stays. */
async function write(seat, sql, source, options) {
    const { watch } = seat;
    const unit = new Unit(seat.unit ?? watch.above, options);
    const submit = (name, args) => watch.submit(name, args, undefined, unit);

    try {
        const { handle } = seat;
        const copy = await submit('session_copy_async', (ctx) => [handle, ctx, statementOf(sql)]);

        try {
            for await (const chunk of chunksOf(source))
                await submit('copy_write_async', (ctx) => [copy.handle, ctx, chunk]);
            return await submit('copy_end_async', (ctx) => [copy.handle, ctx]);
        } finally {
            copy.release();
        }
    } finally {
        unit.end();
    }
}

/* `sit(unit)` resolves to the seat; `rise(seat)`: it is not needed any more. */
function read(watch, sit, sql, options, outer, rise = () => {}) {
    return new Source(watch, async (unit) => {
        const seat = await sit(unit);
        const submit = (name, args) => watch.submit(name, args, undefined, unit);

        try {
            const { handle } = seat;
            const copy = await submit('session_copy_async', (ctx) => [handle, ctx, statementOf(sql)]);

            return {
                async read() {
                    const data = await submit('copy_read_async', (ctx) => [copy.handle, ctx]);

                    if (data === undefined)
                        await submit('copy_end_async', (ctx) => [copy.handle, ctx]);
                    return data === undefined ? undefined : [data];
                },
                release() {
                    copy.release();
                    rise(seat);
                },
            };
        } catch (error) {
            rise(seat);
            throw error;
        }
    }, { ...options, parent: outer });
}

module.exports = { chunksOf, read, write };
