// SPDX-License-Identifier: MIT
'use strict';
/* A connection of one's own, for transactions and session state. Give it back: release(), or use client.transaction(). */
const native = require('./native.js');
const params = require('./params.js');
const given = require('./given.js');
const { makeError } = require('./errors.js');
const { statementOf } = require('./statement.js');

const QUERY = ['signal', 'timeout', 'types'];

class Session {
    #client;
    #watch;
    #held;

    constructor(client, watch, held) {
        this.#client = client;
        this.#watch = watch;
        this.#held = held;
    }

    async query(sql, values, options) {
        if (this.#held === null || this.#client.closed)
            throw makeError('SP_CLOSED', 'the session was given back');
        given.options(options, QUERY);
        const { handle } = this.#held;
        return this.#watch.submit('session_query_async', (ctx) => [handle, ctx, statementOf(sql), params.load(values)],
            options);
    }

    /* An open transaction is rolled back and session state reset. A second time does nothing. */
    release() {
        if (this.#held !== null && !this.#client.closed) {
            native.session_release(this.#held.handle);
            this.#watch.forget(this.#held);
        }
        this.#held = null;
    }
}

module.exports = { Session };
