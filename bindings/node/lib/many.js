// SPDX-License-Identifier: MIT
'use strict';
/* Many keys at once: one trip for those that are not in process, one load for those that nobody has. */
const native = require('./native.js');
const codec = require('./codec.js');
const params = require('./params.js');
const { SugarperfError } = require('./errors.js').classes;
const { call, makeError } = require('./errors.js');

/* Each once, in order. */
function keysOf(keys) {
    const wanted = [...new Set(keys)];

    if (!wanted.every((key) => typeof key === 'string'))
        throw new TypeError('keys must be strings');
    return wanted;
}

/* Of what a loader answered by key; undefined: it has none. */
function valueOf(loaded, key) {
    if (loaded instanceof Map)
        return loaded.get(key);
    if (typeof loaded !== 'object' || loaded === null || Array.isArray(loaded))
        throw new TypeError('a loader of many keys must answer a Map or an object, by key');
    return Object.hasOwn(loaded, key) ? loaded[key] : undefined;
}

class Many {
    #watch;
    #keys;
    #found;
    #mine = [];
    #held = null;

    /* What is found out about the keys goes into `found`, a Map. */
    constructor(watch, keys, found) {
        this.#watch = watch;
        this.#keys = keys;
        this.#found = found;
    }

    /* The keys that are to be loaded here. Others that are not found then, another caller is loading. */
    async lookUp(cache, limits) {
        const { values, mine, held } = await this.#watch.submit('cache_lookup_many_async',
            (ctx) => [cache, ctx, params.load(this.#keys)], limits);

        if (mine.length > 0 && held === null)
            throw makeError('SP_CLOSED', 'the client is closed');
        this.#held = held;
        this.#mine = mine;
        values.forEach((value, i) => {
            if (value !== undefined)
                this.#found.set(this.#keys[i], value);
        });
        return mine.map((i) => this.#keys[i]);
    }

    /* What `loaded` lacks is not there. */
    put(loaded, ttl, tags) {
        for (const i of this.#mine) {
            const key = this.#keys[i], value = valueOf(loaded, key);
            const [kind, data] = codec.encode(value);

            this.#found.set(key, codec.roundTrip(kind, data));
            if (value === undefined)
                continue;
            call('lookups_put', this.#held.handle, i, data, kind, ttl);
            for (const tag of tags(codec.roundTrip(kind, data), key))
                call('lookups_tag', this.#held.handle, i, tag);
        }
    }

    /* The values are right for their caller also where they could not be stored. */
    async fill(limits) {
        try {
            await this.#watch.submit('lookups_fill_async', (ctx) => [this.#held.handle, ctx], limits);
        } catch (error) {
            if (!(error instanceof SugarperfError))
                throw error;
        }
    }

    /* Whether what is stale stands in for what was not loaded. */
    giveUp() {
        return this.#held.giveUp();
    }

    release() {
        this.#held.release();
    }
}

module.exports = { Many, keysOf, valueOf };
