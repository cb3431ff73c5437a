// SPDX-License-Identifier: MIT
'use strict';
/*
 * Rows a few at a time, on a client's own session: a cursor of SQL's where the statement only reads, in a transaction of its own
 * where none is open; else all of them at once, handed out in parts.
 */
const { identity } = require('../rows.js');
const { IDLE, FAILED } = require('./line.js');
const { decode } = require('./result.js');
const { onlyReads } = require('./text.js');

const NAME = 'sp_pg_cursor';
const DECLARE = `DECLARE ${NAME} NO SCROLL CURSOR FOR `;
const plain = { getTypeParser: () => identity };
const RAW = { decode: (bytes, offset) => decode(bytes, offset, plain, 'array') };

class Portal {
    #line;
    #text;
    #values;
    #own = false;
    #open = false;
    #rest = null;
    #command = 'SELECT';

    constructor(line, text, values) {
        this.#line = line;
        this.#text = text;
        this.#values = values ?? undefined;
    }

    /* How many characters of what was sent stood before the caller's text. */
    get shift() {
        return this.#rest === null ? DECLARE.length : 0;
    }

    /* Resolves to the fields. */
    async open() {
        if (!onlyReads(this.#text))
            return this.#all();
        this.#own = this.#line.status === IDLE;
        if (this.#own)
            await this.#line.now('BEGIN');
        await this.#line.now(DECLARE + this.#text.replace(/[\s;]+$/, ''), this.#values, RAW);
        this.#open = true;
        return (await this.#line.now(`FETCH 0 FROM ${NAME}`, undefined, RAW)).fields;
    }

    async #all() {
        this.#rest = [];
        const result = [await this.#line.now(this.#text, this.#values, RAW)].flat().at(-1);

        this.#rest = result.rows;
        this.#command = result.command;
        return result.fields;
    }

    /* At most `count` rows (0: all) of text and null, and whether they are the last. */
    async fetch(count) {
        const rows = await this.#some(count);

        return { rows, over: !count || rows.length < count, command: `${this.#command} ${rows.length}` };
    }

    async #some(count) {
        if (this.#rest !== null)
            return count ? this.#rest.splice(0, count) : this.#rest.splice(0);
        return (await this.#line.now(`FETCH ${count || 'ALL'} FROM ${NAME}`, undefined, RAW)).rows;
    }

    async close() {
        const own = this.#own;
        const open = this.#open;

        this.#own = this.#open = false;
        if (own)
            await this.#line.now(this.#line.status === FAILED ? 'ROLLBACK' : 'COMMIT');
        else if (open && this.#line.status !== FAILED)
            await this.#line.now(`CLOSE ${NAME}`);
    }
}

module.exports = { Portal };
