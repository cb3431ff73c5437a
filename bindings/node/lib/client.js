// SPDX-License-Identifier: MIT
'use strict';
/* A client: pools, cache, breakers, profiler and metrics, wired by the library. */
const native = require('./native.js');
const params = require('./params.js');
const { Breaker } = require('./breaker.js');
const { Cache } = require('./cache.js');
const { Policy } = require('./policy.js');
const { Profiler } = require('./profiler.js');
const { Session } = require('./session.js');
const { Watch } = require('./watch.js');
const { call, makeError } = require('./errors.js');
const { configOf } = require('./config.js');
const given = require('./given.js');
const { statementOf } = require('./statement.js');

const CLIENT = ['env', 'types'];
const QUERY = ['signal', 'timeout', 'types', 'pool'];
const POOL = ['signal', 'timeout', 'pool'];
const CLOSE = ['timeout'];

/* A client that nobody closed and nobody can reach any more. */
const lost = new FinalizationRegistry((watch) => watch.abandon());

/*
 * Close it when its work is done: an open one keeps its connections and a thread. It does not keep the process; one that the
 * collector finds open is closed, with a warning.
 */
class Client {
    #handle;
    #watch;
    #pools = new Map();
    #closing = null;

    /*
     * `settings` are the library's configuration names: { 'pool.url': …, 'redis.url': …, 'pool.max': 20 }. Options:
     * env (also read DATABASE_URL, REDIS_URL and SUGARPERF_… ), types ({ [oid]: text => value }).
     */
    constructor(settings = {}, options = {}) {
        const { env = false, types } = given.options(options, CLIENT);

        this.#handle = call('client_new', configOf(settings, env));
        this.#watch = new Watch(this.#handle, types);
        this.cache = new Cache(this, native.client_cache(this.#handle), this.#watch);
        this.profiler = new Profiler(this, native.client_profiler(this.#handle));
        lost.register(this, this.#watch, this.#watch);
    }

    get closed() {
        return this.#closing !== null;
    }

    /* Throws ClosedError once close() was called. */
    check() {
        if (this.#closing !== null)
            throw makeError('SP_CLOSED', 'the client is closed');
    }

    /* The library's handle of a pool, "default" or a configured name. */
    pool(name = 'default') {
        this.check();
        let pool = this.#pools.get(name);

        if (pool === undefined) {
            pool = call('client_pool', this.#handle, name === 'default' ? null : name);
            if (pool === null)
                throw makeError('SP_NOT_FOUND', name === 'default' ? 'no database is configured: set pool.url (DATABASE_URL)'
                    : `no pool "${name}" is configured: set pool.${name}.url`);
            this.#pools.set(name, pool);
        }
        return pool;
    }

    /*
     * Runs one statement; resolves to the rows, an array of objects that also has `fields`, `affected` and `command`.
     * Options: signal (an AbortSignal), timeout (milliseconds or "250ms"), types, pool.
     */
    async query(sql, values, options) {
        const pool = this.pool(given.options(options, QUERY).pool);

        return this.#watch.submit('pool_query_async', (ctx) => [pool, ctx, statementOf(sql), params.load(values)],
            options);
    }

    /* A connection of one's own. */
    async acquire(options) {
        const pool = this.pool(given.options(options, POOL).pool);
        const held = await this.#watch.submit('pool_acquire_async', (ctx) => [pool, ctx], options);

        return new Session(this, this.#watch, held);
    }

    /* BEGIN, `work(session)`, COMMIT; ROLLBACK when it throws. */
    async transaction(work, options) {
        const session = await this.acquire(options);
        const limits = { signal: options?.signal, timeout: options?.timeout };

        try {
            await session.query('BEGIN', [], limits);
            const value = await work(session);
            await session.query('COMMIT', [], limits);
            return value;
        } finally {
            session.release();
        }
    }

    breaker(name) {
        this.check();
        return new Breaker(call('client_breaker_ref', this.#handle, name), this.#watch, this);
    }

    /* Deadline, retries, breaker, rate and concurrency as policy.<name>.… says. */
    policy(name) {
        this.check();
        return new Policy(this, this.#watch, call('client_policy_ref', this.#handle, name));
    }

    /* `format`: 'prometheus' or 'openmetrics'. */
    metrics(format = 'prometheus') {
        this.check();
        const number = native[`SP_METRICS_${format.toUpperCase()}`];
        if (number === undefined)
            throw makeError('SP_INVALID', `metrics(): unknown format ${format}`);
        return native.value_data(call('metrics_text', native.client_metrics(this.#handle), number)).toString();
    }

    /* The database's health after a SELECT 1 within its own deadline: { status, database, poolMetrics }. */
    async health(options) {
        const pool = this.pool(given.options(options, POOL).pool);

        return this.#watch.submit('pool_health_async', (ctx) => [pool, ctx], options);
    }

    /* Connections by state, and callers that wait: { active, idle, waiting, max }. */
    poolStats(name) {
        const pool = this.pool(name);

        return {
            active: native.pool_active(pool), idle: native.pool_idle(pool), waiting: native.pool_waiting(pool),
            max: native.pool_max(pool),
        };
    }

    /*
     * No new work; what waits ends with ClosedError, what was sent runs to its end. With `timeout` (milliseconds), what
     * still runs after it is cancelled. Resolves when all is freed.
     */
    close(options) {
        const { timeout = -1 } = given.options(options, CLOSE);

        if (this.#closing === null) {
            native.ctx_cancel(this.#watch.listening);
            native.client_close(this.#handle);
            lost.unregister(this.#watch);
            this.#closing = this.#watch.end(timeout);
        }
        return this.#closing;
    }

    async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
        await this.close();
    }
}

module.exports = { Client };
