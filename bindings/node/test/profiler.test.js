// SPDX-License-Identifier: MIT
'use strict';
/* The profiler's reports, findings, plans, advice and spans, as a service sees them. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { Statement } = require('..');
const { open } = require('./support.js');

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const byName = new Statement('relation', 'SELECT oid::int8 FROM pg_class WHERE relname = $1');

/* Who waits for an event does not keep the process: the test does. */
function awake(t) {
    const timer = setInterval(() => {}, 1000);

    t.after(() => clearInterval(timer));
}

/* The N+1 of every tutorial. */
function each(client, names) {
    return client.scope({ name: 'GET /relations', tag: 'web', trace: TRACE }, async () => {
        for (const name of names)
            await client.query(byName, [name]);
    });
}

test('an N+1 is told once, with the statement that would do, and stands in the report', async (t) => {
    awake(t);
    const client = open(t);
    const events = client.profiler.events();

    await each(client, ['pg_class', 'pg_type']);
    assert.deepEqual(client.profiler.report().findings, []);
    await each(client, ['a', 'b', 'c', 'd', 'e', 'f']);
    const { value } = await events.next();
    assert.equal(value.instead, 'SELECT relname, oid::int8 FROM pg_class WHERE relname = ANY($1)');
    assert.deepEqual([value.kind, value.place, value.name, value.runs, value.distinct],
        ['n+1', 'GET /relations', 'relation', 6, 6]);
    const report = client.profiler.report(1);
    assert.deepEqual([report.statements.length, report.findings.length, report.findings[0].kind], [1, 1, 'n+1']);
    const found = client.profiler.report().statements.find(({ name }) => name === 'relation');
    assert.deepEqual([found.count, found.errors], [8, 0]);
    await events.return();
});

test('the slow log has timings, SQLSTATE, tag, trace and scope, and reaches the logger as it comes', async (t) => {
    awake(t);
    const client = open(t, { 'profiler.slow': '50ms' });
    const sleeper = new Statement('sleeper', "SELECT pg_sleep(0.1), 'hunter2'");
    const events = client.profiler.events();

    await client.scope({ name: 'job', tag: 'nightly', trace: TRACE }, () => client.query(sleeper));
    const { value } = await events.next();
    assert.deepEqual([value.kind, value.name, value.tag, value.scope], ['slow', 'sleeper', 'nightly', 'job']);
    const slow = client.profiler.slow().find(({ name }) => name === 'sleeper');
    assert.ok(slow.duration >= 100 && slow.execute >= 100 && slow.wait + slow.execute + slow.fetch <= slow.duration + 0.001);
    assert.deepEqual([slow.rows, slow.status, slow.sqlstate, slow.tag, slow.trace, slow.scope, slow.plan],
        [1, 'SP_OK', '', 'nightly', TRACE, 'job', '']);
    assert.doesNotMatch(JSON.stringify([value, slow]), /hunter2/);
    assert.deepEqual([client.profiler.slow(), client.profiler.slowMissed, client.profiler.slowLimited], [[], 0, 0]);
    await client.close();
    assert.deepEqual(await events.next(), { value: undefined, done: true });
});

test('a plan, advice of indexes and what the server knows are had by name and pool', async (t) => {
    awake(t);
    const client = open(t, { 'pool.orders.url': process.env.DATABASE_URL });
    const session = new Statement('node-profiler', 'SELECT body FROM node_profiler WHERE owner = $1 ORDER BY at DESC LIMIT 10');

    await client.query('DROP TABLE IF EXISTS node_profiler');
    await client.query(`CREATE TABLE node_profiler AS SELECT i AS id, i % 1000 AS owner, now() - i * interval '1 s' AS at,
        md5(i::text) AS body FROM generate_series(1, 50000) i`);
    await client.query('ANALYZE node_profiler');
    t.after(async () => open(t).query('DROP TABLE IF EXISTS node_profiler'));
    await client.query(session, [7]);
    const plan = await client.profiler.explain('node-profiler');
    assert.match(plan.plan, /Seq Scan on node_profiler/);
    assert.ok(plan.cost > 0);
    await assert.rejects(client.profiler.explain('nobody ran it'), { name: 'NotFoundError' });
    const advice = await client.profiler.advise({ timeout: '20s' });
    assert.match(advice.indexes[0].ddl, /^CREATE INDEX CONCURRENTLY .*node_profiler.*owner/);
    assert.deepEqual((await client.profiler.advise({ pool: 'orders' })).indexes, []);
    await assert.rejects(client.profiler.advise({ pool: 'nowhere' }), { name: 'NotFoundError' });
    const server = await client.profiler.server({ pool: 'orders' });
    assert.equal(server.pool, 'orders');
    assert.ok(Array.isArray(server.lacks) && Array.isArray(server.tables));
    await assert.rejects(client.profiler.explain('node-profiler', { timout: 1 }), { message: /no option "timout"/ });
    await assert.rejects(client.profiler.advise({ signal: AbortSignal.abort() }), { name: 'CancelledError' });
});

test('statements under a sampled trace are spans under it', async (t) => {
    awake(t);
    const client = open(t);
    const stop = new AbortController();
    const spans = client.profiler.spans({ signal: stop.signal });
    const first = spans.next();

    await each(client, ['pg_class']);
    const { value } = await first;
    const span = value.spans.find(({ name }) => name === 'relation');
    assert.deepEqual([span.traceId, span.parentSpanId], [TRACE.slice(3, 35), TRACE.slice(36, 52)]);
    const last = spans.next();
    stop.abort();
    assert.deepEqual(await last, { value: undefined, done: true });
    assert.throws(() => client.profiler.events({ sginal: stop.signal }), { name: 'TypeError' });
});
