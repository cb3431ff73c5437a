// SPDX-License-Identifier: MIT
'use strict';
/*
 * What is written to node-postgres, on it and on sugarperf/pg (--driver): its pool alone, or TypeORM's repository (--mode orm), which
 * may stand on a client of the library (--mode library).
 */
const { main } = require('./driver.js');

const SQL = 'SELECT id, title FROM bench_items WHERE id = $1';
const drivers = { ours: () => require('../../../bindings/node/lib/pg'), 'node-postgres': () => require('pg') };

async function plain(driver, url) {
    const pool = new driver.Pool({ connectionString: url });

    return { find: async (item) => (await pool.query(SQL, [item])).rows[0], close: () => pool.end() };
}

/* Of as many connections as the pool of the others has. */
function libraryAt(url) {
    const { Client } = require('../../../bindings/node/lib');

    return new Client({ 'pool.url': url, 'pool.max': 11 });
}

async function orm(driver, url, sugarperf) {
    const { DataSource, EntitySchema } = require('typeorm');
    const Item = new EntitySchema({
        name: 'Item', tableName: 'bench_items',
        columns: { id: { type: 'int', primary: true }, title: { type: 'text' } },
    });
    const source = await new DataSource({ type: 'postgres', driver, url, entities: [Item], extra: { sugarperf } }).initialize();
    const items = source.getRepository(Item);

    return { find: (item) => items.findOneBy({ id: item }), close: () => source.destroy().then(() => sugarperf?.close()) };
}

const modes = { plain, orm, library: (driver, url) => orm(driver, url, libraryAt(url)) };

main(async ({ url, mode, driver }) => {
    const { find, close } = await modes[mode](drivers[driver](), url);

    async function step(item) {
        if ((await find(item))?.id !== item)
            throw new Error('the SELECT did not find its row');
    }
    return { step, close };
});
