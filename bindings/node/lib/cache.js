// SPDX-License-Identifier: MIT
'use strict';
/* Cache-aside over leases: the loader is yours, in JavaScript; who loads and who waits is the library's decision. */
const native = require('./native.js');
const codec = require('./codec.js');
const params = require('./params.js');
const { SugarperfError } = require('./errors.js').classes;
const { call, makeError } = require('./errors.js');
const given = require('./given.js');
const { Limit } = require('./limit.js');
const { Many, keysOf, valueOf } = require('./many.js');
const { Near } = require('./near.js');
const { Template } = require('./key.js');
const { asksCache } = require('./scope.js');
const { statementOf, valuesOf } = require('./statement.js');

const GET = ['ttl', 'tags', 'signal', 'timeout'];
const QUERY = ['as', 'signal', 'timeout', 'types', 'pool'];
const SET = ['ttl', 'signal', 'timeout'];
const INVALIDATE = ['signal', 'timeout'];
const TARGETS = ['keys', 'tags', 'patterns'];
const LEASE = native.SP_LOOKUP_LEASE;
const MODES = { rows: native.SP_QUERY_RESULT, cell: native.SP_QUERY_CELL };

/* A string is iterable too, letter by letter: nobody means that. */
function several(name, list) {
    if (typeof list === 'string' || typeof list?.[Symbol.iterator] !== 'function')
        throw new TypeError(`${name} must be an array`);
    return list;
}

function targetsOf(named) {
    const { keys = [], tags = [], patterns = [] } = given.options(named, TARGETS, 'target');
    const targets = native.targets_new();

    for (const key of several('keys', keys))
        call('targets_key', targets, key);
    for (const tag of several('tags', tags))
        call('targets_tag', targets, tag);
    for (const item of several('patterns', patterns)) {
        const [pattern, values] = typeof item === 'string' ? [item, []] : [item.pattern, item.params];
        call('targets_pattern', targets, pattern, params.load(values));
    }
    return targets;
}

/* What the loader's caller said of its value: a list, or a function that makes one. */
function tagsOf(tags, ...loaded) {
    return several('tags', (typeof tags === 'function' ? tags(...loaded) : tags) ?? []);
}

function checkTtl({ ttl = 0 }) {
    if (!Number.isSafeInteger(Math.round(ttl)) || ttl < 0)
        throw new TypeError('ttl must be a number of milliseconds');
    return ttl;
}

function checkLoad(loader, { ttl, tags = [] }) {
    if (typeof loader !== 'function')
        throw new TypeError('loader must be a function');
    checkTtl({ ttl });
    if (typeof tags !== 'function')
        several('tags', tags);
}

/* For other faces of this package. */
let handleOf;

class Cache {
    #client;
    #handle;
    #watch;
    #near;

    constructor(client, handle, watch) {
        this.#client = client;
        this.#handle = handle;
        this.#watch = watch;
        this.#near = new Near(watch, handle);
    }

    /*
     * Declares a key template, its TTLs and the patterns under which its keys can be invalidated; or a Template that is there. What
     * is in process is looked up anew: declare before there is anything.
     */
    template(text, options) {
        const template = text instanceof Template ? text : new Template(text, options);

        this.#client.check();
        call('cache_declare', this.#handle, template.native);
        return template;
    }

    /* The in-process level alone: the value (null: known to be absent), or undefined. */
    peek(key) {
        this.#client.check();
        return this.#near.get(key);
    }

    /* peek(), where the scope around the call has nothing against it. */
    #glance(key) {
        this.#client.check();
        return asksCache(this.#watch) ? undefined : this.#near.get(key);
    }

    /*
     * The value of `key`; where there is none, one caller's `loader({ signal })` makes it while all others wait.
     * Options: ttl (milliseconds; else the template's), tags (an array, or a function of the value), signal and timeout,
     * which end the whole call: then the loader's own signal is aborted and the next caller loads.
     */
    get(key, loader, named) {
        try {
            const options = given.options(named, GET);
            const known = this.#glance(key);

            if (known !== undefined)
                return Promise.resolve(known);
            checkLoad(loader, options);
            return this.#seek(key, loader, options);
        } catch (error) {
            return Promise.reject(error);
        }
    }

    #limits({ signal, timeout }) {
        return { signal, ctx: this.#watch.context(timeout) };
    }

    #seek(key, loader, options, limits = this.#limits(options)) {
        const plain = !this.#watch.scoped && !limits.signal && limits.ctx === undefined;
        const found = plain ? this.#watch.find(this.#handle, key)
            : this.#watch.submit('cache_lookup_async', (ctx) => [this.#handle, ctx, key], limits);

        return found.then(({ state, lease, value, unreadable }) => {
            if (unreadable !== undefined)
                return this.#anew(unreadable, lease, key, loader, options, limits);
            if (state === LEASE)
                return this.#load(lease, loader, options, limits);
            /* Behind the caller's back, so not within its time. */
            if (lease !== null)
                this.#load(lease, loader, options, {}).catch(() => {});
            return value;
        });
    }

