// SPDX-License-Identifier: MIT
'use strict';
/*
 * A password that a function gives. It is asked before the first connection, and again where one that had worked is refused. What it
 * throws, and that what it gave is refused, is told to whoever waits, unless a connection stands that may serve them; the next caller
 * asks anew.
 */
const { setMaxListeners } = require('node:events');
const native = require('../native.js');
const { makeError } = require('../errors.js');
const { DatabaseError } = require('./errors.js');

/* While connections stand there is no hurry: between two asks, milliseconds, twice as many each time. */
const PAUSE = 1000, LONGEST = 60000;
/* A connection that was on its way may still have had the old password. */
const LATE = 2;

/* `asked`, but no longer than `ms`; 0: without end. */
function within(ms, asked) {
    if (!ms)
        return asked;
    return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(makeError('SP_TIMEOUT', `no password within ${ms} ms`, 'acquire')), ms);

        asked.then(resolve, reject).finally(() => clearTimeout(late));
    });
}

function refused(user) {
    const error = new DatabaseError(`password authentication failed for user "${user}"`);

    error.severity = 'FATAL';
    error.code = '28P01';
    return error;
}

class Secret {
    #pool;
    #handle;
    #at;
    #wait;
    #asking = null;
    #known = false;
    #worked = false;
    #late = 0;
    #pause = PAUSE;
    #asked = -Infinity;
    #gate;

    /* `at.password`: the function; `wait`: as long as a caller waits for it, milliseconds. */
    constructor(pool, handle, at, wait) {
        this.#pool = pool;
        this.#handle = handle;
        this.#at = at;
        this.#wait = wait;
        this.#close();
        this.#follow().catch(() => {});
    }

    /* Who waits behind it is let go by open(). */
    #close() {
        this.#gate = new AbortController();
        setMaxListeners(0, this.#gate.signal);
    }

    #open(error) {
        const gate = this.#gate;

        if (this.stands)
            return;
        this.#close();
        gate.abort(error);
    }

    get stands() {
        return native.pool_active(this.#handle) + native.pool_idle(this.#handle) > 0;
    }

    /* Runs `work(signal)`, which may need a connection. */
    async use(work) {
        if (!this.#known && this.#due)
            await within(this.#wait, this.#ask(0));
        const { signal } = this.#gate;

        try {
            const answer = await work(signal);

            this.#worked = true;
            return answer;
        } catch (error) {
            throw signal.aborted && error.code === 'SP_CANCELLED' ? signal.reason : error;
        }
    }

    get #due() {
        return !this.stands || performance.now() >= this.#asked + this.#pause;
    }

    #ask(late) {
        this.#asking ??= this.#give(late).finally(() => {
            this.#asking = null;
        });
        return this.#asking;
    }

    async #give(late) {
        const now = performance.now();

        this.#pause = now - this.#asked > LONGEST ? PAUSE : Math.min(2 * this.#pause, LONGEST);
        this.#asked = now;
        this.#known = this.#worked = false;
        const password = await this.#at.password(this.#at);

        if (password !== undefined && password !== null && typeof password !== 'string')
            throw new TypeError('Password must be a string');
        this.#pool.setPassword(password || null);
        this.#known = true;
        this.#late = late;
    }

    async #follow() {
        for await (const { refusal } of this.#pool.refusals()) {
            if (refusal && this.#asking === null)
                await this.#refused();
        }
    }

    async #refused() {
        if (this.#worked && this.#due) {
            await this.#ask(LATE).catch((error) => this.#open(error));
            return;
        }
        if (this.#late-- > 0)
            return;
        this.#known = false;
        this.#open(refused(this.#at.user));
    }
}

module.exports = { Secret };
