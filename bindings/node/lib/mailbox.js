// SPDX-License-Identifier: MIT
'use strict';
/* What comes from time to time in a test, as an async iterator: its owner puts it there and ends it, or a signal does. */
const given = require('./given.js');
const { onAbort } = require('./signal.js');

class Mailbox {
    #items = [];
    #waiting = [];

    constructor(signal) {
        given.signal(signal);
        this.over = false;
        if (signal)
            onAbort(signal, () => this.end());
    }

    put(value) {
        const waiting = this.#waiting.shift();

        if (waiting !== undefined)
            waiting({ value, done: false });
        else if (!this.over)
            this.#items.push(value);
    }

    end() {
        this.over = true;
        this.#items = [];
        for (const waiting of this.#waiting.splice(0))
            waiting({ value: undefined, done: true });
    }

    async next() {
        if (this.#items.length > 0)
            return { value: this.#items.shift(), done: false };
        return this.over ? { value: undefined, done: true } : new Promise((resolve) => this.#waiting.push(resolve));
    }

    async return(value) {
        this.end();
        return { value, done: true };
    }

    [Symbol.asyncIterator]() {
        return this;
    }
}

module.exports = { Mailbox };
