// SPDX-License-Identifier: MIT
'use strict';
/*
 * node-postgres's Pool. pool.query() goes over connections that many callers share, where the text needs no session; so does what a
 * client that is taken only reads, before anything that needs one. From then on it has a connection of its own until it is released,
 * which leaves no state behind for the next one.
 */
const { EventEmitter } = require('node:events');
const native = require('../native.js');
const { baseOf, share, sit } = require('./base.js');
const { Client, told } = require('./client.js');
const { pgError } = require('./errors.js');
const { Query } = require('./query.js');
const { Room } = require('./room.js');
const { copyOf, maxOf, numberOf } = require('./settings.js');
const { runOf } = require('./text.js');
const { TypeOverrides } = require('./types.js');

const NOTHING = 'Client was passed a null or undefined query';
const LATE = 'timeout exceeded when trying to connect';
const UNHELD = 'pool.query() cannot keep an advisory lock: take it on a client of pool.connect(), or use pg_advisory_xact_lock() in a transaction';

function hide(object, name) {
    if (object?.[name] !== undefined)
        Object.defineProperty(object, name, { value: object[name], enumerable: false, configurable: true, writable: true });
}

class Pool extends EventEmitter {
    #base = null;
    #config;
    #types;
    #out = new Set();
    #back = [];
    #room;
    #work = 0;
    #idle = () => {};

    constructor(options) {
        super();
        this.#config = copyOf(options);
        this.options = copyOf(options);
        hide(this.options, 'password');
        this.options.max = maxOf(this.options);
        this.options.min ??= 0;
        this.options.maxUses ??= Infinity;
        this.options.idleTimeoutMillis ??= 10000;
        this.Client = this.options.Client ?? Client;
        this.#types = new TypeOverrides(options?.types);
        this.#room = new Room(options?.sugarperf ? Infinity : this.options.max);
        this.ending = false;
        this.ended = false;
    }

