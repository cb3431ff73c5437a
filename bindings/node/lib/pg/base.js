// SPDX-License-Identifier: MIT
'use strict';
/* The library's client behind a Pool or a Client of node-postgres's: made for it, or one that the program has already. */
const native = require('../native.js');
const { Client: Base, watchOf } = require('../client.js');
const { Files } = require('./files.js');
const { Names } = require('./names.js');
const { Secret } = require('./secret.js');
const { settingsOf, sizeOf } = require('./settings.js');

/* LISTEN has a session of the pool's own: one connection more, from the first one on. */
function roomToListen(pool, max) {
    let made = false;

    return () => {
        if (!made)
            pool.resize(sizeOf(max) + 1);
        made = true;
    };
}

/*
 * { client, watch, pool (its face), handle, secret (where a function gives the password), names, roams: what reads goes to the
 * primary over any connection, listens() before the first LISTEN, end() }
 */
function madeOf(config, max, files) {
    const { sugarperf, pool: name } = typeof config === 'object' && config !== null ? config : {};
    const { options, at, settings } = settingsOf(config ?? {}, max, (what, text) => (sugarperf ? undefined : files.add(what, text)));
    const client = sugarperf ?? new Base(settings);
    const pool = client.pool(sugarperf ? name : undefined);
    const handle = client.handleOf(sugarperf ? name : undefined);
    const secret = !sugarperf && typeof at.password === 'function' ? new Secret(pool, handle, at, options.connectionTimeoutMillis) : null;

    files.end(client);
    return { client, watch: watchOf(client), pool, handle, secret, at, options, names: new Names(),
        roams: native.pool_replicas(handle) === 0,
        listens: sugarperf ? () => {} : roomToListen(pool, max),
        end: async () => {
            if (sugarperf)
                return;
            await client.close();
            files.close();
        } };
}

function baseOf(config, max) {
    const files = new Files();

    try {
        return madeOf(config, max, files);
    } catch (error) {
        files.close();
        throw error;
    }
}

/* `work(signal)`, which may need a connection. */
function connected({ secret }, work) {
    return secret === null ? work(undefined) : secret.use(work);
}

/* Over the connections that many callers share. Rejects with SP_SESSION, once: it needs one of its own. */
async function share(base, run, values, options) {
    try {
        return await connected(base, (signal) => base.watch.query(base.handle, run.statement, values, signal ? { ...options, signal } : options));
    } catch (error) {
        if (error.code === 'SP_SESSION')
            run.shared = run.roams = false;
        throw error;
    }
}

async function sit(base) {
    return connected(base, (signal) => base.watch.acquire(base.handle, { signal }));
}

module.exports = { baseOf, share, sit };
