// SPDX-License-Identifier: MIT
'use strict';
/* node-postgres's Client: a connection of one's own, or one that a pool lends. */
const { EventEmitter } = require('node:events');
const { makeError } = require('../errors.js');
const { baseOf, sit } = require('./base.js');
const { pgError } = require('./errors.js');
const { IDLE, Line } = require('./line.js');
const { Listener } = require('./listener.js');
const { Names } = require('./names.js');
const { Notices } = require('./notices.js');
const { Query } = require('./query.js');
const { placeOf } = require('./settings.js');
const { TypeOverrides } = require('./types.js');
const { escapeIdentifier, escapeLiteral } = require('./values.js');
const { Wire } = require('./wire.js');

const CONNECT = 'timeout expired';
const CLOSED = 'Client was closed and is not queryable';
const RELEASED = 'Client was released to its pool and is not queryable: connect() gives another one';
const BROKEN = 'Client has encountered a connection error and is not queryable';

/* As a promise, or to `callback(error, value)`. */
function told(promise, callback) {
    if (typeof callback !== 'function')
        return promise;
    promise.then((value) => process.nextTick(callback, null, value), (error) => process.nextTick(callback, error));
    return undefined;
}

class Client extends EventEmitter {
    #base = null;
    #config;
    #line = null;
    #asked = false;
    #lent = false;
    #ending = null;
    #told = false;
    #broken = false;
    #connecting = null;
    #early = [];
    #given = false; /* something of the program's, since it was told that all is done */
    #wire = null;
    #names = null;

    constructor(config) {
        super();
        this.#config = config;
        this._types = new TypeOverrides(config?.types);
        this.processID = null;
        this.secretKey = null;
        this._queryable = true;
    }

    /* For a pool: lends it a session, or null: it may take() one when it needs that. */
    static lend(client, base, held, take) {
        client.#base = base;
        client.#asked = client.#lent = true;
        client.#sit(held, take);
    }

    /* Whether a pool has lent it, and it needed no session yet. */
    static loose(client) {
        return client.#line?.loose === true;
    }

    /* Takes it back: nothing can be run on it any more. Where the program has ended it, resolves when it is at its end. */
    static take(client) {
        const line = client.#line;

        client.#line = null;
        client._queryable = false;
        return Promise.all([line?.release(), client.#ending]);
    }

    #sit(held, take) {
        const listener = new Listener(this.#base, (message) => this.emit('notification', message), () => this.#unheard(listener));

        this.#line = new Line(this.#base, held, take, { listener, notices: new Notices(this.#base.watch, this),
            idle: () => this.#drained(), lost: (error) => this.#broke(error) });
    }

    #drained() {
        const given = this.#given;

        this.#given = false;
        if (given)
            this.emit('drain');
    }

    /* Told behind the statement that found it. An 'error' that nobody listens for does not end the process. */
    #broke(error) {
        if (!this._queryable)
            return;
        this._queryable = false;
        this.#broken = true;
        setImmediate(() => {
            if (this.listenerCount('error') > 0)
                this.emit('error', pgError(error));
            this.#over();
        });
    }

