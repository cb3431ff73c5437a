// SPDX-License-Identifier: MIT
'use strict';
const { Client } = require('../../../bindings/node');
const { main } = require('./driver.js');

const SQL = 'SELECT id, title FROM bench_items WHERE id = $1';
const BATCH = 16;

/* --spin: pool.spin_us */
main(async ({ url, mode, spin = 0 }) => {
    const client = new Client({ 'pool.url': url, 'pool.spin_us': spin });

    async function select(item) {
        const rows = await client.query(SQL, [item]);

        if (rows.length !== 1 || rows[0].id !== item)
            throw new Error('the SELECT did not find its row');
    }

    async function acquire() {
        for (let i = 0; i < BATCH; i++)
            (await client.acquire()).release();
    }

    return mode === 'acquire' ? { step: acquire, batch: BATCH, close: () => client.close() }
        : { step: select, close: () => client.close() };
});
