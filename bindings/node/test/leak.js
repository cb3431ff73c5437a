// SPDX-License-Identifier: MIT
'use strict';
/* What leak.test.js runs in a process of its own. */
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Client } = require('..');
const { settings, until } = require('./support.js');

const OPERATIONS = Number(process.env.SP_LEAK_OPERATIONS ?? 100000);
const CALLERS = 64;
const seed = Number(process.env.SP_SEED ?? Date.now() % 2 ** 31);
const client = new Client(settings({ 'pool.max': 10, 'pool.acquire_timeout': '60s', 'pool.tx_backoff': '0ms' }));
let state = seed;

console.error(`SP_SEED=${seed}`);

/* A small generator of one's own, so that a run can be repeated. */
function random(below) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
}

function aborted() {
    const controller = new AbortController();

    setImmediate(() => controller.abort());
    return controller.signal;
}

async function some(source, count) {
    for await (const item of source) {
        assert.ok(item);
        if (--count <= 0)
            return;
    }
}

/* Each ends in its own way; the common ones come more often. */
const kinds = [
    [400, () => client.query('SELECT $1::int4 AS n, $2::text AS t', [1, 'text'])],
    [60, () => client.query('SELECT 1 / 0')],
    [40, () => client.query('SELECT pg_sleep(10)', [], { signal: aborted() })],
    [20, () => client.query('SELECT pg_sleep(10)', [], { timeout: 1 })],
    [40, () => void client.query('SELECT 1')],
    [60, () => client.batch('SELECT $1::int4', [[1], [2], [3]])],
    [40, () => client.transaction((tx) => tx.query('SELECT 1'))],
    [20, () => client.transaction((tx) => tx.savepoint(() => tx.query('SELECT 1 / 0')))],
    [10, () => client.transaction((tx) => tx.query('SELECT pg_sleep(10)'), { signal: aborted() })],
    [20, async () => (await client.acquire()).release()],
    [5, () => client.acquire()],
    [20, () => some(client.stream('SELECT generate_series(1, 30)', [], { pageSize: 10 }), Infinity)],
    [20, () => some(client.stream('SELECT generate_series(1, 30)', [], { pageSize: 10 }), 15)],
    [5, () => client.stream('SELECT generate_series(1, 30)', [], { pageSize: 10 }).next()],
    [5, () => some(client.copyTo('COPY (SELECT generate_series(1, 30)) TO STDOUT'), Infinity)],
    [5, () => client.copyFrom('COPY leak FROM STDIN', 'not a number\n')],
    [10, () => some(client.listen('leak', { signal: aborted() }), Infinity)],
    [40, () => client.cache.get(`leak:${random(50)}`, async () => 'value')],
    [10, () => client.cache.getMany([`leak:${random(50)}`, `leak:many:${random(50)}`], async () => ({}))],
    [5, () => client.cache.getMany([`leak:fails:${random(50)}`, `leak:few:${random(50)}`], async () => { throw new Error('no'); })],
    [20, () => client.cache.get(`leak:fails:${random(50)}`, async () => { throw new Error('no'); })],
];
const weights = kinds.reduce((sum, [weight]) => sum + weight, 0);

function pick() {
    let at = random(weights);

    return kinds.find(([weight]) => (at -= weight) < 0)[1];
}

async function turn(count) {
    const callers = Array.from({ length: CALLERS }, async (_, i) => {
        for (let n = i; n < count; n += CALLERS)
            await pick()()?.catch(() => {});
    });

    await Promise.all(callers);
    /* Those that nobody gave back are the collector's. */
    await until(() => {
        gc();
        return client.poolStats().active <= 1;
    });
}

const descriptors = () => fs.readdirSync('/proc/self/fd').length;

async function main() {
    /* A session that is wanted does not call the collector. */
    const collecting = setInterval(gc, 50);

    await client.query('CREATE TABLE IF NOT EXISTS leak (n int)');
    await turn(OPERATIONS / 4);
    const memory = [process.memoryUsage().rss], fds = [descriptors()];

    for (let i = 0; i < 3; i++) {
        await turn(OPERATIONS / 4);
        memory.push(process.memoryUsage().rss);
        fds.push(descriptors());
    }
    clearInterval(collecting);
    await client.query('DROP TABLE leak');
    /* The allocator's own breathing is a few megabytes; a hundred bytes an operation would be more at a million. */
    assert.ok(memory[3] - memory[0] < 8e6 + 50 * OPERATIONS, `resident: ${memory}`);
    /* A pool may have opened another connection or two. */
    assert.ok(fds[3] - fds[0] <= 20, `descriptors: ${fds}`);
    assert.equal(client.poolStats().waiting, 0);
    console.log(`${OPERATIONS} operations, flat`);
    if (random(2) === 0)
        await client.close();
}

main();