    /* Messages were missed. Whoever looks after the connection is told as node-postgres tells it; for others it goes on. */
    #unheard(listener) {
        if (this.listenerCount('error') + this.listenerCount('end') === 0)
            return;
        listener.unlisten(null);
        this.#broke(makeError('SP_LOST', 'the connection that listens was lost: messages may have been missed'));
    }

    /* Once. */
    #over() {
        const over = this.#told;

        this.#told = true;
        if (!over)
            this.emit('end');
    }

    get #at() {
        return this.#base?.at ?? placeOf(this.#config);
    }

    get user() {
        return this.#at.user;
    }

    get database() {
        return this.#at.database;
    }

    get host() {
        return this.#at.host;
    }

    get port() {
        return this.#at.port;
    }

    get connectionParameters() {
        return { ...this.#at, password: undefined };
    }

    /* What submittables of other packages (pg-cursor, pg-query-stream, pg-copy-streams) speak to. */
    get connection() {
        this.#wire ??= new Wire(() => this.#line);
        return this.#wire;
    }

    connect(callback) {
        const connecting = this.#connect();

        this.#connecting ??= connecting;
        return told(connecting, callback);
    }

    async #connect() {
        if (this.#asked)
            throw new Error('Client has already been connected. You cannot reuse a client.');
        this.#asked = true;
        this.#base = baseOf(this.#config, 1);
        try {
            this.#sit(await sit(this.#base));
            this.processID = (await this.#line.query('SELECT pg_backend_pid() AS pid', undefined,
                { decode: new Query('').reader(this._types) })).rows[0].pid;
        } catch (error) {
            const told = pgError(error, CONNECT);

            this.#ending ??= Promise.resolve();
            await this.#leave();
            this.#begin(told);
            throw told;
        }
        this.#begin();
        this.emit('connect');
        return this;
    }

    /* What came early has its turn, or is told why there is none. */
    #begin(error) {
        for (const { go, reject } of this.#early.splice(0)) {
            if (error === undefined)
                go();
            else
                reject(error);
        }
    }

    /* `work(line)`; what comes before it is connected waits, in its order. */
    #turn(work) {
        if (this.#line !== null || !this._queryable || this.#ending !== null)
            return this.#give(this.#open(), work);
        return new Promise((resolve, reject) => {
            this.#early.push({ go: () => {
                try {
                    resolve(this.#give(this.#line, work));
                } catch (error) {
                    reject(error);
                }
            }, reject });
        });
    }

    #give(line, work) {
        const answer = work(line);

        this.#given = true;
        return answer;
    }

    query(config, values, callback) {
        if (config === null || config === undefined)
            throw new TypeError('Client was passed a null or undefined query');
        if (typeof config.submit === 'function' && !(config instanceof Query))
            return this.#submit(config);
        const query = config instanceof Query ? config : new Query(config, values, callback);

        if (config === query && typeof values === 'function')
            query.callback = values;
        if (query.callback && typeof query.callback !== 'function')
            throw new TypeError('callback is not a function');
        const answer = this.#run(query);

        if (config !== query && !query.callback)
            return answer;
        answer.then((results) => process.nextTick(() => query.handleResult(results)),
            (error) => process.nextTick(() => query.handleError(error)));
        return config === query ? query : undefined;
    }

    async #run(query) {
        try {
            const values = query.check();
            const limits = query.limits(this._types);

            return await this.#turn((line) => line.query(this.#textOf(query), values, limits));
        } catch (error) {
            const told = pgError(error);

            this.#names?.failed(query, told);
            throw told;
        }
    }

    #textOf(query) {
        this.#names ??= new Names(this.#base.names);
        return this.#names.textOf(query);
    }

    #open() {
        if (this.#broken)
            throw new Error(BROKEN);
        if (this.#line === null)
            throw new Error(this.#lent && this.#ending === null ? RELEASED : CLOSED);
        return this.#line;
    }

    /* Not ours, but written for node-postgres. */
    #submit(submittable) {
        const wire = this.connection;

        new Promise((resolve) => {
            resolve(this.#turn((line) => line.whole((sat) => wire.run(submittable, sat))));
        }).catch((error) => submittable.handleError(error, wire));
        return submittable;
    }

    setTypeParser(oid, format, parse) {
        return this._types.setTypeParser(oid, format, parse);
    }

    getTypeParser(oid, format) {
        return this._types.getTypeParser(oid, format);
    }

    escapeIdentifier(name) {
        return escapeIdentifier(name);
    }

    escapeLiteral(value) {
        return escapeLiteral(value);
    }

    /* 'I', 'T' in a transaction, 'E' in one that failed; null before it is connected. */
    getTransactionStatus() {
        return this.#line === null ? null : this.#line.status ?? IDLE;
    }

    /* A client does not keep the process but while it works. */
    ref() {}

    unref() {}

    end(callback) {
        this.#ending ??= this.#end();
        return told(this.#ending, callback);
    }

    async #end() {
        if (this.#base === null) {
            this.#begin(new Error(CLOSED));
            return;
        }
        await this.#connecting?.catch(() => {});
        await this.#leave();
        this.#over();
    }

    /* Behind what it was told before. One that a pool has lent gives its session back, and is still to be released. */
    async #leave() {
        const line = this.#line;

        this._queryable = false;
        this.#line = null;
        if (line !== null) {
            await line.drained();
            line.release();
        }
        if (!this.#lent)
            await this.#base.end();
    }
}

Client.Query = Query;

module.exports = { Client, told };
