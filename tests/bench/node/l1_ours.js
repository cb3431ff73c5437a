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
    // Other cases leave entries of the same keys in this Redis, with other values.
    const client = new Client({ 'redis.url': url, 'cache.namespace': 'near' });
    const { cache } = client;
    const get = (key) => cache.get(key, absent);

    await fill(items, (key, value) => cache.get(key, () => value));
    return { ...step(items, mode === 'get' ? get : (key) => cache.peek(key), mode === 'get'), close: () => client.close() };
});
