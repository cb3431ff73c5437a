// SPDX-License-Identifier: MIT
'use strict';
/* Many keys in one call: one load for those that nobody has. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { open, fresh, until } = require('./support.js');

const keysOf = (count = 5) => Array.from({ length: count }, () => fresh('node:many'));
const never = () => assert.fail('loaded');

/* A loader that remembers what it was asked for, and has a value for all keys but the last. */
function loaderOf(keys) {
    const load = async (missing) => {
        load.asked.push(missing);
        await new Promise((resolve) => setImmediate(resolve));
        return new Map(missing.filter((key) => key !== keys.at(-1)).map((key) => [key, { at: keys.indexOf(key) }]));
    };

    load.asked = [];
    return load;
}

const expected = (keys) => keys.map((key, i) => [key, i < keys.length - 1 ? { at: i } : null]);

test('what nobody has is loaded at once and once, by whomever', async (t) => {
    const { cache } = open(t), other = open(t).cache, keys = keysOf(), load = loaderOf(keys);

    assert.deepEqual(await cache.get(keys[1], () => ({ at: 1 })), { at: 1 });
    assert.deepEqual([...await cache.getMany([...keys, keys[0]], load)], expected(keys));
    assert.deepEqual(load.asked, [keys.filter((key) => key !== keys[1])]);
    assert.deepEqual([...await cache.getMany(keys, never)], expected(keys));
    assert.deepEqual([...await other.getMany(new Set(keys), never)], expected(keys));
    assert.equal(cache.peek(keys.at(-1)), null);
    assert.equal((await cache.getMany([], never)).size, 0);
});

test('values come back as they went in, and each caller has his own', async (t) => {
    const { cache } = open(t), other = open(t).cache;
    const values = ['text é', Buffer.from([0, 1, 255]), { a: [null, true, 1.5] }, [1], 0, false, null, '', Buffer.alloc(0)];
    const keys = keysOf(values.length), wanted = keys.map((key, i) => [key, values[i]]);

    assert.deepEqual([...await cache.getMany(keys, () => Object.fromEntries(wanted))], wanted);
    for (const reader of [cache, other, cache]) {
        const found = await reader.getMany(keys, never);

        assert.deepEqual([...found], wanted);
        found.get(keys[3]).push('mine');
    }
});

test('the tags and the time of each value are those that were said', async (t) => {
    const { cache } = open(t), keys = keysOf(), load = loaderOf(keys), tag = fresh('tag');
    const options = { ttl: 3600000, tags: (value, key) => (key === keys[2] ? [tag, `at-${value.at}`] : []) };

    await cache.getMany(keys, load, options);
    await cache.invalidate({ tags: [tag] });
    assert.deepEqual([...await cache.getMany(keys, load, options)], expected(keys));
    assert.deepEqual(load.asked[1], [keys[2]]);
    await cache.getMany(keys, load, { ...options, tags: [tag] });
    assert.equal(load.asked.length, 2);
});

test('callers at once share the loads', async (t) => {
    const { cache } = open(t), other = open(t).cache, keys = keysOf(), load = loaderOf(keys);
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => (
        (i % 2 ? cache : other).getMany([...keys.slice(i % 5), ...keys.slice(0, i % 5)], load))));

    for (const found of all)
        assert.deepEqual(keys.map((key) => [key, found.get(key)]), expected(keys));
    assert.deepEqual(load.asked.flat().sort(), [...keys].sort());
});

test('what another caller was to load and did not is loaded here', async (t) => {
    const { cache } = open(t), keys = keysOf(), load = loaderOf(keys);
    let fail;
    const failing = cache.get(keys[2], () => new Promise((_, reject) => { fail = () => reject(new Error('no')); }));

    await until(() => fail !== undefined);
    const found = cache.getMany(keys, load);

    await until(() => load.asked.length === 1);
    fail();
    await assert.rejects(failing, { message: 'no' });
    assert.deepEqual([...await found], expected(keys));
    assert.deepEqual(load.asked, [keys.filter((key) => key !== keys[2]), [keys[2]]]);
});

