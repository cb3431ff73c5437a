// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { OpenError, Statement } = require('..');
const { Recent } = require('../lib/recent.js');
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

test('health is that of the whole: pools, Redis, breakers, feeds', async (t) => {
    const away = 'postgresql://app:hunter2@127.0.0.1:1/db';
    const up = await open(t, { 'pool.orders.url': process.env.DATABASE_URL }).health();
    const half = await open(t, { 'pool.orders.url': away }).health();
    const down = await open(t, { 'pool.url': away }).health({ timeout: 2000 });
    const client = open(t, { 'redis.url': 'redis://127.0.0.1:1' });

    assert.deepEqual([up.status, up.database, up.pools.orders.database, up.redis.status, up.feeds],
        ['healthy', 'connected', 'connected', 'connected', []]);
    assert.ok(Object.keys(up.poolMetrics).length > 0);
    assert.deepEqual([half.status, half.database, half.pools.orders.database], ['unhealthy', 'connected', 'disconnected']);
    assert.deepEqual([down.status, down.database], ['unhealthy', 'disconnected']);
    client.breaker('payments').force('OPEN');
    const ill = await client.health();
    assert.deepEqual([ill.status, ill.redis.status], ['degraded', 'disconnected']);
    assert.deepEqual([ill.breakers[0].name, ill.breakers[0].state], ['payments', 'OPEN']);
    assert.equal((await client.pool().health()).status, 'healthy');
    assert.doesNotMatch(JSON.stringify([half, down]), /hunter2/);
});

test('what a service counts itself stands on the page', async (t) => {
    const client = open(t);
    const orders = client.counter('shop_orders', 'Orders taken.', { method: 'card', retried: false });
    const open_ = client.gauge('shop_open', 'Orders that are open.');
    const times = client.histogram('shop_order_seconds', 'Time of an order.');

    orders.add();
    client.counter('shop_orders', 'Orders taken.', { retried: 'false', method: 'card' }).add(2);
    open_.set(4);
    open_.add(-1.5);
    times.record(250);
    assert.deepEqual([orders.value, open_.value, times.count], [3, 2.5, 1]);
    assert.ok(Math.abs(times.quantile(0.5) - 250) < 5);
    assert.match(client.metrics(), /^shop_orders_total{method="card",retried="false"} 3$/m);
    assert.match(client.metrics(), /^shop_open 2.5$/m);
    assert.match(client.metrics(), /^shop_order_seconds_sum 0.25$/m);
    assert.throws(() => client.gauge('shop_orders', 'Orders taken.'), { code: 'SP_INVALID', message: /another kind/ });
    assert.throws(() => client.counter('no name', 'x'), { code: 'SP_INVALID' });
    assert.throws(() => client.counter('a', 'x', 'labels'), { name: 'TypeError', message: 'labels must be an object' });
    for (const count of [1.5, -1, NaN, '1'])
        assert.throws(() => orders.add(count), { name: 'TypeError', message: 'count must be a whole number, 0 or more' });
    assert.throws(() => times.record('1s'), { name: 'TypeError' });
    await client.close();
    orders.add();
    times.record(1);
    assert.deepEqual([orders.value, open_.value, times.count, times.quantile(1)], [0, 0, 0, 0]);
    assert.throws(() => client.counter('a', 'x'), { name: 'ClosedError' });
});

test('what was used last is kept, at least as much as was said and at most twice as much', () => {
    const recent = new Recent(10);

    for (let i = 0; i < 100; i++) {
        recent.set(i, `${i}`);
        assert.equal(recent.get(0), '0');
        for (let last = Math.max(0, i - 8); last <= i; last++)
            assert.equal(recent.get(last), `${last}`);
    }
    assert.ok(Array.from({ length: 100 }, (_, i) => recent.get(i)).filter((found) => found !== undefined).length <= 20);
    recent.delete(99);
    assert.equal(recent.get(99), undefined);
});