    get #made() {
        this.#base ??= baseOf(this.#config, this.options.max);
        return this.#base;
    }

    /* The library's client underneath: profiler, metrics, breakers. */
    get sugarperf() {
        return this.#made.client;
    }

    /* A client that has no connection so far counts as if it had one. */
    get totalCount() {
        return this.#count('pool_active') + Math.max(this.#count('pool_idle'), this.#loose);
    }

    get idleCount() {
        return Math.max(0, this.#count('pool_idle') - this.#loose);
    }

    get #loose() {
        return this.#none ? 0 : [...this.#out].filter(Client.loose).length;
    }

    get waitingCount() {
        return this.#count('pool_waiting') + this.#room.waiting;
    }

    get expiredCount() {
        return 0;
    }

    /* Whether there is no connection, nor can be. */
    get #none() {
        return this.#base === null || this.ended || this.#base.client.closed;
    }

    #count(name) {
        return this.#none ? 0 : native[name](this.#base.handle);
    }

    connect(callback) {
        const promise = this.#connect();

        if (typeof callback !== 'function')
            return promise;
        promise.then((client) => process.nextTick(callback, undefined, client, client.release),
            (error) => process.nextTick(callback, error, undefined, () => {}));
        return undefined;
    }

    /* `needs`: a session at once. */
    async #connect(needs = false) {
        this.#check();
        this.#work++;
        try {
            const client = new this.Client(this.#config);
            const held = await this.#enter(needs);

            Client.lend(client, this.#made, held, (timeout) => sit(this.#made, timeout));
            this.#out.add(client);
            client.release = (error) => this.#release(client, error);
            await this.#welcome(client);
            return client;
        } catch (error) {
            throw pgError(error, LATE);
        } finally {
            this.#left();
        }
    }

    /* That the server is there shows by its connections; without one, who connects is to be told. */
    get #stands() {
        const { handle, watch } = this.#made;

        watch.check();
        return native.pool_idle(handle) > 0 || native.pool_active(handle) > 0;
    }

    /* A place, and a session, or null: none is needed yet. */
    async #enter(needs) {
        if (!this.#room.enter())
            await this.#room.wait(numberOf(this.#made.options, 'connectionTimeoutMillis'));
        try {
            return needs || this.options.exclusive || this.#greets || !this.#made.roams || !this.#stands ? await sit(this.#made) : null;
        } catch (error) {
            this.#room.leave();
            throw error;
        }
    }

    /* Each client that is taken is a new one: what a program does to new connections it does to it. */
    async #welcome(client) {
        try {
            this.#remove(1);
            this.emit('connect', client);
            await this.options.onConnect?.(client);
            if (this.options.verify)
                await new Promise((resolve, reject) => this.options.verify(client, (error) => (error ? reject(error) : resolve())));
        } catch (error) {
            client.release(error);
            throw error;
        }
        this.emit('acquire', client);
    }

    #check() {
        if (this.ending)
            throw new Error('Cannot use a pool after calling end on the pool');
    }

    #release(client, error) {
        if (!this.#out.delete(client))
            throw new Error('Release called on client which has already been released to the pool.');
        const stays = client._queryable;

        this.#work++;
        Client.take(client).finally(() => this.#left());
        this.#room.leave();
        this.emit('release', error, client);
        if (error || !stays)
            this.emit('remove', client);
        else
            this.#back.push(client);
    }

    /* For each 'connect' there is a 'remove': one that came back is gone when another takes its place, or at the end. */
    #remove(count) {
        for (const client of this.#back.splice(0, count))
            this.emit('remove', client);
    }

    #left(count = 1) {
        this.#work -= count;
        if (this.#work === 0 && this.#out.size === 0)
            this.#idle();
    }

    /* Whether something is to be done with each client before it is used. */
    get #greets() {
        return this.listenerCount('connect') > 0 || this.options.onConnect !== undefined || this.options.verify !== undefined;
    }

    query(config, values, callback) {
        if (typeof config === 'function') {
            const error = new Error('Passing a function as the first parameter to pool.query is not supported');
            return told(Promise.reject(error), config);
        }
        const query = new Query(config, values, callback);
        const answer = config === null || config === undefined ? Promise.reject(new TypeError(NOTHING)) : this.#query(query);

        return told(answer, query.callback);
    }

    async #query(query) {
        this.#check();
        this.#work++;
        try {
            const sent = query.check();
            query.text = this.#made.names.textOf(query);
            const run = runOf(query.text);

            if (run.locks)
                throw new Error(UNHELD);
            return run.shared && !this.#greets ? await this.#shared(run, sent, query) : await this.#alone(query);
        } catch (error) {
            const told = pgError(error);

            this.#base?.names.failed(query, told);
            throw told;
        } finally {
            this.#left();
        }
    }

    async #shared(run, sent, query) {
        try {
            return await share(this.#made, run, sent, query.limits(this.#types));
        } catch (error) {
            if (error.code !== 'SP_SESSION')
                throw error;
            run.shared = false;
            return this.#alone(query);
        }
    }

    async #alone({ text, values, types, _rowMode: rowMode, timeout, queryMode }) {
        const client = await this.#connect(true);

        try {
            return await client.query({ text, values, types, rowMode, queryMode, query_timeout: timeout });
        } finally {
            if (this.#out.has(client))
                client.release();
        }
    }

    /* Resolves when all clients have been released and all is closed. */
    end(callback) {
        return told(this.#end(), callback);
    }

    async #end() {
        if (this.ending)
            throw new Error('Called end on pool more than once');
        this.ending = true;
        if (this.#work > 0 || this.#out.size > 0)
            await new Promise((resolve) => {
                this.#idle = resolve;
            });
        await this.#base?.end();
        this.#remove(Infinity);
        this.ended = true;
    }

    async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
        await this.end();
    }
}

module.exports = { Pool };
