// SPDX-License-Identifier: MIT
'use strict';
/* A held session as a Session and a Transaction use it. */
const params = require('./params.js');
const given = require('./given.js');
const copy = require('./copy.js');
const { makeError } = require('./errors.js');
const { statementOf, valuesOf } = require('./statement.js');

const QUERY = ['signal', 'timeout', 'types'];
const COPY = ['signal', 'timeout'];

class Seat {
    #over = false;

    /* `unit` (may be undefined): what all of it belongs to. */
    constructor(client, watch, held, unit) {
        this.client = client;
        this.watch = watch;
        this.held = held;
        this.unit = unit;
    }

    /* Throws ClosedError where nothing can be run any more. */
    get handle() {
        if (this.#over || !this.held.here || this.client.closed)
            throw makeError('SP_CLOSED', 'the session was given back');
        return this.held.handle;
    }

    /* The same session under a unit of its own, for a while. */
    within(unit) {
        return new Seat(this.client, this.watch, this.held, unit);
    }

    run(name, args, options) {
        const { handle } = this;

        return this.watch.submit(name, (ctx) => [handle, ctx, ...args()], options, this.unit);
    }

    async query(sql, values, options) {
        given.options(options, QUERY);
        return await this.run('session_query_async', () => [statementOf(sql), params.load(valuesOf(sql, values))], options);
    }

    async batch(sql, sets, options) {
        given.options(options, QUERY);
        return await this.run('session_batch_async', () => [statementOf(sql), params.loadSets(sets)],
            { ...options, sets: true });
    }

    async copyFrom(sql, source, options) {
        return copy.write(this, sql, source, given.options(options, COPY));
    }

    copyTo(sql, options) {
        return copy.read(this.watch, async () => this, sql, given.options(options, COPY), this.unit);
    }

    /* Whoever still has it can do nothing with it any more. */
    end() {
        this.#over = true;
    }
}

module.exports = { Seat };
