// SPDX-License-Identifier: MIT
'use strict';
/* A scope holds for all calls inside it, however deep, and for nobody else; a transaction is one. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { fresh, open, until } = require('./support.js');

test('a deadline holds for all that runs inside', async (t) => {
    const client = open(t);
    const deep = async () => {
        await new Promise(setImmediate);
        for (;;)
            await client.query('SELECT pg_sleep(0.02)');
    };

    await assert.rejects(client.scope({ timeout: 100 }, deep), { code: 'SP_TIMEOUT' });
    await assert.rejects(client.scope({ timeout: '1m' }, () => client.scope({ timeout: 100 }, deep)), { code: 'SP_TIMEOUT' });
    assert.equal(await client.scope({}, () => 7), 7);
    assert.equal((await client.query('SELECT 1 AS one'))[0].one, 1);
});

test('a signal ends what runs inside, and nothing else', async (t) => {
    const client = open(t), other = open(t);
    const controller = new AbortController();
    const slow = (of) => of.query('SELECT pg_sleep(0.2)').then(() => 'done', (error) => [error.code, error.cause?.message]);
    const outside = slow(client);
    const inside = client.scope({ signal: controller.signal }, () => {
        controller.abort(new Error('enough'));
        return Promise.all([slow(client), slow(other)]);
    });

    assert.deepEqual(await inside, [['SP_CANCELLED', 'enough'], 'done']);
    assert.equal(await outside, 'done');
});

test('a statement that is asked again and again is found when the scope is over, not when the collector comes', async (t) => {
    const client = open(t);
    const asked = async (options) => {
        for (let i = 0; i < 10; i++)
            await client.query('SELECT relname FROM pg_class WHERE oid = $1', [i], options);
    };
    const found = () => Number(/^sugarperf_profiler_findings\{kind="n\+1"\} (\d+)$/m.exec(client.metrics())[1]);

    await client.scope({ name: 'plain' }, () => asked());
    await until(() => found() === 1);
    await client.scope({ name: 'limited' }, () => asked({ timeout: '1m', signal: new AbortController().signal }));
    await until(() => found() === 2);
    await client.scope({ name: 'in a transaction' }, () => client.transaction(() => asked()));
    await until(() => found() === 3);
});

test('what a scope left behind goes on under what is above it', async (t) => {
    const client = open(t);
    let go, late;
    const gate = new Promise((resolve) => { go = resolve; });
    const later = () => gate.then(() => client.query('SELECT 1 AS one'));

    await client.scope({ timeout: '1m' }, () => client.scope({ name: 'left', timeout: '1m' }, async () => { late = [later(), client.transaction(later)]; }));
    go();
    assert.deepEqual((await Promise.all(late)).map((rows) => rows[0].one), [1, 1]);
});

test('what a scope may not be told is refused', async (t) => {
    const client = open(t);

    await assert.rejects(client.scope({ reads: 'nowhere' }, () => 1), { name: 'InvalidError', message: /nowhere/ });
    await assert.rejects(client.scope({ read: 'primary' }, () => 1), { name: 'TypeError' });
    await assert.rejects(client.scope({}, 1), { name: 'TypeError' });
});

test('what is loaded inside a transaction is not kept; what others load meanwhile is', async (t) => {
    const client = open(t), inside = fresh('scope'), outside = fresh('scope');
    let loads = 0;
    const get = (key) => client.cache.get(key, () => ++loads);
    let begun, end;
    const first = new Promise((resolve) => { begun = resolve; }), last = new Promise((resolve) => { end = resolve; });
    const running = client.transaction(async (tx) => {
        await tx.query('SELECT 1');
        assert.equal(await get(inside), 1);
        begun();
        await last;
    });

    await first;
    assert.equal(await get(outside), 2);
    assert.equal(await get(outside), 2);
    end();
    await running;
    assert.equal(await get(inside), 3);
    assert.equal(await get(inside), 3);
});

test('a scope says what its reads may take from the cache, also of what is in process', async (t) => {
    const client = open(t), key = fresh('scope');
    let loads = 0;
    const get = () => client.cache.get(key, () => ++loads);
    const many = async () => (await client.cache.getMany([key], () => ({ [key]: ++loads }))).get(key);

    assert.equal(await get(), 1);
    assert.equal(await client.scope({ cache: 'bypass' }, get), 2);
    assert.equal(await client.scope({ cache: 'bypass' }, many), 3);
    assert.equal(await get(), 1);
    assert.equal(await client.scope({ cache: 'read' }, get), 1);
    assert.equal(await client.scope({ cache: 'refresh' }, get), 4);
    assert.equal(await client.scope({ cache: 'refresh' }, () => client.scope({}, many)), 5);
    assert.equal(await get(), 5);
    assert.equal(await many(), 5);
});
