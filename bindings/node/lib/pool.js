// SPDX-License-Identifier: MIT
'use strict';
/* One pool of a client: statements, transactions, streams, COPY, messages, and how it fares. */
const native = require('./native.js');
const copy = require('./copy.js');
const given = require('./given.js');
const params = require('./params.js');
const { asked, call } = require('./errors.js');
const { Held } = require('./held.js');
const { newsOf } = require('./news.js');
const { Seat } = require('./seat.js');
const { Session } = require('./session.js');
const { Source } = require('./source.js');
const { Unit } = require('./unit.js');
const { statementOf, valuesOf } = require('./statement.js');
const { transact } = require('./transaction.js');

const QUERY = ['signal', 'timeout', 'types'];
const STREAM = ['signal', 'timeout', 'types', 'pageSize'];
const LIMITS = ['signal', 'timeout'];
const ENDS = ['signal'];

class Pool {
    #client;
    #watch;
    #handle;

    constructor(client, watch, handle) {
        if (!(handle instanceof native.pool))
            throw new TypeError('a Pool is made by client.pool()');
        this.#client = client;
        this.#watch = watch;
        this.#handle = handle;
    }

    /* Runs `name` of the addon on this pool. */
    #run(name, args, options, unit) {
        this.#client.check();
        return this.#watch.submit(name, (ctx) => [this.#handle, ctx, ...args()], options, unit);
    }

    /*
     * Runs one statement; resolves to the rows, an array of objects that also has `fields`, `affected` and `command`.
     * Options: signal (an AbortSignal), timeout (milliseconds or "250ms"), types.
     */
    query(sql, values, options) {
        try {
            this.#client.check();
            return this.#watch.query(this.#handle, statementOf(sql), valuesOf(sql, values), given.options(options, QUERY)).catch(asked);
        } catch (error) {
            return Promise.reject(error);
        }
    }

    /* The statement once for each set of parameters, in one round trip, all of them or none; the rows of each set. */
    async batch(sql, sets, options) {
        given.options(options, QUERY);
        return await this.#run('pool_batch_async', () => [statementOf(sql), params.loadSets(sets)], { ...options, sets: true });
    }

    /* The rows, however many there are, as an async iterator; `pageSize` of them are in memory at a time. */
    stream(sql, values, named) {
        const { types, pageSize = 0, ...limits } = given.options(named, STREAM);

        return this.#source(limits, async (unit) => {
            const held = await this.#run('pool_stream_async', () => [statementOf(sql), params.load(valuesOf(sql, values)), pageSize],
                undefined, unit);

            return {
                read: () => this.#watch.submit('stream_next_async', (ctx) => [held.handle, ctx], { types }, unit),
                release: () => held.release(),
            };
        });
    }

    #source(options, open) {
        this.#client.check();
        return new Source(this.#watch, open, options);
    }

    async #take(unit, options) {
        this.#client.check();
        return await this.#watch.acquire(this.#handle, options, unit);
    }

    /* A connection of one's own. */
    async acquire(options) {
        given.options(options, LIMITS);
        return new Session(this.#client, this.#watch, await this.#take(undefined, options));
    }

    /*
     * BEGIN, `work(tx)`, COMMIT; taken back when it throws. Where the server gave way to another transaction (serialization
     * failure, deadlock) all of it is made again, as pool.tx_attempts says: `work` must leave no traces elsewhere. Options:
     * isolation ("serializable", …), readOnly, deferrable, and signal and timeout, which hold for the whole.
     */
    async transaction(work, options) {
        this.#client.check();
        return transact(this.#client, this.#watch, this.#handle, work, options);
    }

    /* COPY … FROM STDIN on a session for it; resolves to the number of rows. */
    async copyFrom(sql, source, named) {
        const options = given.options(named, LIMITS);
        const unit = new Unit(this.#watch.above, options);

        try {
            const held = await this.#take(unit);

            try {
                return await copy.write(new Seat(this.#client, this.#watch, held, unit), sql, source, {});
            } finally {
                held.release();
            }
        } finally {
            unit.end();
        }
    }

    /* COPY … TO STDOUT: an async iterator of Buffers, each of whole rows. */
    copyTo(sql, options) {
        const sit = async (unit) => new Seat(this.#client, this.#watch, await this.#take(unit), unit);

        this.#client.check();
        return copy.read(this.#watch, sit, sql, given.options(options, LIMITS), undefined, (seat) => seat.held.release());
    }

    /*
     * What is sent to a channel by NOTIFY, from the first item on, as { channel, payload, pid }; in between the notice
     * { channel, notice: 'listening', lost }: first of all, and with `lost` where messages may have been missed. Ends with the
     * signal or the client.
     */
    listen(channel, options) {
        return this.#events(options, async (unit) => {
            this.#client.check();
            const listener = call('pool_listen', this.#handle, channel);
            const held = new Held(this.#watch, listener, call('watch_keep', this.#watch.native, listener));

            return {
                read: async () => [await this.#watch.submit('listener_next_async', (ctx) => [held.handle, ctx], undefined, unit)],
                release: () => held.release(),
            };
        });
    }

    /*
     * What somebody should hear of: { kind: 'waiting', … } when more callers wait than pool.warn_waiting, { kind: 'leak', … }
     * for a session that is held for longer than pool.leak_after. Who waits for one does not keep the process.
     */
    events(options) {
        return this.#news('pool_watch_async', 'event', options);
    }

    /*
     * Each time that the server refuses the password, or asks for one and there is none: { refusal, reason, missed }, to be
     * answered by setPassword(). From the first item on callers wait for that answer.
     */
    refusals(options) {
        return this.#news('pool_watch_password_async', 'refusal', options);
    }

    #events(options, open) {
        const { signal } = given.options(options, ENDS);

        return this.#source({ signal, parent: { ctx: this.#watch.listening }, quiet: true }, open);
    }

    #news(name, number, options) {
        const { signal } = given.options(options, ENDS);

        this.#client.check();
        return newsOf(this.#client, this.#watch, name, this.#handle, number, signal);
    }

    /* Of the connections that are made from now on; null: what is configured, again. */
    setPassword(password) {
        this.#client.check();
        call('pool_set_password', this.#handle, password);
    }

    /* Another pool.max from now on. */
    resize(max) {
        this.#client.check();
        call('pool_resize', this.#handle, max);
    }

    /* The database's health after a SELECT 1 within its own deadline: { status, database, poolMetrics }. */
    async health(options) {
        return await this.#run('pool_health_async', () => [], given.options(options, LIMITS));
    }

    /* How many connections it should have, from what was seen in the last minutes. */
    async advice(options) {
        return await this.#run('pool_advice_async', () => [], given.options(options, LIMITS));
    }

    /* Connections by state, and callers that wait: { active, idle, waiting, max }. */
    stats() {
        this.#client.check();
        const pool = this.#handle;

        return {
            active: native.pool_active(pool), idle: native.pool_idle(pool), waiting: native.pool_waiting(pool),
            max: native.pool_max(pool),
        };
    }
}

module.exports = { Pool };
