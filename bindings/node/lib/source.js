// SPDX-License-Identifier: MIT
'use strict';
/*
 * An async iterator over what the library yields page by page. Nothing is opened before the first item is asked for, and a page
 * is asked for when the one before it is used up, so whoever is slow holds no more than one. It is given back at its end, when
 * it is left early, aborted, or by the collector.
 */
const { makeError } = require('./errors.js');
const { Unit } = require('./unit.js');

const NONE = Object.freeze([]);
const lost = new FinalizationRegistry((reader) => reader.release());

function ignore() {}

class Source {
    #watch;
    #unit;
    #open;
    #quiet;
    #reader = null;
    #items = NONE;
    #at = 0;
    #moving = null;
    #over = false;
    #error = null;

    /*
     * `open(unit)` resolves to { read(), release() }; read() to an array of items, or to nothing at the end. `parent`: a unit.
     * `quiet`: an abort, or the client's end, is its end and no error.
     */
    constructor(watch, open, { parent = watch.above, quiet = false, ...options } = {}) {
        const self = new WeakRef(this);

        this.#watch = watch;
        this.#open = open;
        this.#quiet = quiet;
        this.#unit = new Unit(parent, options, () => self.deref()?.#aborted());
    }

    next() {
        if (this.#at < this.#items.length)
            return Promise.resolve({ value: this.#items[this.#at++], done: false });
        if (this.#moving !== null)
            return this.#moving.then(() => this.next());
        return this.#advance();
    }

    async return(value) {
        this.#finish();
        return { value, done: true };
    }

    async throw(error) {
        this.#finish();
        throw error;
    }

    [Symbol.asyncIterator]() {
        return this;
    }

    async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
        this.#finish();
    }

    async #advance() {
        const error = this.#error;

        this.#error = null;
        if (error !== null)
            throw error;
        if (this.#over)
            return { value: undefined, done: true };
        const page = this.#page();
        this.#moving = page.then(ignore, ignore);
        try {
            this.#items = await page ?? NONE;
        } catch (failure) {
            return this.#failed(failure);
        } finally {
            this.#moving = null;
        }
        this.#at = 0;
        if (this.#items.length === 0)
            this.#finish();
        return this.next();
    }

    async #page() {
        if (this.#reader === null) {
            const reader = await this.#open(this.#unit);

            if (this.#over) {
                reader.release();
                return NONE;
            }
            this.#reader = reader;
            lost.register(this, reader, this);
        }
        return this.#reader.read();
    }

    #failed(failure) {
        const over = this.#over;

        this.#finish();
        if (over || (this.#quiet && (failure.code === 'SP_CANCELLED' || failure.code === 'SP_CLOSED')))
            return { value: undefined, done: true };
        throw this.#watch.explain(failure, this.#unit.signal);
    }

    /* Between two pages: nothing else would tell. */
    #aborted() {
        if (this.#over || this.#moving !== null)
            return;
        this.#finish();
        if (!this.#quiet)
            this.#error = this.#watch.explain(makeError('SP_CANCELLED', 'the caller\'s context was cancelled'), this.#unit.signal);
    }

    #finish() {
        this.#items = NONE;
        if (this.#over)
            return;
        this.#over = true;
        this.#unit.cancel();
        this.#unit.end();
        this.#reader?.release();
        this.#reader = null;
        lost.unregister(this);
    }
}

module.exports = { Source };
