// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const sugarperf = require('..');
const { open, settings } = require('./support.js');

const { Client, SqlError, SugarperfError } = sugarperf;

test('SQL that fails is an SqlError with its SQLSTATE, and without the values', async (t) => {
    const client = open(t);
    await assert.rejects(client.query("SELECT $1::text || nothing", ['secret-value']), (error) => {
        assert.ok(error instanceof SqlError && error instanceof SugarperfError && error instanceof Error);
        assert.equal(error.name, 'SqlError');
        assert.equal(error.code, 'SP_SQL');
        assert.equal(error.sqlstate, '42703');
        assert.equal(error.retryable, false);
        assert.doesNotMatch(error.message, /secret-value|\n/);
        return true;
    });
});

test('a wrong configuration name or value is refused at once', () => {
    assert.throws(() => new Client({ 'pool.maximum': 20 }), (error) =>
        error.name === 'ConfigError' && error.message.includes('pool.maximum'));
    assert.throws(() => new Client({ 'pool.max': 'many' }), (error) =>
        error.name === 'ConfigError' && error.message.includes('pool.max'));
});

test('an invalid URL does not show its password', () => {
    assert.throws(() => new Client({ 'pool.url': 'http://app:hunter2@db/x' }), (error) =>
        error instanceof SugarperfError && !error.message.includes('hunter2') && error.message.includes('pool.url'));
});

/* Speaks as much of PostgreSQL's protocol as a refused password takes. */
function refusing() {
    const text = 'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "app"\0\0';
    const error = Buffer.alloc(5 + text.length);
    error.write('E');
    error.writeInt32BE(4 + text.length, 1);
    error.write(text, 5);
    const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => {
            if (data.length === 8)
                socket.write('N');
            else if (data[0] === 0x70)
                socket.end(error);
            else
                socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
        });
    });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

test('a refused password is an AuthError that does not show it', async (t) => {
    const server = await refusing();
    t.after(() => server.close());
    const client = open(t, { 'pool.url': `postgresql://app:hunter2@127.0.0.1:${server.address().port}/db` });

    await assert.rejects(client.query('SELECT 1', [], { timeout: 10000 }), (error) => {
        assert.equal(error.name, 'AuthError', error.message);
        assert.doesNotMatch(error.message, /hunter2|\n/);
        return true;
    });
});

test('an unreachable server is an UnavailableError that names it, and the process goes on', async (t) => {
    const client = open(t, { 'pool.url': 'postgresql://app:hunter2@127.0.0.1:1/db' });

    await assert.rejects(client.query('SELECT 1', [], { timeout: 10000 }), (error) => {
        assert.equal(error.name, 'UnavailableError', error.message);
        assert.match(error.message, /127\.0\.0\.1/);
        assert.doesNotMatch(error.message, /hunter2|\n/);
        return true;
    });
});

test('a statement that needs a session says so', async (t) => {
    const client = open(t);
    await assert.rejects(client.query('BEGIN'), { name: 'SessionError' });
});

test('an error leads to who asked', async (t) => {
    const client = open(t);
    const calls = {
        query: () => client.query('SELECT nothing'), pool: () => client.pool().query('SELECT nothing'), batch: () => client.batch('SELECT nothing', [[]]),
        transaction: () => client.transaction((tx) => tx.query('SELECT nothing')),
        late: () => client.query('SELECT pg_sleep(60)', [], { timeout: 1 }),
    };

    for (const [name, call] of Object.entries(calls)) {
        const whoAsks = async () => {
            await call();
        };
        await assert.rejects(whoAsks(), (error) => /whoAsks/.test(error.stack) && error.stack.startsWith(error.name), name);
    }
});

test('what is to be called instead is named as it is here', async (t) => {
    const client = open(t);

    await assert.rejects(client.query('SET search_path TO public'), /from acquire\(\)/);
    await assert.rejects(client.query('COPY nothing TO STDOUT'), /copyFrom\(\) or copyTo\(\)/);
    await assert.rejects(client.query('SELECT sp_pool_acquire()'), /sp_pool_acquire\(\)/);
});

test('arguments of the wrong kind are TypeErrors', async (t) => {
    const client = open(t);
    await assert.rejects(client.query(42), TypeError);
    await assert.rejects(client.query('SELECT 1', 'not an array'), TypeError);
    await assert.rejects(client.query('SELECT $1', [Symbol('x')]), TypeError);
    await assert.rejects(client.query('SELECT $1::timestamptz', [new Date(NaN)]), TypeError);
});

test('without a database the error says what to set', async (t) => {
    const client = new Client();

    t.after(() => client.close());
    const missing = { name: 'NotFoundError', message: 'no database is configured: set pool.url (DATABASE_URL)' };
    await assert.rejects(client.query('SELECT 1'), missing);
    await assert.rejects(client.query('SELECT 1', [], { pool: 'default' }), missing);
    await assert.rejects(client.cache.query('a:b', 'SELECT 1'), missing);
});

test('a pool that nobody configured is named', async (t) => {
    const client = open(t);
    await assert.rejects(client.query('SELECT 1', [], { pool: 'orders' }), (error) =>
        error.name === 'NotFoundError' && error.message.includes('orders'));
});

test('after close everything refuses', async () => {
    const client = new Client(settings());
    const { cache, profiler } = client;
    await client.query('SELECT 1');
    await client.close();
    await client.close();

    await assert.rejects(client.query('SELECT 1'), { name: 'ClosedError' });
    await assert.rejects(cache.get('a:b', () => 1), { name: 'ClosedError' });
    await assert.rejects(cache.invalidate({ keys: ['a:b'] }), { name: 'ClosedError' });
    assert.throws(() => client.metrics(), { name: 'ClosedError' });
    assert.throws(() => profiler.stats('x'), { name: 'ClosedError' });
});

test('every status has a class, exported by name from both module systems', async () => {
    const native = require('../lib/native.js');
    const esm = await import('../lib/index.mjs');

    for (let status = -1; native.status_name(status) !== 'SP_UNKNOWN'; status--) {
        const { errorOfStatus } = require('../lib/errors.js');
        const error = errorOfStatus(status, 'message', '', false);
        assert.equal(error.code, native.status_name(status));
        assert.equal(sugarperf[error.name], error.constructor);
    }
    assert.deepEqual(Object.keys(esm).filter((name) => name !== 'default').sort(), Object.keys(sugarperf).sort());
});

test('an inspected client shows no secret', async (t) => {
    const client = open(t, { 'pool.url': 'postgresql://app:hunter2@127.0.0.1:1/db' });
    const { inspect } = require('node:util');

    assert.doesNotMatch(inspect(client, { depth: 10, showHidden: true }), /hunter2/);
});
