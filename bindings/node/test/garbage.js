// SPDX-License-Identifier: MIT
'use strict';
/* Prints how many bytes of each operation came into the old generation, through `client` or `pg`: what is settled must die young. */
const v8 = require('node:v8');
const { Client } = require('..');
const pg = require('../lib/pg');
const { settings } = require('./support.js');

const CALLERS = 64, WARM = 300, ROUNDS = 1000;

function open(face) {
    if (face === 'pg') {
        const pool = new pg.Pool({ connectionString: settings()['pool.url'] });

        return { step: (n) => pool.query('SELECT $1::int4 AS n', [n]), close: () => pool.end() };
    }
    const client = new Client(settings());

    return { step: (n) => client.query('SELECT $1::int4 AS n', [n]), close: () => client.close() };
}

const old = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size;

async function main() {
    const { step, close } = open(process.argv[2]);
    let came = 0;

    for (let round = 0, before = 0; round < WARM + ROUNDS; round++) {
        await Promise.all(Array.from({ length: CALLERS }, (_, i) => step(round * CALLERS + i)));
        if (round === WARM)
            global.gc();
        /* A collection takes some of it away: what came is what it grew by from one look to the next. */
        const now = old();
        if (round > WARM)
            came += Math.max(0, now - before);
        before = now;
    }
    process.stdout.write(`${Math.round(came / (ROUNDS * CALLERS))}\n`);
    await close();
}

main();
