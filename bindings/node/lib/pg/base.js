// SPDX-License-Identifier: MIT
'use strict';
/* The library's client behind a Pool or a Client of node-postgres's: made for it, or one that the program has already. */
const { Client: Base, watchOf } = require('../client.js');
const { settingsOf, sizeOf } = require('./settings.js');

/* Asks `password()` for each refusal, also the first one: a server that asks for a password when there is none. */
async function keepPassword(pool, at, password) {
    for await (const refusal of pool.refusals()) {
        void refusal;
        pool.setPassword(await password(at));
    }
}

/* LISTEN has a session of the pool's own: one connection more, from the first one on. */
function roomToListen(pool, max) {
    let made = false;

    return () => {
        if (!made)
            pool.resize(sizeOf(max) + 1);
        made = true;
    };
}

/* { client, watch, pool (its face), handle, own, listens() before the first LISTEN } */
function baseOf(config, max) {
    const { sugarperf, pool: name } = typeof config === 'object' && config !== null ? config : {};
    const { options, at, settings } = settingsOf(config ?? {}, max);
    const client = sugarperf ?? new Base(settings);
    const pool = client.pool(sugarperf ? name : undefined);

    if (!sugarperf && typeof at.password === 'function')
        keepPassword(pool, at, at.password).catch(() => {});
    return { client, watch: watchOf(client), pool, handle: client.handleOf(sugarperf ? name : undefined), own: !sugarperf, at,
        options, listens: sugarperf ? () => {} : roomToListen(pool, max) };
}

async function sit({ watch, handle }) {
    return watch.submit('pool_acquire_async', (ctx) => [handle, ctx]);
}

module.exports = { baseOf, sit };
