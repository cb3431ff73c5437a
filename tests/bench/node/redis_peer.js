// SPDX-License-Identifier: MIT
'use strict';
/*
 * ioredis at its best setting for concurrent callers; it reads the bytes that the library stored, under
 * its namespace.
 */
const Redis = require('ioredis');
const { main } = require('./driver.js');

main(async ({ url }) => {
    const redis = new Redis(url, { enableAutoPipelining: true });

    return {
        async step(item) {
            const value = await redis.get(`sp:bench:item:${item}`);

            if (value === null || value.length === 0)
                throw new Error('the key is not in Redis');
        },
        close: () => redis.quit(),
    };
});
