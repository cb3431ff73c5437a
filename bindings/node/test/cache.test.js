// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { open, fresh, until } = require('./support.js');

test('500 callers on a cold key make one load', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:cold');
    let loads = 0;
    const load = async () => {
        loads++;
        await new Promise((resolve) => setImmediate(resolve));
        return { items: [1, 2, 3], title: 'é' };
    };
    const values = await Promise.all(Array.from({ length: 500 }, () => cache.get(key, load)));

    assert.equal(loads, 1);
    for (const value of values)
        assert.deepEqual(value, { items: [1, 2, 3], title: 'é' });
    assert.deepEqual(cache.peek(key), { items: [1, 2, 3], title: 'é' });
});

test('a loader that throws fails its caller alone', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:throws');
    let loads = 0;
    const load = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        if (++loads === 1)
            throw new Error('first one fails');
        return 'good';
    };
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => cache.get(key, load)));
    const failed = answers.filter((answer) => answer.status === 'rejected');

    assert.equal(failed.length, 1);
    assert.equal(failed[0].reason.message, 'first one fails');
    assert.equal(loads, 2);
    assert.ok(answers.every((answer) => answer.status === 'rejected' || answer.value === 'good'));
});

test('text, bytes, JSON and nothing come back as they went in', async (t) => {
    const client = open(t);
    const other = open(t);
    for (const value of ['text é', Buffer.from([0, 1, 255]), { a: [null, true, 1.5] }, [1], 0, false, null, '']) {
        const key = fresh('node:codec');
        assert.deepEqual(await client.cache.get(key, () => value), value);
        assert.deepEqual(await client.cache.get(key, () => assert.fail('loaded twice')), value);
        assert.deepEqual(await other.cache.get(key, () => assert.fail('not shared')), value);
    }
});

test('what cannot be cached fails and gives the lease back', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:cannot');

    await assert.rejects(cache.get(key, () => () => {}), TypeError);
    await assert.rejects(cache.get(key, () => ({ big: 1n })), TypeError);
    for (const value of [NaN, [null, Infinity], { score: -Infinity, at: new Date(NaN) }, { toJSON: () => [NaN] }, [new Number(NaN)]])
        await assert.rejects(cache.get(key, () => value), /neither NaN nor Infinity/);
    assert.deepEqual(await cache.get(`${key}:date`, () => ({ at: new Date(NaN) })), { at: null });
    assert.equal(await cache.get(key, () => 'fine'), 'fine');
});

test('an invalidated key is loaded again', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:invalidate');
    let version = 0;
    const load = () => ++version;

    assert.equal(await cache.get(key, load), 1);
    await cache.invalidate({ keys: [key] });
    assert.equal(cache.peek(key), undefined);
    assert.equal(await cache.get(key, load), 2);
});

test('a pattern with a value drops the keys of that user alone', async (t) => {
    const { cache } = open(t);
    const user = fresh('u').replace(':', '-');
    const recs = cache.template('rec:recommendations:{userId}:{limit}', {
        ttl: '1h', patterns: ['rec:recommendations:*', 'rec:recommendations:{userId}:*'],
    });
    const counts = new Map();
    const get = (key) => cache.get(key, () => {
        counts.set(key, (counts.get(key) ?? 0) + 1);
        return counts.get(key);
    });
    const [mine, also, theirs] = [recs.key(user, 10), recs.key({ userId: user, limit: 20 }), recs.key(`${user}x`, 10)];

    assert.equal(mine, `rec:recommendations:${user}:10`);
    assert.deepEqual(await Promise.all([get(mine), get(also), get(theirs)]), [1, 1, 1]);
    await cache.invalidate({ patterns: [{ pattern: 'rec:recommendations:{userId}:*', params: [user] }] });
    assert.deepEqual(await Promise.all([get(mine), get(also), get(theirs)]), [2, 2, 1]);
    await cache.invalidate({ patterns: ['rec:recommendations:*'] });
    assert.deepEqual(await Promise.all([get(mine), get(also), get(theirs)]), [3, 3, 2]);
    await assert.rejects(cache.invalidate({ patterns: ['rec:nobody:*'] }), { name: 'InvalidError' });
});

test('a tag that the loader chose drops its entries', async (t) => {
    const { cache } = open(t);
    const [key, tag] = [fresh('node:tagged'), fresh('tag')];
    let version = 0;
    const get = () => cache.get(key, () => ({ version: ++version }), { tags: (value) => [tag, `v${value.version}`] });

    assert.deepEqual(await get(), { version: 1 });
    await cache.invalidate({ tags: [tag] });
    assert.deepEqual(await get(), { version: 2 });
});

test('a query through the cache runs once and keeps its types', async (t) => {
    const client = open(t);
    const key = fresh('node:query');
    const sql = 'SELECT clock_timestamp()::text AS at, $1::int4 AS n';
    const first = await client.cache.query(key, sql, [7]);
    const second = await client.cache.query(key, sql, [7]);

    assert.equal(first[0].n, 7);
    assert.deepEqual(second, first);
    const cell = fresh('node:cell');
    assert.deepEqual(await client.cache.query(cell, `SELECT '{"a": 1}'::jsonb`, [], { as: 'cell' }), { a: 1 });
    assert.equal(await client.cache.query(fresh('node:none'), 'SELECT 1 WHERE false', [], { as: 'cell' }), null);
});

