// SPDX-License-Identifier: MIT
'use strict';
/* The library's client behind a Pool or a Client of node-postgres's: made for it, or one that the program has already. */
const { makeError } = require('../errors.js');
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
 * primary over any connection, patience: the time of a statement that has none of its own, listens() before the first LISTEN, end() }
 */
function madeOf(config, max, files) {
    const { sugarperf, pool: name } = typeof config === 'object' && config !== null ? config : {};
    const { options, at, settings, patience } = settingsOf(config ?? {}, max, (what, text) => (sugarperf ? undefined : files.add(what, text)));
    const client = sugarperf ?? new Base(settings);
    const pool = client.pool(sugarperf ? name : undefined);
    const handle = client.handleOf(sugarperf ? name : undefined);
    const secret = !sugarperf && typeof at.password === 'function' ? new Secret(pool, handle, at, options.connectionTimeoutMillis) : null;

    files.end(client);
    return { client, watch: watchOf(client), pool, handle, secret, at, options, names: new Names(),
        roams: native.pool_replicas(handle) === 0, patience: sugarperf ? undefined : patience,
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

/* The statement's own time may be over before that of who waits for a connection ("acquire"): it is told which. */
async function timed(timeout, work, code = undefined) {
    const begun = Date.now();

    try {
        return await work();
    } catch (error) {
        if (error.code !== 'SP_TIMEOUT')
            throw error;
        if (timeout !== undefined && Date.now() - begun >= Number.parseInt(timeout, 10))
            throw makeError('SP_TIMEOUT', error.message);
        throw code === undefined ? error : makeError('SP_TIMEOUT', error.message, code);
    }
}

/* Over the connections that many callers share. Rejects with SP_SESSION where it needs one of its own. */
function share(base, run, values, options) {
    const timeout = options.timeout ?? base.patience;
    const work = () => connected(base, (signal) => base.watch.query(base.handle, run.statement, values, signal ? { ...options, signal } : options));

    return timeout === undefined ? work() : timed(timeout, work);
}

/* `timeout`: of the statement that needs it. */
function sit(base, timeout) {
    return timed(timeout, () => connected(base, (signal) => base.watch.acquire(base.handle, { signal, timeout })), 'acquire');
}

module.exports = { baseOf, share, sit };
