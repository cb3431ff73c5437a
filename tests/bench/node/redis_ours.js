// SPDX-License-Identifier: MIT
'use strict';
/* Without the in-process level: each get is a hit in Redis. */
const { Client } = require('../../../bindings/node');
const { main } = require('./driver.js');

function absent() {
    throw new Error('the key is not in Redis');
}

main(async ({ url }) => {
    const client = new Client({ 'redis.url': url, 'cache.memory': 0 });

    return {
        async step(item) {
            const value = await client.cache.get(`bench:item:${item}`, absent);

            if (value.length === 0)
                throw new Error('the value is empty');
        },
        close: () => client.close(),
    };
});
