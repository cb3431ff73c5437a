// SPDX-License-Identifier: MIT
'use strict';
/* A client: pools, cache, breakers, profiler and metrics, wired by the library. */
const native = require('./native.js');
const { Breaker } = require('./breaker.js');
const { Cache } = require('./cache.js');
const { Counter, Gauge, Histogram } = require('./own.js');
const { Policy } = require('./policy.js');
const { Pool } = require('./pool.js');
const { Feed, Rules } = require('./rules.js');
const { Profiler } = require('./profiler.js');
const { Watch } = require('./watch.js');
const { call, makeError } = require('./errors.js');
const { configOf } = require('./config.js');
const given = require('./given.js');
const scope = require('./scope.js');

const CLIENT = ['env', 'types'];
const CLOSE = ['timeout'];
const LIMITS = ['signal', 'timeout'];

/* For faces of this package that are not the client's own. */
let watchOf;

/* A client that nobody closed and nobody can reach any more. */
const lost = new FinalizationRegistry((watch) => watch.abandon());

/*
 * Close it when its work is done: an open one keeps its connections and a thread. It does not keep the process; one that the
 * collector finds open is closed, with a warning.
 */
class Client {
    #handle;
    #watch;
    #metrics;
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
        this.#metrics = native.client_metrics(this.#handle);
        this.cache = new Cache(this, native.client_cache(this.#handle), this.#watch);
        this.profiler = new Profiler(this, this.#watch, native.client_profiler(this.#handle));
        lost.register(this, this.#watch, this.#watch);
    }

    static {
        watchOf = (client) => client.#watch;
    }

    get closed() {
        return this.#closing !== null;
    }

    /* Throws ClosedError once close() was called. */
    check() {
        if (this.#closing !== null)
            throw makeError('SP_CLOSED', 'the client is closed');
    }

    /* A configured pool, or the default one. */
    pool(name = 'default') {
        this.check();
        let pool = this.#pools.get(name);

        if (pool === undefined) {
            pool = new Pool(this, this.#watch, this.handleOf(name));
            this.#pools.set(name, pool);
        }
        return pool;
    }

    /* The library's handle of a pool. */
    handleOf(name = 'default') {
        this.check();
        const handle = call('client_pool', this.#handle, name === 'default' ? null : name);

        if (handle === null)
            throw makeError('SP_NOT_FOUND', name === 'default' ? 'no database is configured: set pool.url (DATABASE_URL)'
                : `no pool "${name}" is configured: set pool.${name}.url`);
        return handle;
    }

    /* What pool() has, on the default one or with the option `pool` on another. */
    query(sql, values, options) {
        try {
            const [pool, rest] = this.#chosen(options);
            return pool.query(sql, values, rest);
        } catch (error) {
            return Promise.reject(error);
        }
    }

    async batch(sql, sets, options) {
        const [pool, rest] = this.#chosen(options);
        return await pool.batch(sql, sets, rest);
    }

    stream(sql, values, options) {
        const [pool, rest] = this.#chosen(options);
        return pool.stream(sql, values, rest);
    }

    async acquire(options) {
        const [pool, rest] = this.#chosen(options);
        return await pool.acquire(rest);
    }

    async transaction(work, options) {
        const [pool, rest] = this.#chosen(options);
        return pool.transaction(work, rest);
    }

    async copyFrom(sql, source, options) {
        const [pool, rest] = this.#chosen(options);
        return pool.copyFrom(sql, source, rest);
    }

    copyTo(sql, options) {
        const [pool, rest] = this.#chosen(options);
        return pool.copyTo(sql, rest);
    }

    listen(channel, options) {
        const [pool, rest] = this.#chosen(options);
        return pool.listen(channel, rest);
    }

    /*
     * How all of it is, each part asked within a second: { status, database, poolMetrics, pools, redis, breakers, feeds }. status
     * 'unhealthy': a pool has no database, answer 503; 'degraded': Redis, a breaker or a feed is ill, answer 200.
     */
    async health(options) {
        const limits = given.options(options, LIMITS);

        this.check();
        return await this.#watch.submit('client_health_async', (ctx) => [this.#handle, ctx], limits);
    }

    poolStats(name) {
        return this.pool(name).stats();
    }

    #chosen(options) {
        if (options === undefined || options === null)
            return [this.pool(), undefined];
        if (typeof options !== 'object')
            throw new TypeError('options must be an object');
        const { pool, ...rest } = options;
        return [this.pool(pool), rest];
    }

    /*
     * `work()`, as one unit of work: what options say holds for all calls of this client inside it. Options: name (for the
     * profiler), signal and timeout (of the whole), tag (who calls), trace (a W3C traceparent), reads ('primary' or 'replica'; where replicas are, reads see
     * what the unit has written), cache ('read', 'refresh', 'bypass').
     */
    async scope(options, work) {
        this.check();
        given.function('work', work);
        return scope.run(this.#watch, given.options(options, scope.OPTIONS), work);
    }

    breaker(name) {
        this.check();
        return new Breaker(call('client_breaker_ref', this.#handle, name), this.#watch, this);
    }

    /* Over the cache, once its templates are declared; `source` stands for the text in messages. */
    rules(text, source) {
        this.check();
        return new Rules(this, this.#watch, native.client_cache(this.#handle), text, source);
    }

    /* The change feed, from where that pool connects. */
    feed(rules, pool = null) {
        this.check();
        return new Feed(this, this.#handle, rules, pool);
    }

    /* Deadline, retries, breaker, rate and concurrency as policy.<name>.… says. */
    policy(name) {
        this.check();
        return new Policy(this, this.#watch, call('client_policy_ref', this.#handle, name));
    }

    /*
     * A series of one's own on the page of metrics(), to be kept: counter('shop_orders', 'Orders taken.', { method: 'card' }).
     * The same name and labels are the same series.
     */
    counter(name, help, labels) {
        return new Counter(this, this.#metrics, name, help, labels);
    }

    gauge(name, help, labels) {
        return new Gauge(this, this.#metrics, name, help, labels);
    }

    /* Of durations: the name ends in "_seconds". */
    histogram(name, help, labels) {
        return new Histogram(this, this.#metrics, name, help, labels);
    }

    /* `format`: 'prometheus' or 'openmetrics'. */
    metrics(format = 'prometheus') {
        this.check();
        const number = native[`SP_METRICS_${format.toUpperCase()}`];
        if (number === undefined)
            throw makeError('SP_INVALID', `metrics(): unknown format ${format}`);
        return native.value_data(call('metrics_text', this.#metrics, number)).toString();
    }

    /*
     * No new work; what waits ends with ClosedError, what was sent runs to its end. With `timeout` (milliseconds), what
     * still runs after it is cancelled. Resolves when all is freed.
     */
    close(options) {
        const { timeout = -1 } = given.options(options, CLOSE);

        if (this.#closing === null) {
            this.#watch.flush();
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

module.exports = { Client, watchOf: (client) => watchOf(client) };
