// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { setMaxListeners } = require('node:events');
const { Client, Statement } = require('..');
const { Pending } = require('../lib/pending.js');
const { open, settings, until } = require('./support.js');

test('a row has the types of JavaScript', async (t) => {
    const client = open(t);
    const [row] = await client.query(`SELECT 1::int4 AS i4, 2::int2 AS i2, 9007199254740993::int8 AS i8, 1.5::float8 AS f8,
        0.1::numeric AS num, true AS yes, false AS no, 'text'::text AS txt, NULL::text AS nil, '\\x00ff'::bytea AS bin,
        '{"a": [1]}'::jsonb AS js, '2024-02-29 12:34:56.789+02'::timestamptz AS at, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id`);

    assert.deepEqual({ ...row }, {
        i4: 1, i2: 2, i8: '9007199254740993', f8: 1.5, num: '0.1', yes: true, no: false, txt: 'text', nil: null,
        bin: Buffer.from([0, 255]), js: { a: [1] }, at: new Date('2024-02-29T10:34:56.789Z'),
        id: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    });
});

test('arrays keep NULL, quotes and nesting', async (t) => {
    const client = open(t);
    const [row] = await client.query(
        `SELECT '{1,NULL,3}'::int4[] AS ints, ARRAY['a"b', 'NULL', '\\', '', NULL] AS texts, '{{1,2},{3,4}}'::int4[] AS nested,
            '{}'::text[] AS none`);

    assert.deepEqual({ ...row }, {
        ints: [1, null, 3], texts: ['a"b', 'NULL', '\\', '', null], nested: [[1, 2], [3, 4]], none: [],
    });
});

test('parameters arrive as they were', async (t) => {
    const client = open(t);
    const at = new Date('2024-05-06T07:08:09.123Z');
    const values = ['é"\\', 42, 1.25, true, null, Buffer.from([0, 1, 255]), at, [1, null, 3], ['a"b', '\\'], { k: 'v' }, 7n];
    const [row] = await client.query(
        `SELECT $1::text AS a, $2::int4 AS b, $3::float8 AS c, $4::bool AS d, $5::text AS e, $6::bytea AS f,
            $7::timestamptz AS g, $8::int4[] AS h, $9::text[] AS i, $10::jsonb AS j, $11::int8 AS k`, values);

    assert.deepEqual(Object.values(row), [...values.slice(0, 10), '7']);
});

test('numbers arrive as they were, however they are written', async (t) => {
    const client = open(t);
    const numbers = [0, -0, 1, 9, 10, 99, 100, -1, -10, 999999999, 1000000000, 2147483647, -2147483648, 2147483648, -2147483649, 1.5, 1e21];

    for (const number of numbers)
        assert.deepEqual((await client.query('SELECT $1::text AS v', [number]))[0].v, String(number));
});

test('what JSON would make {} of is not written so', async (t) => {
    const client = open(t);
    const query = (type, value) => client.query(`SELECT $1::${type} AS v`, [value]);

    assert.deepEqual((await query('bytea', new Uint8Array([1, 2]).buffer))[0].v, Buffer.from([1, 2]));
    assert.deepEqual((await query('bytea[]', [new Uint8Array([1, 2]).buffer]))[0].v, [Buffer.from([1, 2])]);
    assert.deepEqual((await query('int[]', [1, , 3]))[0].v, [1, null, 3]);
    await assert.rejects(query('int[]', new Set([1])), /a Set cannot be a parameter: make an array/);
    await assert.rejects(query('jsonb', new Map([[1, 2]])), /a Map cannot be a parameter/);
    await assert.rejects(query('jsonb', Promise.resolve(1)), /await it/);
});

test('a result larger than the block that is reused arrives whole', async (t) => {
    const client = open(t);
    const rows = await client.query(`SELECT i, repeat('x', 1000) AS pad FROM generate_series(1, 2000) i`);

    assert.equal(rows.length, 2000);
    assert.equal(rows[1999].i, 2000);
    assert.ok(rows.every((row) => row.pad.length === 1000));
});

