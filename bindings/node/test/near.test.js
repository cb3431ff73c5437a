// SPDX-License-Identifier: MIT
'use strict';
/* Hits in process: what was made of a value once is used again, and no caller sees what another one does to his. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { open, fresh } = require('./support.js');

const absent = () => assert.fail('loaded twice');

/* As a hit of each kind of look-up, several times: what was kept, and what was made of that. */
async function hits(cache, key) {
    const found = [];

    for (let i = 0; i < 4; i++)
        found.push(cache.peek(key), await cache.get(key, absent));
    return found;
}

test('each hit is as the first one was', async (t) => {
    const { cache } = open(t);
    const names = JSON.parse('{"__proto__": {"a": 1}, "constructor": [{"__proto__": null}], "then": {"b": "é"}}');
    const values = ['', 'text é', 'x'.repeat(10000), null, 0, false, {}, [], [[], [{}]], { a: 1, b: null, c: 'é' },
        { list: [{ id: 1, tags: ['x'] }, null], deep: { er: { still: 1.5 } } }, { long: 'y'.repeat(5000) }, names,
        Buffer.from([0, 255])];

    for (const value of values) {
        const key = fresh('node:near');

        await cache.get(key, () => value);
        for (const found of await hits(cache, key)) {
            assert.deepEqual(found, value);
            assert.equal(JSON.stringify(found), JSON.stringify(value));
        }
    }
});

test('what a caller does to his value is nobody else\'s', async (t) => {
    const { cache } = open(t);
    const made = () => ({ name: 'as loaded', list: [1, { two: 2 }], sub: { key: 'k' } });
    const deep = fresh('node:near'), flat = fresh('node:near'), list = fresh('node:near'), bytes = fresh('node:near');

    await cache.get(deep, made);
    await cache.get(flat, () => ({ name: 'as loaded' }));
    await cache.get(list, () => [1, 2]);
    await cache.get(bytes, () => Buffer.from('bytes'));
    for (let i = 0; i < 4; i++) {
        const one = cache.peek(deep), other = await cache.get(flat, absent);

        assert.deepEqual(one, made());
        assert.deepEqual(other, { name: 'as loaded' });
        assert.deepEqual(cache.peek(list), [1, 2]);
        assert.equal(String(cache.peek(bytes)), 'bytes');
        one.name = other.name = 'changed';
        one.sub.key = one.list[1].two = 'changed';
        one.list.push('more');
        other.more = 1;
        cache.peek(list).push(3);
        cache.peek(bytes).fill(0);
    }
});

test('an invalidated value is not found again, nor is one that took its place', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:near');

    for (let version = 1; version <= 50; version++) {
        await cache.get(key, () => ({ version }));
        for (const found of await hits(cache, key))
            assert.deepEqual(found, { version });
        await cache.invalidate({ keys: [key] });
        assert.equal(cache.peek(key), undefined);
    }
});

test('more keys than there are places', async (t) => {
    const { cache } = open(t, { 'redis.url': '' });
    const keys = Array.from({ length: 6000 }, () => fresh('node:near'));
    const indexes = keys.map((_, index) => index);

    await Promise.all(indexes.map((index) => cache.get(keys[index], () => ({ index, list: [index] }))));
    for (let round = 0; round < 3; round++) {
        for (const step of indexes) {
            const index = (step * 7919 + round) % keys.length;
            assert.deepEqual(cache.peek(keys[index]), { index, list: [index] });
        }
    }
    /* A few that are asked for again and again. */
    for (let i = 0; i < 20000; i++)
        assert.equal(cache.peek(keys[i % 50]).index, i % 50);
});

test('values that leave the level while their copies are kept', async (t) => {
    const { cache } = open(t, { 'redis.url': '', 'cache.memory': '1MB' });
    const text = 'z'.repeat(1000);

    for (let i = 0; i < 4000; i++) {
        const key = `node:near:${i % 1500}`;
        const value = await cache.get(key, () => ({ number: i % 1500, text }));

        assert.equal(value.number, i % 1500);
        cache.peek(key);
    }
});

test('a closed client has no hits', async (t) => {
    const client = open(t);
    const key = fresh('node:near');

    await client.cache.get(key, () => ({ a: 1 }));
    assert.deepEqual(client.cache.peek(key), { a: 1 });
    await client.close();
    assert.throws(() => client.cache.peek(key), { code: 'SP_CLOSED' });
    await assert.rejects(client.cache.get(key, absent), { code: 'SP_CLOSED' });
});
