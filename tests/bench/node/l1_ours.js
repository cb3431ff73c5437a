// SPDX-License-Identifier: MIT
'use strict';
/* Hits in process, with Redis behind: peek(), or get() as services call it (--mode). */
const { Client } = require('../../../bindings/node');
const { main } = require('./driver.js');
const { fill, step } = require('./l1_values.js');

function absent() {
    throw new Error('the key is not in process');
}

main(async ({ url, items, mode }) => {
    const client = new Client({ 'redis.url': url });
    const { cache } = client;
    const get = (key) => cache.get(key, absent);

    await fill(items, (key, value) => cache.get(key, () => value));
    return { ...step(items, mode === 'get' ? get : (key) => cache.peek(key), mode === 'get'), close: () => client.close() };
});
