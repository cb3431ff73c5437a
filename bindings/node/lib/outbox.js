// SPDX-License-Identifier: MIT
'use strict';
/*
 * What is submitted in one turn of the event loop goes in one crossing, when the turn is over: see send.c for how it lies there.
 * What is refused is told one by one.
 */
const native = require('./native.js');
const { Sheet, settled } = require('./sheet.js');

const QUERY = 1, LOOKUP = 2, HEAD = 32;
/* Bytes after which nothing is put off any more. */
const FULL = 48 * 1024;
/* Statements that are known by number. */
const KNOWN = 4096;

class Outbox {
    #watch;
    #refused;
    #sheet = new Sheet(64 * 1024);
    #numbers = new Map();
    #end = 0;
    #flush = () => this.flush();

    /* `watch`: the addon's; `refused(tag, status)` */
    constructor(watch, refused) {
        this.#watch = watch;
        this.#refused = refused;
    }

    /* Not yet sent. */
    get full() {
        return this.#end > 0;
    }

    /* Throws where the values cannot be sent; then nothing was added. */
    query(tag, pool, statement, given) {
        const values = settled(given);

        if (this.#numbers.size > KNOWN)
            this.#forget();
        const target = this.#number('watch_learn_pool', pool);
        const number = this.#number('watch_learn_stmt', statement);
        const start = this.#end;

        this.#add(QUERY, tag, target, number, start, this.#sheet.params(start + HEAD, values));
    }

    lookup(tag, cache, key) {
        if (typeof key !== 'string' && !ArrayBuffer.isView(key))
            throw new TypeError('key must be a string or a Buffer');
        const target = this.#number('watch_learn_cache', cache);
        const start = this.#end;

        this.#add(LOOKUP, tag, target, 0, start, this.#sheet.bytes(start + HEAD, key));
    }

    #add(kind, tag, target, statement, start, end) {
        const next = (end + 7) & ~7;
        const sheet = this.#sheet;

        sheet.room(next);
        sheet.u32(start, next - start);
        sheet.u32(start + 4, kind);
        sheet.f64(start + 8, tag);
        sheet.u32(start + 16, target);
        sheet.u32(start + 20, statement);
        sheet.u32(start + 24, end - start - HEAD);
        sheet.u32(start + 28, 0);
        this.#end = next;
        if (start === 0)
            process.nextTick(this.#flush);
        if (next >= FULL)
            this.flush();
    }

    #number(learn, handle) {
        let number = this.#numbers.get(handle);

        if (number === undefined) {
            number = native[learn](this.#watch, handle);
            this.#numbers.set(handle, number);
        }
        return number;
    }

    /* All numbers: what lies here has some. */
    #forget() {
        this.flush();
        native.watch_unlearn(this.#watch);
        this.#numbers.clear();
    }

    /* Also from elsewhere: what was submitted before goes first. */
    flush() {
        const end = this.#end;
        const bytes = this.#sheet.buffer;

        this.#end = 0;
        for (let at = 0; at < end;) {
            at += native.watch_send(this.#watch, bytes.subarray(at, end));
            this.#refused();
        }
    }
}

module.exports = { Outbox };