test('rows tell their fields, command and what a write affected', async (t) => {
    const client = open(t);
    const rows = await client.query('SELECT 1 AS one, $1::text AS two', ['x']);
    assert.deepEqual(rows.fields, [{ name: 'one', type: 23 }, { name: 'two', type: 25 }]);

    await client.transaction(async (session) => {
        await session.query('CREATE TEMPORARY TABLE node_rows (id int) ON COMMIT DROP');
        const written = await session.query('INSERT INTO node_rows SELECT generate_series(1, 3)');
        assert.equal(written.affected, 3);
        assert.equal(written.command, 'INSERT 0 3');
        assert.equal(written.length, 0);
    });
});

test('a parser of the caller stands in for the built-in one', async (t) => {
    const client = open(t, {}, { types: { 20: BigInt } });
    assert.deepEqual((await client.query('SELECT 5::int8 AS n'))[0].n, 5n);
    const [row] = await client.query('SELECT 5::int8 AS n', [], { types: { 20: Number } });
    assert.equal(row.n, 5);
});

test('a named statement runs many times', async (t) => {
    const client = open(t);
    const statement = new Statement('double', 'SELECT $1::int4 * 2 AS n');

    for (let i = 0; i < 5; i++)
        assert.equal((await client.query(statement, [i]))[0].n, i * 2);
    assert.equal(statement.name, 'double');
});

test('hundreds of concurrent callers each get their own answer', async (t) => {
    const client = open(t);
    const answers = await Promise.all(Array.from({ length: 512 }, (_, i) => client.query('SELECT $1::int4 AS n', [i])));

    answers.forEach((rows, i) => assert.equal(rows[0].n, i));
});

test('one statement that fails touches nobody else', async (t) => {
    const client = open(t);
    const answers = await Promise.allSettled(
        Array.from({ length: 64 }, (_, i) => client.query('SELECT 10 / $1::int4 AS n', [i % 2])));

    answers.forEach((answer, i) => {
        assert.equal(answer.status, i % 2 ? 'fulfilled' : 'rejected');
        if (answer.reason)
            assert.equal(answer.reason.sqlstate, '22012');
    });
});

test('an AbortSignal cancels, and the error tells why', async (t) => {
    const client = open(t);
    const controller = new AbortController();
    const query = client.query('SELECT pg_sleep(30)', [], { signal: controller.signal });

    controller.abort(new Error('enough'));
    await assert.rejects(query, (error) => error.name === 'CancelledError' && error.code === 'SP_CANCELLED' &&
        error.cause.message === 'enough');
    await assert.rejects(client.query('SELECT 1', [], { signal: controller.signal }), { code: 'SP_CANCELLED' });
    assert.equal((await client.query('SELECT 1 AS one'))[0].one, 1);
});

test('calls that share a signal are no leak, and a limit that was set is left', async (t) => {
    const client = open(t);
    const controller = new AbortController(), limited = new AbortController();
    const warned = [];
    const hear = (warning) => warned.push(warning.message);

    process.on('warning', hear);
    t.after(() => process.off('warning', hear));
    setMaxListeners(3, limited.signal);
    await Promise.all(Array.from({ length: 20 }, () => client.query('SELECT 1', [], { signal: controller.signal })));
    await new Promise(setImmediate);
    assert.deepEqual(warned, []);
    await Promise.all(Array.from({ length: 20 }, () => client.query('SELECT 1', [], { signal: limited.signal })));
    await new Promise(setImmediate);
    assert.match(warned.join(), /4 abort listeners/);
});

test('what is left of a deadline has fractions; null is no deadline', async (t) => {
    const client = open(t);

    assert.equal((await client.query('SELECT 1 AS n', [], { timeout: 5000.25 }))[0].n, 1);
    assert.equal((await client.query('SELECT 1 AS n', [], { timeout: null }))[0].n, 1);
    assert.equal(await client.scope({ timeout: 5000.25 }, () => 1), 1);
});