test('a waiter can give up while another loads', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:give-up');
    const controller = new AbortController();
    let finish;
    const loaded = cache.get(key, () => new Promise((resolve) => { finish = resolve; }));
    while (!finish)
        await new Promise((resolve) => setImmediate(resolve));
    const waiting = cache.get(key, () => assert.fail('not the loader'), { signal: controller.signal });

    controller.abort();
    await assert.rejects(waiting, { code: 'SP_CANCELLED' });
    finish('late');
    assert.equal(await loaded, 'late');
});

test("a timeout ends the caller's own load and gives the lease back", async (t) => {
    const { cache } = open(t);
    const key = fresh('node:late');

    for (const hears of [true, false]) {
        let reason;
        const load = ({ signal }) => new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
                ({ reason } = signal);
                if (hears)
                    reject(reason);
            });
        });

        /* On a busy machine the time may be over before the loader's turn. */
        while (reason === undefined)
            await assert.rejects(cache.get(key, load, { timeout: '100ms' }), { code: 'SP_TIMEOUT' });
        assert.equal(reason.code, 'SP_TIMEOUT');
    }
    assert.equal(await cache.get(key, ({ signal }) => String(signal.aborted), { timeout: 60000 }), 'false');
    assert.equal(cache.peek(key), 'false');
});

test("a signal ends the caller's own load and gives the lease back", async (t) => {
    const { cache } = open(t);
    const key = fresh('node:aborted');
    const controller = new AbortController();
    let inner;
    const loading = cache.get(key, ({ signal }) => {
        inner = signal;
        return new Promise(() => {});
    }, { signal: controller.signal });

    await until(() => inner !== undefined);
    controller.abort(new Error('enough'));
    await assert.rejects(loading, (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    assert.ok(inner.aborted);
    assert.equal(await cache.get(key, () => 'good', { signal: new AbortController().signal }), 'good');
    await assert.rejects(cache.get(fresh('node:before'), () => assert.fail('loaded'), { signal: controller.signal }),
        { code: 'SP_CANCELLED' });
});

test('hits and misses are counted', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:count');

    await cache.get(key, () => 1);
    await cache.get(key, () => 1);
    assert.ok(cache.hits >= 1);
    assert.ok(cache.misses >= 1);
    assert.ok(cache.hitRate > 0 && cache.hitRate < 1);
    assert.ok('cache_hits_total' in cache.report());
});

async function seenBy(cache, key, value) {
    let found;

    do
        found = await cache.get(key, () => assert.fail('loaded'));
    while (JSON.stringify(found) !== JSON.stringify(value));
}

test('a value that is set is everybody\'s, until it is deleted or its time is over', async (t) => {
    const { cache } = open(t), other = open(t).cache;
    const key = fresh('node:set');

    for (const value of [{ a: [1] }, 'text', Buffer.from([0, 255]), 0, null]) {
        await cache.set(key, value, { ttl: 60000 });
        assert.deepEqual(await cache.get(key, () => assert.fail('loaded')), value);
        await seenBy(other, key, value);
    }
    /* null: that there is nothing. */
    assert.equal(await cache.touch(key, { ttl: 1000 }), false);
    await cache.set(key, 'text', { ttl: 60000 });
    assert.equal(await cache.touch(key, { ttl: 1000 }), true);
    await cache.delete(key);
    assert.equal(cache.peek(key), undefined);
    assert.equal(await cache.touch(key), false);
    assert.equal(await cache.get(key, () => 'loaded anew'), 'loaded anew');
});

test('what is set wins over a load that was under way', async (t) => {
    const { cache } = open(t);
    const key = fresh('node:set');
    let go;
    const loading = cache.get(key, () => new Promise((resolve) => { go = () => resolve('loaded'); }));

    await until(() => go !== undefined);
    await cache.set(key, 'set');
    go();
    assert.equal(await loading, 'loaded');
    assert.equal(await cache.get(key, () => assert.fail('loaded twice')), 'set');
});

test('a set without Redis is this process\'s, a call that makes no sense is refused', async (t) => {
    const { cache } = open(t, { 'redis.url': '' });

    await cache.set('node:alone', { b: 2 });
    assert.deepEqual(cache.peek('node:alone'), { b: 2 });
    await assert.rejects(cache.set(7, 'value'), TypeError);
    await assert.rejects(cache.set('node:alone', () => {}), TypeError);
    await assert.rejects(cache.set('node:alone', 1, { ttl: 'soon' }), TypeError);
    await assert.rejects(cache.touch('node:alone', { tl: 1 }), TypeError);
    await assert.rejects(cache.delete(null), TypeError);
    await assert.rejects(cache.set('k'.repeat(2000), 1), { code: 'SP_LIMIT' });
});

test('what cannot be read is loaded anew', async (t) => {
    const native = require('../lib/native.js');
    const { watchOf } = require('../lib/client.js');
    const { handleOf } = require('../lib/cache.js');
    const client = open(t), other = open(t), { cache } = client;

    for (const read of [(key, load) => cache.get(key, load), async (key, load) => (await cache.getMany([key],
        async () => new Map([[key, load()]]))).get(key)]) {
        for (const writer of [client, other]) {
            const key = fresh('node:broken');

            await watchOf(writer).submit('cache_set_async',
                (ctx) => [handleOf(writer.cache), ctx, key, Buffer.from('{"score":NaN}'), native.SP_CODEC_JSON, 60000]);
            assert.equal(cache.peek(key), undefined);
            assert.deepEqual(await read(key, () => ({ score: null })), { score: null });
            assert.deepEqual(await read(key, () => assert.fail('loaded twice')), { score: null });
        }
    }
});
