// SPDX-License-Identifier: MIT
'use strict';
/* The same with node-postgres or postgres.js (--peer), as their guides advise, and each in the form in which it is fastest. */
const { main } = require('./driver.js');

const SQL = 'SELECT id, title FROM bench_items WHERE id = $1';
const BATCH = 16;

/* A named statement, so that it is prepared. */
const named = (item) => ({ name: 'bench-select', text: SQL, values: [item] });

/* A pool of its default size. */
async function nodePostgres(url) {
    const { Pool } = require('pg');
    const pool = new Pool({ connectionString: url });

    return {
        select: async (item) => (await pool.query(named(item))).rows,
        acquire: async () => (await pool.connect()).release(),
        close: () => pool.end(),
    };
}

/* One client in its pipeline mode; it has no pool of such ones. */
async function pipelined(url) {
    const { Client } = require('pg');
    const client = new Client({ connectionString: url, pipeline: true });

    await client.connect();
    return { select: async (item) => (await client.query(named(item))).rows, close: () => client.end() };
}

/* It prepares and pipelines by itself; `max` 10 is its default, 1 its best here. */
async function postgresJs(url, max) {
    const sql = require('postgres')(url, { max });

    return {
        select: (item) => sql`SELECT id, title FROM bench_items WHERE id = ${item}`,
        acquire: async () => (await sql.reserve()).release(),
        close: () => sql.end(),
    };
}

const peers = { 'node-postgres': nodePostgres, pipelined, 'postgres.js': (url) => postgresJs(url, 10),
    'postgres.js-1': (url) => postgresJs(url, 1) };

main(async ({ url, mode, peer }) => {
    const { select, acquire, close } = await peers[peer](url);

    async function acquires() {
        for (let i = 0; i < BATCH; i++)
            await acquire();
    }

    async function selects(item) {
        const rows = await select(item);

        if (rows.length !== 1 || rows[0].id !== item)
            throw new Error('the SELECT did not find its row');
    }

    return mode === 'acquire' ? { step: acquires, batch: BATCH, close } : { step: selects, close };
});
