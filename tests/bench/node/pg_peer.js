// SPDX-License-Identifier: MIT
'use strict';
/* node-postgres as its guide advises: one pool of its default size, a named statement. */
const { Pool } = require('pg');
const { main } = require('./driver.js');

main(async ({ url }) => {
    const pool = new Pool({ connectionString: url });

    return {
        async step(item) {
            const { rows } = await pool.query({
                name: 'bench-select', text: 'SELECT id, title FROM bench_items WHERE id = $1', values: [item],
            });

            if (rows.length !== 1 || rows[0].id !== item)
                throw new Error('the SELECT did not find its row');
        },
        close: () => pool.end(),
    };
});