test('a timeout ends the call, not the client', async (t) => {
    const client = open(t);

    await assert.rejects(client.query('SELECT pg_sleep(30)', [], { timeout: 50 }), { name: 'TimeoutError' });
    await assert.rejects(client.query('SELECT pg_sleep(30)', [], { timeout: '50ms' }), { code: 'SP_TIMEOUT' });
    await assert.rejects(client.query('SELECT 1', [], { timeout: 'soon' }), { name: 'InvalidError' });
    assert.equal((await client.query('SELECT 1 AS one'))[0].one, 1);
});

test('the event loop turns while a slow query runs', async (t) => {
    const client = open(t);
    let turns = 0;
    let done = false;
    const query = client.query('SELECT pg_sleep(0.3)').finally(() => { done = true; });

    await until(() => done || ++turns > 1000);
    assert.equal(done, false);
    await query;
});

test('a transaction is all or nothing', async (t) => {
    const client = open(t);
    const table = `node_tx_${process.pid}`;
    await client.query(`CREATE TABLE ${table} (id int)`);
    t.after(async () => {
        const last = new Client(settings());
        await last.query(`DROP TABLE ${table}`);
        await last.close();
    });

    await client.transaction((session) => session.query(`INSERT INTO ${table} VALUES (1)`));
    await assert.rejects(client.transaction(async (session) => {
        await session.query(`INSERT INTO ${table} VALUES (2)`);
        throw new Error('no');
    }), { message: 'no' });
    assert.deepEqual((await client.query(`SELECT id FROM ${table}`)).map((row) => row.id), [1]);
});

test('a released session refuses', async (t) => {
    const client = open(t);
    const session = await client.acquire();

    session.release();
    session.release();
    await assert.rejects(session.query('SELECT 1'), { name: 'ClosedError' });
});

test('a parameter that submits something itself while it is written spoils nothing', async (t) => {
    const client = open(t);
    const within = [];
    const calls = [() => client.query("SELECT 'inner' AS v"), () => client.batch("SELECT 'inner' AS v, $1::int4", [[1]]),
        async () => { (await client.acquire()).release(); }];

    (await client.acquire()).release();
    for (const call of calls) {
        const value = { toJSON() { within.push(call()); return { k: 1 }; } };
        const before = Array.from({ length: 5 }, (_, i) => client.query("SELECT 'user ' || $1::int4 AS v", [i]));
        const outer = client.query('SELECT $1::jsonb AS v, $2::int4 AS n', [value, 7]);
        const listed = client.batch('SELECT $1::jsonb AS v, $2::int4 AS n', [[value, 8], [value, 9]]);
        const after = Array.from({ length: 5 }, (_, i) => client.query("SELECT 'user ' || $1::int4 AS v", [i + 5]));

        assert.deepEqual((await Promise.all([...before, ...after])).map(([row]) => row.v), Array.from({ length: 10 }, (_, i) => `user ${i}`));
        assert.deepEqual({ ...(await outer)[0] }, { v: { k: 1 }, n: 7 });
        assert.deepEqual((await listed).map(([row]) => row.n), [8, 9]);
    }
    assert.equal(within.length, 9);
    const answers = await Promise.all(within);
    assert.deepEqual(answers.slice(0, 3).map(([row]) => row.v), ['inner', 'inner', 'inner']);
});

test('an operation is answered once, and whoever takes its place has his own answer', () => {
    const pending = new Pending();
    const first = pending.add('first');

    assert.equal(pending.take(first), 'first');
    const second = pending.add('second');
    assert.equal(pending.take(first), undefined);
    assert.equal(pending.size, 1);
    assert.equal(pending.take(second), 'second');
    assert.equal(pending.take(second), undefined);
    assert.equal(pending.size, 0);
    for (let i = 0; i < 5000; i++)
        assert.equal(pending.take(pending.add(i)), i);
    const tags = Array.from({ length: 100 }, (_, i) => pending.add(i));
    assert.equal(new Set(tags).size, 100);
    assert.deepEqual(tags.map((tag) => pending.take(tag)), Array.from({ length: 100 }, (_, i) => i));
});