test('a loader that fails gives the keys back', async (t) => {
    const { cache } = open(t), keys = keysOf(), load = loaderOf(keys);

    await assert.rejects(cache.getMany(keys, () => { throw new Error('no'); }), { message: 'no' });
    for (const wrong of [7, null, [], 'text'])
        await assert.rejects(cache.getMany(keys, () => wrong), { name: 'TypeError', message: /by key/ });
    await assert.rejects(cache.getMany(keys, () => ({ [keys[0]]: 1n })), TypeError);
    await assert.rejects(cache.getMany(keys, load, { tags: () => [''] }), { code: 'SP_INVALID', message: /tag/ });
    await assert.rejects(cache.getMany([...keys, 7], load), { name: 'TypeError', message: /strings/ });
    await assert.rejects(cache.getMany('text', load), TypeError);
    await assert.rejects(cache.getMany([''], load), { code: 'SP_INVALID' });
    await assert.rejects(cache.getMany(keys), TypeError);
    assert.deepEqual([...await cache.getMany(keys, load)], expected(keys));
});

test('what is stale stands in where its refresh fails', async (t) => {
    const { cache } = open(t, { 'cache.jitter': 0, 'cache.retry': 0 }), keys = keysOf().map((key) => `${key}:stale`);
    const failing = () => { throw new Error('no'); };

    cache.template('node:many:{id}:stale', { ttl: '1ms', stale: '1h' });
    await cache.getMany(keys, () => Object.fromEntries(keys.map((key) => [key, 'old'])));
    await until(() => cache.peek(keys[0]) === undefined);
    assert.deepEqual([...await cache.getMany(keys, failing)], keys.map((key) => [key, 'old']));
    await cache.delete(keys[1]);
    await assert.rejects(cache.getMany(keys, failing), { message: 'no' });
    assert.equal((await cache.getMany(keys, () => ({ [keys[1]]: 'new' }))).get(keys[1]), 'new');
});

test('a value that is too large for the cache is still its caller\'s', async (t) => {
    const { cache } = open(t, { 'cache.value_max': '1KB' }), keys = keysOf(2), large = 'x'.repeat(2000);
    let loads = 0;
    const load = (missing) => Object.fromEntries(missing.map((key) => [key, (loads++, key === keys[0] ? large : 'small')]));

    for (let i = 0; i < 2; i++)
        assert.deepEqual([...await cache.getMany(keys, load)], [[keys[0], large], [keys[1], 'small']]);
    assert.equal(loads, 3);
});

test('a signal or a timeout ends the whole call and gives the keys back', async (t) => {
    const { cache } = open(t), keys = keysOf(), load = loaderOf(keys), controller = new AbortController();
    let inner;
    const hang = (_, { signal }) => {
        inner = signal;
        return new Promise(() => {});
    };
    const waiting = cache.getMany(keys, hang, { signal: controller.signal });

    await until(() => inner !== undefined);
    controller.abort(new Error('enough'));
    await assert.rejects(waiting, (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    assert.ok(inner.aborted);
    await assert.rejects(cache.getMany(keys, hang, { timeout: '50ms' }), { code: 'SP_TIMEOUT' });
    /* Also what is spent on waiting for others. */
    let finish;
    const other = cache.get(keys[0], () => new Promise((resolve) => { finish = () => resolve({ at: 0 }); }));

    await until(() => finish !== undefined);
    await assert.rejects(cache.getMany(keys, load, { timeout: '200ms' }), { code: 'SP_TIMEOUT' });
    finish();
    await other;
    assert.deepEqual([...await cache.getMany(keys, load, { timeout: 60000 })], expected(keys));
});

test('a client that closes ends who loads, and who comes later', async (t) => {
    const client = open(t), keys = keysOf();
    let finish;
    const loading = client.cache.getMany(keys, () => new Promise((resolve) => { finish = () => resolve({}); }));

    await until(() => finish !== undefined);
    await client.close({ timeout: 0 });
    finish();
    await assert.rejects(loading, { code: 'SP_CLOSED' });
    await assert.rejects(client.cache.getMany(keys, never), { code: 'SP_CLOSED' });
    assert.deepEqual([...await open(t).cache.getMany(keys, loaderOf(keys))], expected(keys));
});

test('thousands of keys are one call, more than the library takes are refused', async (t) => {
    const { cache } = open(t), keys = keysOf(3000);
    const found = await cache.getMany(keys, (missing) => Object.fromEntries(missing.map((key) => [key, key])));

    assert.ok(keys.every((key) => found.get(key) === key));
    await assert.rejects(cache.getMany(keysOf(10001), never), { code: 'SP_LIMIT', message: /10001/ });
});
