// SPDX-License-Identifier: MIT
'use strict';
/* What a call is refused for is said: the offender, and the limit. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { Breaker, Client, Clock, Statement, Template } = require('..');
const { open, fresh } = require('./support.js');
const vectors = require('../../../tests/vectors/refused.json');

/* "k*1025" is 1,025 times k. */
function long(text) {
    const parts = /^(.)\*(\d+)$/.exec(text);
    return parts === null ? text : parts[1].repeat(Number(parts[2]));
}

function several(vector, list) {
    return vector.many ? Array.from({ length: vector.many }, (_, i) => `n${i}`) : list?.map(long);
}

function calls(client) {
    const { cache } = client;
    const template = cache.template('refused:{id}:{limit}', { patterns: ['refused:{id}:*'] });

    return {
        invalidate: (of) => cache.invalidate({
            keys: several(of, of.keys), tags: of.tags?.map(long), patterns: of.patterns?.map(long),
        }),
        get: (of) => cache.get(long(of.key ?? fresh('refused')), () => 1, { tags: several(of, of.tags) }),
        cached: (of) => cache.query(long(of.key), 'SELECT 1'),
        key: async (of) => template.key(...of.params),
        query: (of) => client.query(new Statement('refused', of.sql), several(of, of.params)),
    };
}

/* Calls are named as they are here. */
const CALLS = { acquire: 'acquire()', copy: 'copyFrom() or copyTo()' };

for (const vector of vectors) {
    test(`${vector.call}: ${vector.says}`, async (t) => {
        await assert.rejects(calls(open(t))[vector.call](vector), { code: vector.code, message: vector.says.replace(/\{(acquire|copy)\}/, (_, call) => CALLS[call]) });
    });
}

const NUMBER = /must be an integer from/;

test('an argument of the wrong type is called by its name', async (t) => {
    const client = open(t);
    const { cache, profiler } = client;
    const breaker = Breaker.create({}, { clock: new Clock() });
    const load = () => 1;

    for (const [call, message] of [
        [() => cache.get(7, load), 'key must be a string or a Buffer'],
        [() => cache.get('refused:loader', 'value'), 'loader must be a function'],
        [() => cache.get('refused:ttl', load, { ttl: '1h' }), 'ttl must be a number of milliseconds'],
        [() => cache.get('refused:tags', load, { tags: 'tag' }), 'tags must be an array'],
        [() => cache.get('refused:tag', load, { tags: [7] }), 'tag must be a string or a Buffer'],
        [() => cache.invalidate({ keys: 'refused:key' }), 'keys must be an array'],
        [() => cache.invalidate({ keys: [7] }), 'key must be a string or a Buffer'],
        [() => cache.invalidate({ patterns: [{ pattern: 7 }] }), 'pattern must be a string'],
        [() => new Template(7), 'template must be a string'],
        [() => new Statement('name', 7), 'sql must be a string or a Buffer'],
        [() => new Statement(7, 'SELECT 1'), 'name must be a string'],
        [() => client.breaker(undefined), 'name must be a string'],
        [() => client.breaker('a\0b'), 'name has a zero byte'],
        [() => client.query('SELECT 1', [], { pool: 7 }), 'pool must be a string'],
        [() => profiler.stats({}), 'name must be a string'],
        [() => breaker.record('permit', 'success'), /^permit must be an integer/],
    ])
        await assert.rejects(async () => call(), { name: 'TypeError', message });
});

test('an option that there is not is called by its name', async (t) => {
    const client = open(t);
    const { cache } = client;
    const load = () => 1;
    const work = async () => 1;

    await cache.get('refused:known', load);
    for (const [call, says] of [
        [(of) => client.query('SELECT 1', [], of), 'signal, timeout, types'],
        [(of) => client.acquire(of), 'signal, timeout'],
        [(of) => client.transaction((tx) => tx.query('SELECT 1'), of), 'isolation, readOnly, deferrable, signal, timeout'],
        [(of) => client.transaction((tx) => tx.query('SELECT 1', [], of)), 'signal, timeout, types'],
        [(of) => client.health(of), 'signal, timeout'],
        [(of) => client.close(of), 'timeout'],
        [(of) => cache.get('refused:known', load, of), 'ttl, tags, signal, timeout'],
        [(of) => cache.query('refused:timout', 'SELECT 1', [], of), 'as, signal, timeout, types, pool'],
        [(of) => cache.invalidate({ keys: ['refused:known'] }, of), 'signal, timeout'],
        [(of) => client.policy('refused').run(work, of), 'fallback, signal, retry'],
        [(of) => client.breaker('refused').changes(of), 'signal'],
        [(of) => Breaker.create({}, of), 'name, clock'],
        [(of) => new Statement(null, 'SELECT 1', of), 'read, write, idempotent, unnamed, opaque'],
        [(of) => new Client({}, of), 'env, types'],
    ]) {
        await assert.rejects(async () => call({ timout: 5 }),
            { name: 'TypeError', message: `there is no option "timout": ${says}` });
        await assert.rejects(async () => call(5), { name: 'TypeError', message: 'options must be an object' });
    }
    await assert.rejects(cache.invalidate({ key: ['refused:known'] }),
        { name: 'TypeError', message: 'there is no target "key": keys, tags, patterns' });
    await assert.rejects(cache.invalidate('refused:known'), { name: 'TypeError', message: 'targets must be an object' });
    await assert.rejects(cache.invalidate(), { code: 'SP_INVALID', message: 'there is no target to invalidate' });
    await assert.rejects(async () => new Template('refused:{id}', { tll: '1h' }), /tll/);
    assert.equal((await client.query('SELECT 1 AS one', [], null))[0].one, 1);
});

test('an integer that may have been rounded is refused', async (t) => {
    const client = open(t);
    const breaker = Breaker.create();
    const clock = new Clock();
    const template = new Template('refused:{id}');

    for (const number of [2 ** 53, 2 ** 53 + 2, -(2 ** 53), 2 ** 63]) {
        await assert.rejects(client.query('SELECT $1::int8', [number]), { name: 'TypeError', message: /2\^53.*BigInt/ });
        await assert.rejects(client.query('SELECT $1::int8[]', [[1, number]]), { name: 'TypeError', message: /2\^53/ });
        assert.throws(() => template.key(number), { name: 'TypeError', message: /2\^53/ });
        assert.throws(() => clock.advance(number), { name: 'TypeError', message: 'ms must be a whole number of milliseconds' });
        assert.throws(() => breaker.release(number), { name: 'TypeError', message: NUMBER });
    }
    for (const number of [NaN, 1.5, -1])
        assert.throws(() => breaker.release(number), { name: 'TypeError', message: NUMBER });
    const [row] = await client.query('SELECT $1::text AS most, $2::text AS big, $3::float8 AS far',
        [Number.MAX_SAFE_INTEGER, 2n ** 60n + 1n, 1e300]);
    assert.deepEqual({ ...row }, { most: '9007199254740991', big: '1152921504606846977', far: 1e300 });
});
