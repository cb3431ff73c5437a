// SPDX-License-Identifier: MIT
'use strict';
/* The kit for a service's own tests: no server is asked. (This file needs none.) */
const test = require('node:test');
const assert = require('node:assert/strict');
const { ClosedError, Statement, sql } = require('..');
const { Answers, failure } = require('../lib/testing.js');

const CONTENT = new Statement('getContent', 'SELECT id, title FROM contents WHERE id = $1', { read: true });

function kit(t, more = {}, settings = {}) {
    const answers = new Answers({ getContent: (id) => id < 10 ? [{ id, title: `title ${id}` }] : [], 'SELECT 1': [{ one: 1 }], ...more }, settings);
    const client = answers.client();

    t.after(() => client.close());
    return { answers, client };
}

test('statements are answered by name or text', async (t) => {
    const { answers, client } = kit(t, { 'SELECT $1': async (n) => [{ n }] });
    const rows = await client.query(CONTENT, [7]);

    assert.deepEqual([[...rows], rows.affected, rows.command, rows.fields.map((field) => field.name)], [[{ id: 7, title: 'title 7' }], 1, 'SELECT 1', ['id', 'title']]);
    assert.deepEqual([...await client.query(CONTENT, [10])], []);
    assert.deepEqual([...await client.query(sql`SELECT ${3}`)], [{ n: 3 }]);
    await client.transaction((tx) => tx.savepoint(async (inner) => {
        assert.deepEqual((await inner.batch(CONTENT, [[1], [11]])).map((found) => found.length), [1, 0]);
    }));
    for await (const row of client.stream(CONTENT, [3]))
        assert.equal(row.id, 3);
    const session = await client.pool().acquire();
    assert.equal(await session.transaction(async (tx) => (await tx.query('SELECT 1'))[0].one), 1);
    session.release();
    await assert.rejects(client.query('SELECT 2'), /nothing answers "SELECT 2"/);
    await assert.rejects(client.query('toString'), /nothing answers "toString"/);
    assert.deepEqual(answers.asked.slice(0, 3), [['getContent', [7]], ['getContent', [10]], ['SELECT $1', [3]]]);
    assert.equal((await client.health()).status, 'healthy');
    await client.close();
    await assert.rejects(client.query('SELECT 1'), ClosedError);
});

test('what a test changes in its answer changes nothing in the kit', async (t) => {
    const { client } = kit(t);

    (await client.query('SELECT 1'))[0].one = 2;
    assert.equal((await client.query('SELECT 1'))[0].one, 1);
});

test('the cache is the library\'s', async (t) => {
    const { answers, client } = kit(t);

    for (let i = 0; i < 2; i++) {
        assert.equal(await client.cache.query('t:content:7:full', CONTENT, [7], { as: 'cell' }), 7);
        assert.equal(await client.cache.query('t:content:10:full', CONTENT, [10], { as: 'cell' }), null);
        assert.deepEqual([...await client.cache.query('t:content:8:rows', CONTENT, [8])], [{ id: 8, title: 'title 8' }]);
    }
    assert.equal(answers.asked.length, 3);
    await client.cache.invalidate({ keys: ['t:content:7:full'] });
    await client.cache.query('t:content:7:full', CONTENT, [7]);
    assert.equal(answers.asked.length, 4);
});

test('values grow old as the test says: fresh, then stale behind a refresh, then gone', async (t) => {
    const { answers, client } = kit(t, {}, { 'cache.jitter': 0 });
    const plain = client.cache.template('t:plain:{id}:full', { ttl: '1h' }).key(1);
    const lazy = client.cache.template('t:lazy:{id}:full', { ttl: '1h', stale: '1d' }).key(1);
    const short = client.cache.template('t:short:{id}:full', { ttl: '1h' }).key(1);
    let loads = 0;
    const load = () => ++loads;

    assert.deepEqual([await client.cache.get(plain, load), await client.cache.get(lazy, load), await client.cache.get(short, load, { ttl: 500 })], [1, 2, 3]);
    answers.clock.advance(600);
    assert.equal(client.cache.peek(short), undefined);
    assert.deepEqual([client.cache.peek(plain), client.cache.peek(lazy)], [1, 2]);
    answers.clock.advance(3_600_000);
    assert.equal(client.cache.peek(plain), undefined);
    assert.equal(await client.cache.get(plain, load), 4);
    assert.equal(await client.cache.get(lazy, load), 2);
    while (client.cache.peek(lazy) !== 5)
        await new Promise(setImmediate);
    answers.clock.advance(2 * 86_400_000);
    assert.equal(await client.cache.get(lazy, load), 6);
    assert.throws(() => answers.clock.advance(-1), TypeError);
});

