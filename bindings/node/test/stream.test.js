// SPDX-License-Identifier: MIT
'use strict';
/* Rows, COPY and messages as async iterators: complete, in order, in bounded memory, and given back whenever they end. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { Client } = require('..');
const { fresh, open, settings, until } = require('./support.js');

const SERIES = 'SELECT i FROM generate_series(1, $1::int4) i';
/* For what is much. */
const PATIENT = { 'pool.statement_timeout': '1m', 'pool.query_timeout': '1m' };
const idle = (client) => until(() => client.poolStats().active === 0);

test('every row comes once, in order, across pages', async (t) => {
    const client = open(t);

    for (const [count, pageSize] of [[0, 10], [1, 10], [10, 10], [25, 10], [2500, undefined]]) {
        let next = 1;
        for await (const row of client.stream(SERIES, [count], { pageSize }))
            assert.equal(row.i, next++);
        assert.equal(next, count + 1);
    }
    await idle(client);
});

test('a stream that is left early gives its session back', async (t) => {
    const client = open(t, { 'pool.max': 2 });

    for (let i = 0; i < 20; i++) {
        for await (const row of client.stream(SERIES, [100000], { pageSize: 10 })) {
            if (row.i === 15)
                break;
        }
    }
    await assert.rejects(async () => {
        for await (const row of client.stream(SERIES, [100], { pageSize: 10 }))
            throw new Error(`row ${row.i}`);
    }, { message: 'row 1' });
    await idle(client);
});

test('a stream that nobody begins or ends holds nothing', async (t) => {
    const v8 = require('node:v8');
    const vm = require('node:vm');
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc');
    const client = open(t, { 'pool.max': 2 });

    client.stream(SERIES, [10]);
    for (let i = 0; i < 10; i++) {
        let stream = client.stream(SERIES, [100], { pageSize: 10 });
        assert.equal((await stream.next()).value.i, 1);
        stream = null;
        await until(() => {
            gc();
            return client.poolStats().active === 0;
        });
    }
});

test('what the server says of a stream is thrown, once', async (t) => {
    const client = open(t);
    const stream = client.stream('SELECT 10 / (3 - i) AS n FROM generate_series(1, 5) i', [], { pageSize: 1 });

    assert.equal((await stream.next()).value.n, 5);
    assert.equal((await stream.next()).value.n, 10);
    await assert.rejects(stream.next(), { sqlstate: '22012' });
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
    await assert.rejects(client.stream('DELETE FROM pg_class').next(), { name: 'InvalidError' });
    await assert.rejects(client.stream(SERIES, [1], { pageSize: 1e9 }).next(), { name: 'LimitError' });
    assert.throws(() => client.stream(SERIES, [1], { size: 1 }), { name: 'TypeError' });
    await idle(client);
});

