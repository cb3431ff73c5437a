// SPDX-License-Identifier: MIT
'use strict';
const { Client } = require('../../../bindings/node');
const { main } = require('./driver.js');

main(async ({ url }) => {
    const client = new Client({ 'pool.url': url });

    return {
        async step(item) {
            const rows = await client.query('SELECT id, title FROM bench_items WHERE id = $1', [item]);

            if (rows.length !== 1 || rows[0].id !== item)
                throw new Error('the SELECT did not find its row');
        },
        close: () => client.close(),
    };
});
