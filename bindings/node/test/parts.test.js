// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { OpenError, Statement } = require('..');
const { open } = require('./support.js');

test('the breaker opens after five failures in a row and answers with the fallback', async (t) => {
    const breaker = open(t).breaker('payments');
    const fail = () => Promise.reject(new Error('down'));

    assert.equal(breaker.state, 'CLOSED');
    assert.equal(await breaker.run(() => 'up'), 'up');
    for (let i = 0; i < 5; i++)
        await assert.rejects(breaker.run(fail), { message: 'down' });
    assert.equal(breaker.state, 'OPEN');
    await assert.rejects(breaker.run(() => assert.fail('was called')), OpenError);
    assert.equal(await breaker.run(() => assert.fail('was called'), (error) => error.code), 'SP_OPEN');
    assert.ok(breaker.nextAttempt > 0);
    assert.equal(breaker.report().state, 'OPEN');
});

test("the caller's own errors do not open the breaker, and pass by the fallback", async (t) => {
    const client = open(t);
    const breaker = client.breaker('database');

    for (let i = 0; i < 10; i++)
        await assert.rejects(breaker.run(() => client.query('SELECT 1/0'), () => 'fallback'), { name: 'SqlError' });
    assert.equal(breaker.state, 'CLOSED');
    assert.equal(breaker.failures, 0);
});

test('the profiler knows statements and work by name', async (t) => {
    const client = open(t, { 'profiler.slow': '50ms' });

    await client.profiler.run('work', () => client.query(new Statement('named-select', 'SELECT 1')));
    await assert.rejects(client.profiler.run('work', () => Promise.reject(new Error('no'))));
    await client.query(new Statement('sleeper', 'SELECT pg_sleep($1::float8)'), [0.1]);
    assert.equal(client.profiler.stats('work').count, 2);
    assert.equal(client.profiler.stats('work').errors, 1);
    assert.equal(client.profiler.stats('named-select').count, 1);
    const slow = client.profiler.slow().find((entry) => entry.name === 'sleeper');
    assert.ok(slow && slow.duration >= 100);
    assert.match(slow.text, /pg_sleep/);
    assert.deepEqual(client.profiler.slow(), []);
});

test('metrics are Prometheus text, or OpenMetrics on request', async (t) => {
    const client = open(t);
    await client.query('SELECT 1');

    assert.match(client.metrics(), /^# HELP /m);
    assert.match(client.metrics('openmetrics'), /# EOF\s*$/);
    assert.throws(() => client.metrics('xml'), { name: 'InvalidError' });
    assert.ok(client.poolStats().max > 0);
});

test('health is that of the database, up or down', async (t) => {
    const up = await open(t).health();
    const down = await open(t, { 'pool.url': 'postgresql://app:hunter2@127.0.0.1:1/db' }).health();

    assert.ok('active' in up.poolMetrics || Object.keys(up.poolMetrics).length > 0);
    assert.notEqual(up.status, down.status);
    assert.doesNotMatch(JSON.stringify(down), /hunter2/);
});
