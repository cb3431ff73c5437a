// SPDX-License-Identifier: MIT
'use strict';
/* What closed.test.js runs in processes of their own: node closed.js <scene>. Each prints what its uses answered. */
const { Client } = require('..');
const pg = require('../lib/pg/index.js');
const { fresh, settings } = require('./support.js');

const ROWS = 'SELECT generate_series(1, 5000) AS n';
const client = new Client(settings());

async function answers(uses) {
    const told = {};

    for (const [name, use] of Object.entries(uses)) {
        try {
            told[name] = await use();
        } catch (error) {
            told[name] = error.code ?? error.message;
        }
    }
    console.log(JSON.stringify(told));
}

async function opened(iterator) {
    await iterator.next();
    return iterator;
}

const scenes = {
    /* Everything that was had before, used afterwards. */
    async held() {
        const pool = client.pool();
        const [stream, rows, copy, heard] = [await opened(pool.stream(ROWS)), await opened(client.stream(ROWS, [], { pageSize: 1 })),
            await opened(client.copyTo('COPY (SELECT generate_series(1, 500000)) TO STDOUT')), await opened(pool.listen(fresh('closed')))];
        const session = await client.acquire();
        const unasked = { stream: pool.stream(ROWS), listen: pool.listen(fresh('closed')), copy: pool.copyTo('COPY (SELECT 1) TO STDOUT') };
        const breaker = client.breaker('closed');
        const changes = breaker.changes();

        await client.close();
        await answers({
            query: () => pool.query('SELECT 1'), batch: () => pool.batch('SELECT $1::int', [[1]]), acquire: () => pool.acquire(),
            transaction: () => pool.transaction(() => {}), resize: () => pool.resize(3), stats: () => pool.stats(),
            copyFrom: () => pool.copyFrom('COPY nothing FROM STDIN', ''),
            rows: async () => { while (!(await rows.next()).done); }, left: async () => (await stream.return()).done,
            copy: async () => { while (!(await copy.next()).done); }, heard: async () => (await heard.next()).done,
            session: () => session.query('SELECT 1'), release: () => session.release(),
            unaskedStream: () => unasked.stream.next(), unaskedListen: async () => (await unasked.listen.next()).done,
            unaskedCopy: () => unasked.copy.next(), changes: async () => (await changes.next()).done,
            get: () => client.cache.get('closed', () => 1), peek: () => client.cache.peek('closed'),
        });
    },
    /* The client is closed while the body of a loop, a transaction or a loader runs. */
    async bodies() {
        const entered = [], left = [];
        let close;
        const closed = new Promise((resolve) => { close = resolve; });
        const body = () => new Promise((resolve) => {
            entered.push(resolve);
            closed.then(resolve);
        });
        const run = (name, work) => {
            let now;
            const inside = new Promise((resolve) => { now = resolve; });
            left.push([name, work(() => { now(); return body(); }).catch((error) => error.code)]);
            return inside;
        };
        const loop = (from) => async (within) => { for await (const item of from) await within(item); return 'over'; };

        await Promise.all([run('stream', loop(client.stream(ROWS, [], { pageSize: 1 }))), run('listen', loop(client.listen(fresh('closed')))),
            run('copyTo', loop(client.copyTo('COPY (SELECT generate_series(1, 500000)) TO STDOUT'))),
            run('transaction', (within) => client.transaction(async (tx) => { await within(); await tx.query('SELECT 1'); })),
            run('load', (within) => client.cache.get(fresh('closed'), async () => { await within(); return 1; })),
            run('loadMany', (within) => client.cache.getMany([fresh('closed')], async () => { await within(); return {}; }))]);
        await client.close();
        close();
        await answers(Object.fromEntries(left.map(([name, end]) => [name, () => end])));
    },
    /* A pool and clients of node-postgres's kind over a client that the program closes itself. */
    async pg() {
        const pool = new pg.Pool({ sugarperf: client }), single = new pg.Client({ sugarperf: client });

        await pool.query('SELECT 1');
        await single.connect();
        const [first, second] = [await pool.connect(), await pool.connect()];
        await second.query('BEGIN');
        const closing = client.close();
        const during = await first.query('SELECT 1').catch((error) => error.code);
        await closing;
        await answers({
            during: () => during, query: () => pool.query('SELECT 1'), connect: () => pool.connect(), lent: () => second.query('SELECT 1'),
            single: () => single.query('SELECT 1'), total: () => pool.totalCount, idle: () => pool.idleCount, waiting: () => pool.waitingCount,
            release: () => { first.release(); second.release(); }, end: () => single.end(), ended: () => pool.end(),
        });
    },
};

scenes[process.argv[2]]();
