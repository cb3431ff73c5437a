// SPDX-License-Identifier: MIT
'use strict';
/* COPY as the protocol has it, for streams that read and write messages themselves. */
const { statementOf } = require('../statement.js');

const DATA = 0x64, DONE = 0x63, OUT = 0x48;

/* A message: a letter, its length, and its body. */
function message(letter, body = Buffer.alloc(0)) {
    const head = Buffer.alloc(5);

    head[0] = letter;
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
}

/* Begins; { read(), write(bytes), end(), release() }. */
async function begin(line, text) {
    const statement = statementOf(text);
    const held = await line.submit('session_copy_async', () => [statement]);
    const submit = (name, ...more) => line.notices.before(line.watch.submit(name, (ctx) => [held.handle, ctx, ...more]));

    return {
        read: () => submit('copy_read_async'),
        write: (bytes) => submit('copy_write_async', bytes),
        end: () => submit('copy_end_async'),
        release: () => held.release(),
    };
}

/* The messages in what comes in pieces. */
class Messages {
    #bytes = Buffer.alloc(0);

    add(piece) {
        this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
    }

    /* { letter, body }; undefined: there is no whole one. */
    next() {
        if (this.#bytes.length < 5)
            return undefined;
        const end = this.#bytes.readUInt32BE(1) + 1;
        if (this.#bytes.length < end)
            return undefined;
        const found = { letter: this.#bytes[0], body: this.#bytes.subarray(5, end) };

        this.#bytes = this.#bytes.subarray(end);
        return found;
    }

    clear() {
        this.#bytes = Buffer.alloc(0);
    }
}

module.exports = { DATA, DONE, OUT, Messages, begin, message };