test('a service meets failures at the time that the test says', async (t) => {
    const { answers, client } = kit(t, { getContent: failure('SP_TIMEOUT', 'late') });
    const title = () => client.breaker('contents').run(async () => (await client.query(CONTENT, [7]))[0].title, null);

    for (let i = 0; i < 7; i++)
        assert.equal(await title(), null);
    assert.deepEqual([answers.asked.length, client.breaker('contents').state], [5, 'OPEN']);
    answers.answers.getContent = [{ title: 'seven' }];
    answers.clock.advance(61_000);
    assert.equal(await title(), 'seven');
    assert.equal(client.breaker('contents').state, 'CLOSED');
    const error = failure('SP_SQL', 'duplicate key', '23505');
    assert.deepEqual([error.name, error.sqlstate, error.retryable, failure('SP_TIMEOUT').name], ['SqlError', '23505', false, 'TimeoutError']);
    assert.throws(() => failure('SP_NONSENSE'), TypeError);
});

test('what a transaction invalidates goes with its commit', async (t) => {
    const { client } = kit(t);
    const key = client.cache.template('t:tx:{id}').key(7);
    const rules = client.rules('contents(id) -> t:tx:{id}');
    let loads = 0;
    const value = () => client.cache.get(key, () => ++loads);

    await value();
    await assert.rejects(client.transaction(async (tx) => {
        tx.invalidate({ keys: [key] });
        throw new Error('given up');
    }), /given up/);
    assert.equal(await value(), 1);
    await client.transaction(async (tx) => tx.invalidate({ keys: [key] }));
    assert.equal(await value(), 2);
    let after;
    await client.transaction(async (tx) => {
        after = tx;
        tx.changed(rules, { table: 'contents', change: 'update', row: { id: 7 } });
        assert.throws(() => tx.changed({}, {}), TypeError);
        assert.throws(() => tx.invalidate({ kyes: [] }), TypeError);
    });
    assert.equal(await value(), 3);
    await assert.rejects(after.query('SELECT 1'), ClosedError);
});

test('COPY is answered as statements are', async (t) => {
    const { answers, client } = kit(t, { in: 2, 'in of rows': (text) => text.trim().split('\n').map((line) => ({ line })), out: ['1,2\n', '3,4\n'] });
    const pieces = [];

    assert.equal(await client.copyFrom('in', ['1,2\n', Buffer.from('3,4\n')]), 2);
    assert.equal(await client.transaction((tx) => tx.copyFrom('in of rows', '1\n2\n3\n')), 3);
    for await (const piece of client.copyTo('out'))
        pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), '1,2\n3,4\n');
    assert.deepEqual(answers.asked[0], ['in', ['1,2\n3,4\n']]);
});

test('the test sends the messages that a service listens for', async (t) => {
    const { answers, client } = kit(t);
    const stop = new AbortController();
    const jobs = client.listen('jobs'), others = client.pool().listen('others', { signal: stop.signal });

    assert.deepEqual((await jobs.next()).value, { channel: 'jobs', notice: 'listening', lost: false });
    const next = jobs.next();
    answers.notify('jobs', 'one');
    answers.notify('jobs', 'two');
    assert.deepEqual((await next).value, { channel: 'jobs', payload: 'one', pid: 0 });
    assert.equal((await jobs.next()).value.payload, 'two');
    assert.equal((await others.next()).value.notice, 'listening');
    stop.abort();
    assert.equal((await others.next()).done, true);
    const events = client.pool().events().next();
    client.pool().resize(5);
    assert.equal(client.poolStats().max, 5);
    await client.close();
    assert.deepEqual([(await jobs.next()).done, (await events).done], [true, true]);
});