    /* What is there cannot be read (another program wrote it): it gives way, once, to what the loader makes. */
    async #anew(unreadable, lease, key, loader, options, limits) {
        lease?.release();
        if (options.second)
            throw unreadable;
        await this.delete(key);
        return this.#seek(key, loader, { ...options, second: true }, limits);
    }

    /* `work({ signal })`, within the limits. */
    #within(limits, work) {
        const limit = new Limit(limits.ctx ? native.ctx_remaining(limits.ctx) : -1, limits.signal);

        return limit.race(() => work({ signal: limit.signal }));
    }

    async #load(lease, loader, options, limits) {
        let data, kind;

        try {
            [kind, data] = codec.encode(await this.#within(limits, loader));
            this.#client.check();
            this.#tag(lease, options.tags, kind, data);
        } catch (error) {
            this.#release(lease);
            throw error;
        }
        await this.#fill(lease, kind, data, options.ttl ?? 0, limits);
        return codec.roundTrip(kind, data);
    }

    #tag(lease, tags, kind, data) {
        for (const tag of tagsOf(tags, codec.roundTrip(kind, data)))
            call('lease_tag', lease.handle, tag);
    }

    /*
     * The values of `keys`, a Map in their order. `loader(missing, { signal })` is called once for those that nobody has, and answers
     * a Map or an object by key; what that leaves out is "there is nothing", null. A key that another caller is loading is waited
     * for, and asked for by itself where he does not. Options as those of get(); tags: an array, or a function of value and key.
     */
    async getMany(keys, loader, named) {
        const options = given.options(named, GET), wanted = keysOf(several('keys', keys)), found = new Map();

        checkLoad(loader, options);
        this.#client.check();
        const limits = this.#limits(options), missing = this.#known(wanted, found);
        if (missing.length > 0)
            await this.#seekMany(new Many(this.#watch, missing, found), loader, options, limits);
        for (const key of wanted) {
            if (!found.has(key))
                found.set(key, await this.#one(key, loader, options, limits));
        }
        return new Map(wanted.map((key) => [key, found.get(key)]));
    }

    /* Those of the keys that are not found in process. */
    #known(wanted, found) {
        return wanted.filter((key) => {
            const value = this.#glance(key);

            if (value !== undefined)
                found.set(key, value);
            return value === undefined;
        });
    }

    async #seekMany(many, loader, options, limits) {
        const missing = await many.lookUp(this.#handle, limits);

        if (missing.length === 0)
            return;
        try {
            const loaded = await this.#within(limits, (context) => loader(missing, context));

            this.#client.check();
            many.put(loaded, options.ttl ?? 0, (value, key) => tagsOf(options.tags, value, key));
            await many.fill(limits);
        } catch (error) {
            if (limits.signal?.aborted || !many.giveUp())
                throw error;
        } finally {
            many.release();
        }
    }

    /* Another caller was to load it. */
    #one(key, loader, options, limits) {
        const own = { ...options, tags: (value) => tagsOf(options.tags, value, key) };

        return this.#seek(key, async (context) => valueOf(await loader([key], context), key), own, limits);
    }

    /* The value is right for its caller also when it could not be stored (the key was invalidated meanwhile, …). */
    async #fill(lease, kind, data, ttl, limits) {
        const filled = this.#watch.submit('lease_fill_async', (ctx) => [lease.handle, ctx, data, kind, ttl], limits);

        lease.forget();
        try {
            await filled;
        } catch (error) {
            if (!(error instanceof SugarperfError))
                throw error;
        }
    }

    #release(lease) {
        lease.release();
    }

    /*
     * Stores a value that nobody loads: what is under the key now, in every process, is invalidated. Of two that are set at once
     * one remains. For values whose home is the database: invalidate(), and let the next reader load.
     */
    async set(key, value, named) {
        const options = given.options(named, SET), ttl = checkTtl(options);
        const [kind, data] = codec.encode(value);

        this.#client.check();
        await this.#watch.submit('cache_set_async', (ctx) => [this.#handle, ctx, key, data, kind, ttl], options);
    }

    /* What is under the key is fresh for `ttl` from now (else for its template's). false: there is nothing. */
    async touch(key, named) {
        const options = given.options(named, SET), ttl = checkTtl(options);

        this.#client.check();
        try {
            await this.#watch.submit('cache_touch_async', (ctx) => [this.#handle, ctx, key, ttl], options);
            return true;
        } catch (error) {
            if (error.code === 'SP_NOT_FOUND')
                return false;
            throw error;
        }
    }

    /* As invalidate({ keys: [key] }). */
    async delete(key, named) {
        const options = given.options(named, INVALIDATE);

        this.#client.check();
        await this.#watch.submit('cache_delete_async', (ctx) => [this.#handle, ctx, key], options);
    }

    /* Runs a statement through the cache, wholly inside the library. `as`: 'rows' (default) or 'cell'. */
    async query(key, sql, values, named) {
        const { as = 'rows', ...options } = given.options(named, QUERY);
        if (!(as in MODES))
            throw makeError('SP_INVALID', `query(): "as" is ${as}, must be rows or cell`);
        this.#client.check();
        const pool = this.#client.handleOf(options.pool);
        try {
            return await this.#watch.submit('cache_query_async', (ctx) => [this.#handle, pool, ctx, key,
                statementOf(sql), params.load(valuesOf(sql, values)), MODES[as]], options);
        } catch (error) {
            if (error.code === 'SP_NOT_FOUND')
                return null;
            throw error;
        }
    }

    /*
     * After it resolves no read in this process returns an old value of these targets. Patterns are texts as declared,
     * or { pattern, params } with values for their {names}.
     */
    async invalidate(targets, named) {
        this.#client.check();
        const made = targetsOf(targets), options = given.options(named, INVALIDATE);

        await this.#watch.submit('cache_invalidate_async', (ctx) => [this.#handle, ctx, made], options);
    }

    static {
        handleOf = (cache) => cache.#handle;
    }

    get hits() {
        this.#client.check();
        return native.cache_hits(this.#handle);
    }

    get misses() {
        this.#client.check();
        return native.cache_misses(this.#handle);
    }

    get hitRate() {
        this.#client.check();
        return native.cache_hit_rate(this.#handle);
    }

    report() {
        this.#client.check();
        return JSON.parse(native.value_data(call('cache_report', this.#handle)).toString());
    }
}

module.exports = { Cache, handleOf: (cache) => handleOf(cache), targetsOf };