test('a signal ends a stream, under way or between two rows', async (t) => {
    const client = open(t);
    const during = new AbortController(), between = new AbortController();
    const slow = client.stream('SELECT pg_sleep(30)', [], { signal: during.signal });
    const rows = client.stream(SERIES, [100], { signal: between.signal });
    const next = slow.next();

    await until(() => client.poolStats().active > 0);
    during.abort(new Error('enough'));
    await assert.rejects(next, (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    await rows.next();
    between.abort();
    await idle(client);
    await assert.rejects(rows.next(), { code: 'SP_CANCELLED' });
    assert.equal((await rows.next()).done, true);
});

test('several may ask a stream at once', async (t) => {
    const client = open(t);
    const stream = client.stream(SERIES, [5], { pageSize: 2 });
    const answers = await Promise.all(Array.from({ length: 7 }, () => stream.next()));

    assert.deepEqual(answers.map(({ value }) => value?.i), [1, 2, 3, 4, 5, undefined, undefined]);
});

test('memory does not grow with the rows', async (t) => {
    const client = open(t);
    let most = 0, least = Infinity, count = 0;

    for await (const row of client.stream(`SELECT i, repeat('x', 1000) AS pad FROM generate_series(1, 200000) i`)) {
        assert.equal(row.pad.length, 1000);
        if (++count % 10000 === 0 && count > 50000) {
            const { rss } = process.memoryUsage();
            most = Math.max(most, rss);
            least = Math.min(least, rss);
        }
    }
    assert.equal(count, 200000);
    /* 150 MB of cells went by. */
    assert.ok(most - least < 64e6, `${most - least} bytes more`);
});

async function table(t, client) {
    const name = `node_copy_${process.pid}_${Math.random().toString(36).slice(2)}`;

    await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY, name text)`);
    t.after(async () => {
        const last = new Client(settings());
        await last.query(`DROP TABLE ${name}`);
        await last.close();
    });
    return name;
}

test('COPY in takes text, bytes, iterables and Node streams, cut anywhere', async (t) => {
    const client = open(t, PATIENT), name = await table(t, client);
    const into = `COPY ${name} FROM STDIN`;
    const lines = function* (from, to) {
        for (let i = from; i < to; i++)
            yield `${i}\tname ${i}\n`;
    };

    assert.equal(await client.copyFrom(into, '1\tone\n2\ttwo\n'), 2);
    assert.equal(await client.copyFrom(into, [Buffer.from('3\tth'), new Uint8Array(Buffer.from('ree\n'))]), 1);
    assert.equal(await client.copyFrom(into, lines(1000, 51000)), 50000);
    assert.equal(await client.copyFrom(into, Readable.from(lines(4, 100))), 96);
    let count;
    await pipeline(Readable.from(lines(200, 300)), async (source) => { count = await client.copyFrom(into, source); });
    assert.equal(count, 100);
    assert.equal(await client.copyFrom(into, []), 0);
    assert.equal((await client.query(`SELECT count(*)::int4 AS n FROM ${name}`))[0].n, 50199);
    await client.transaction(async (tx) => {
        assert.equal(await tx.copyFrom(into, '0\tzero\n'), 1);
        assert.equal((await tx.query(`SELECT name FROM ${name} WHERE id = 0`))[0].name, 'zero');
    });
});

test('of a COPY in that fails nothing stays, and the session goes on', async (t) => {
    const client = open(t, { 'pool.max': 2 }), name = await table(t, client);
    const into = `COPY ${name} FROM STDIN`;
    async function* breaks() {
        yield '1\tone\n';
        throw new Error('the source is dry');
    }

    await assert.rejects(client.copyFrom(into, breaks()), { message: 'the source is dry' });
    await assert.rejects(client.copyFrom(into, '1\tone\n1\tone\n'), { sqlstate: '23505' });
    await assert.rejects(client.copyFrom(into, [7]), { name: 'TypeError', message: /strings or Buffers/ });
    await assert.rejects(client.copyFrom(into, 7), { name: 'TypeError' });
    await assert.rejects(client.copyFrom('SELECT 1', ''), { name: 'InvalidError' });
    const session = await client.acquire();
    await session.query('SET application_name = stays');
    await assert.rejects(session.copyFrom(into, breaks()), { message: 'the source is dry' });
    assert.equal((await session.query('SHOW application_name'))[0].application_name, 'stays');
    assert.equal((await session.query(`SELECT count(*)::int4 AS n FROM ${name}`))[0].n, 0);
    session.release();
});

test('COPY out is whole rows, to the end or as far as one likes', async (t) => {
    const client = open(t, { 'pool.max': 2, ...PATIENT });
    const from = 'COPY (SELECT i, md5(i::text) FROM generate_series(1, 20000) i) TO STDOUT';
    let lines = 0;

    for await (const chunk of client.copyTo(from)) {
        assert.equal(chunk.at(-1), 10);
        lines += chunk.toString().split('\n').length - 1;
    }
    assert.equal(lines, 20000);
    for (let i = 0; i < 5; i++) {
        for await (const chunk of client.copyTo('COPY (SELECT generate_series(1, 1000000)) TO STDOUT')) {
            assert.ok(chunk.length > 0);
            break;
        }
    }
    const all = [];
    await pipeline(Readable.from(client.copyTo(from)), async (source) => {
        for await (const chunk of source)
            all.push(chunk);
    });
    assert.equal(Buffer.concat(all).toString().split('\n').length, 20001);
    await assert.rejects(client.copyTo('COPY nowhere TO STDOUT').next(), { sqlstate: '42P01' });
    await client.transaction(async (tx) => {
        const chunks = [];
        for await (const chunk of tx.copyTo('COPY (SELECT 7) TO STDOUT'))
            chunks.push(chunk);
        assert.equal(String(chunks), '7\n');
        assert.equal((await tx.query('SELECT 1 AS one'))[0].one, 1);
    });
    await idle(client);
});

test('a listener hears what is sent, and is told when something may be missing', async (t) => {
    const channel = fresh('node'), client = open(t, { 'pool.application_name': channel });
    const heard = client.listen(channel);

    assert.deepEqual((await heard.next()).value, { channel, notice: 'listening', lost: false });
    for (const payload of ['one', 'two'])
        await client.query('SELECT pg_notify($1, $2)', [channel, payload]);
    const one = (await heard.next()).value;
    assert.deepEqual({ ...one, pid: typeof one.pid }, { channel, payload: 'one', pid: 'number' });
    assert.equal((await heard.next()).value.payload, 'two');
    await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = $1 AND pid <> pg_backend_pid()`, [channel]);
    assert.deepEqual((await heard.next()).value, { channel, notice: 'listening', lost: true });
    await heard.return();
    assert.equal((await heard.next()).done, true);
});

test('a listener ends with its signal, and with its client', async (t) => {
    const client = open(t), controller = new AbortController();
    const all = async (heard) => {
        const kept = [];
        for await (const message of heard)
            kept.push(message);
        return kept.length;
    };
    const aborted = all(client.listen(fresh('node'), { signal: controller.signal }));
    const closed = all(client.listen(fresh('node')));

    await client.query('SELECT 1');
    controller.abort();
    await aborted;
    await client.close();
    await closed;
    await assert.rejects(async () => client.listen('x').next(), { name: 'ClosedError' });
});

test('the pool tells of a crowd and of a session that is kept, and is resized', async (t) => {
    const client = open(t, { 'pool.max': 2, 'pool.warn_waiting': 1, 'pool.leak_after': '100ms', 'pool.acquire_timeout': '30s' });
    const pool = client.pool();
    const events = pool.events();
    const crowd = events.next();
    const session = await pool.acquire();
    const waiting = Array.from({ length: 4 }, () => pool.acquire());

    assert.equal((await crowd).value.kind, 'waiting');
    let event;
    do
        event = (await events.next()).value;
    while (event.kind !== 'leak');
    assert.ok(event.heldMs >= 100);
    pool.resize(8);
    for (const other of await Promise.all(waiting))
        other.release();
    session.release();
    assert.equal(pool.stats().max, 8);
    assert.throws(() => pool.resize(0), { name: 'InvalidError' });
    assert.equal((await pool.advice()).max, 8);
    await events.return();
});
