// SPDX-License-Identifier: MIT
'use strict';
/* What Breaker.run() records, whom its fallback answers, and what it refuses to be given. */
const test = require('node:test');
const assert = require('node:assert/strict');
const timers = require('node:timers/promises');
const { Breaker, Clock, SqlError, TimeoutError } = require('..');
const { open } = require('./support.js');

const LIMIT = Error.stackTraceLimit;

function fail(error) {
    return () => Promise.reject(error);
}

function counts(breaker) {
    const { successful, failed, ignored } = breaker.stats();
    return { successful, failed, ignored };
}

test('a success is recorded, once, whether the work was asynchronous or not', async () => {
    const breaker = Breaker.create({ 'breaker.failures': 2 });

    await assert.rejects(breaker.run(fail(new Error('down'))));
    assert.equal(await breaker.run(() => 1), 1);
    assert.equal(await breaker.run(async () => 2), 2);
    await assert.rejects(breaker.run(fail(new Error('down'))));
    assert.deepEqual(counts(breaker), { successful: 2, failed: 2, ignored: 0 });
    assert.equal(breaker.state, 'CLOSED');
    assert.equal(breaker.inFlight, 0);
});

test('how long the work took is recorded, of successes and failures', async () => {
    for (const end of [() => 1, fail(new Error('down'))]) {
        const breaker = Breaker.create({
            'breaker.failures': 0, 'breaker.slow': '5ms', 'breaker.slow_rate': 50, 'breaker.minimum': 4,
            'breaker.window_calls': 4,
        });
        const slow = () => timers.setTimeout(20).then(end);

        for (let i = 0; i < 3; i++)
            await breaker.run(() => 1);
        await breaker.run(slow).catch(() => {});
        assert.equal(breaker.stats().slowRate, 0.25);
    }
});

/* Errors that throw when they are looked at: a getter, a code of another type, a proxy. */
function hostile() {
    const named = new Error('down'), coded = new SqlError('down', 'SP_SQL', '57P03');

    Object.defineProperty(named, 'name', { get() { throw new Error('no name'); } });
    Object.defineProperty(coded, 'code', { get() { throw new Error('no code'); } });
    return [named, coded, new SqlError('down', 'SP_SQL', { not: 'text' }),
        new Proxy(new Error('down'), { getPrototypeOf() { throw new Error('no prototype'); } })];
}

test('an error that cannot be read is a failure, which keeps no permit', async () => {
    const breaker = Breaker.create({ 'breaker.failures': 0 });

    for (const error of hostile()) {
        await assert.rejects(breaker.run(fail(error)), (thrown) => Object.is(thrown, error));
        assert.equal(await breaker.run(fail(error), 'fallback'), 'fallback');
    }
    assert.equal(breaker.inFlight, 0);
    assert.deepEqual(counts(breaker), { successful: 0, failed: 8, ignored: 0 });
});

test('a clock goes on by whole milliseconds, and a signal that is none is told when it is given', () => {
    const clock = new Clock();
    const breaker = Breaker.create({ 'breaker.open_time': '10ms' }, { clock });

    breaker.force('OPEN');
    for (const ms of [1.5, -1, NaN, Infinity, '5', undefined])
        assert.throws(() => clock.advance(ms), { name: 'TypeError', message: 'ms must be a whole number of milliseconds' });
    assert.equal(breaker.nextAttempt, 10);
    clock.advance(10);
    assert.equal(breaker.state, 'HALF_OPEN');
    for (const signal of [5, {}, 'now'])
        assert.throws(() => breaker.changes({ signal }), { name: 'TypeError', message: 'signal must be an AbortSignal' });
});

test('a fallback may be null', async () => {
    const breaker = Breaker.create();

    assert.equal(await breaker.run(fail(new Error('down')), null), null);
    breaker.force('OPEN');
    assert.equal(await breaker.run(() => 1, null), null);
});

test('a fallback answers a failure and not the error of the caller, told apart by the code of the server', async () => {
    const breaker = Breaker.create();
    const twice = new SqlError('duplicate key', 'SP_SQL', '23505');
    const down = new SqlError('starting up', 'SP_SQL', '57P03');

    await assert.rejects(breaker.run(fail(twice), 'fallback'), (error) => error === twice);
    assert.equal(await breaker.run(fail(down), (error) => error.sqlstate), '57P03');
    assert.deepEqual(counts(breaker), { successful: 0, failed: 1, ignored: 1 });
    const busy = new TimeoutError('no connection became free', 'SP_TIMEOUT', 'acquire');
    assert.equal(await breaker.run(fail(busy), 'fallback'), 'fallback');
    assert.deepEqual(counts(breaker), { successful: 0, failed: 1, ignored: 2 });
});

test('a fallback answers the refusal of a breaker inside, which is no failure', async () => {
    const outer = Breaker.create();
    const inner = Breaker.create();

    inner.force('OPEN');
    assert.equal(await outer.run(() => inner.run(() => 1), 'fallback'), 'fallback');
    assert.deepEqual(counts(outer), { successful: 0, failed: 0, ignored: 1 });
});

test('a fallback answers the refusal of the breaker of a pool, and of a full policy', async (t) => {
    const client = open(t, {
        'pool.url': 'postgresql://app@127.0.0.1:1/db', 'pool.breaker': true, 'breaker.pool.failures': 1,
        'policy.narrow.concurrency': 1,
    });
    const breaker = client.breaker('outer');
    const narrow = client.policy('narrow');
    const code = (error) => error.code;

    assert.equal(await breaker.run(() => client.query('SELECT 1'), code), 'SP_UNAVAILABLE');
    assert.equal(await breaker.run(() => client.query('SELECT 1'), code), 'SP_OPEN');
    assert.equal(await narrow.run(() => breaker.run(() => narrow.run(() => 1), code)), 'SP_FULL');
});

test('a cancellation of the caller is no failure; a time-out is one', async () => {
    const breaker = Breaker.create({ 'breaker.failures': 1 });
    const abort = new AbortController();
    const cancelled = breaker.run(() => timers.setTimeout(1000, null, { signal: abort.signal }), 'fallback');

    abort.abort();
    await assert.rejects(cancelled, { name: 'AbortError' });
    await assert.rejects(breaker.run(fail(new DOMException('stop', 'AbortError')), 'fallback'), { name: 'AbortError' });
    assert.deepEqual(counts(breaker), { successful: 0, failed: 0, ignored: 2 });
    const { signal } = { signal: AbortSignal.timeout(1) };
    assert.equal(await breaker.run(() => timers.setTimeout(1000, null, { signal }), 'fallback'), 'fallback');
    assert.equal(breaker.state, 'OPEN');
    breaker.reset();
    assert.equal(await breaker.run(fail(new DOMException('late', 'TimeoutError')), 'fallback'), 'fallback');
    assert.equal(breaker.state, 'OPEN');
});

test('work may throw anything', async () => {
    for (const nothing of [null, undefined, 7]) {
        const breaker = Breaker.create();

        assert.equal(await breaker.run(fail(nothing), 'fallback'), 'fallback');
        await assert.rejects(breaker.run(fail(nothing)), (error) => error === nothing);
        assert.equal(breaker.failures, 2);
    }
});

test('what is no work is the fault of the caller', async () => {
    const breaker = Breaker.create({ 'breaker.failures': 1 });

    for (const work of [undefined, null, 'work', Promise.resolve(1)])
        await assert.rejects(breaker.run(work, 'fallback'), { name: 'TypeError', message: 'work must be a function' });
    assert.equal(breaker.state, 'CLOSED');
    assert.deepEqual(counts(breaker), { successful: 0, failed: 0, ignored: 0 });
});

test('names are short printable texts', (t) => {
    const client = open(t);

    for (const make of [(name) => client.breaker(name), (name) => client.policy(name), (name) => Breaker.create({}, { name })]) {
        for (const name of ['', 'x'.repeat(129), 'a\nb'])
            assert.throws(() => make(name), { name: 'InvalidError', message: /^the name of a (breaker|policy) is 1 to 128 bytes of printable text/ });
        assert.throws(() => make('a\0b'), { name: 'TypeError', message: 'name has a zero byte' });
        assert.throws(() => make(7), { name: 'TypeError', message: 'name must be a string' });
        assert.throws(() => make({}), { name: 'TypeError', message: 'name must be a string' });
    }
    for (const make of [(name) => client.breaker(name), (name) => client.policy(name)]) {
        assert.throws(() => make(null), { name: 'TypeError', message: 'name must be a string' });
        assert.throws(() => make(), { name: 'TypeError', message: 'name must be a string' });
    }
    assert.throws(() => client.policy(''), /the name of a policy/);
    assert.equal(Breaker.create(null).name, 'default');
});

test('what was not made by the library is refused, and does no harm', (t) => {
    const client = open(t);
    const { Policy } = require('..');

    for (const handle of [null, undefined, {}, 7]) {
        assert.throws(() => new Breaker(handle), { name: 'TypeError', message: /client\.breaker\(\) or Breaker\.create\(\)/ });
        assert.throws(() => new Policy(client, null, handle), { name: 'TypeError', message: /client\.policy\(\)/ });
    }
    for (const clock of [{}, { handle: 5 }, 7, 'now'])
        assert.throws(() => Breaker.create({}, { clock }), { name: 'TypeError', message: 'clock must be a Clock' });
    const native = require('../lib/native.js');
    assert.throws(() => native.breaker_name(null), { name: 'TypeError', message: 'breaker must be an object of the library' });
    assert.throws(() => native.client_policy(null, 'x'), { name: 'TypeError', message: 'client must be an object of the library' });
});

test('outcomes and times are checked', () => {
    const breaker = Breaker.create({}, { clock: new Clock() });

    for (const outcome of ['sucess', 'toString', '__proto__', undefined, 0, Symbol('success')])
        assert.throws(() => breaker.record(breaker.acquire(), outcome), { name: 'InvalidError', message: /unknown outcome/ });
    for (const elapsed of [NaN, -1, Infinity, 1e300, '1', null])
        assert.throws(() => breaker.record(breaker.acquire(), 'success', elapsed),
            { name: 'TypeError', message: 'elapsed must be a number of milliseconds' });
    assert.throws(() => breaker.force(Symbol('OPEN')), { name: 'InvalidError' });
    breaker.record(breaker.acquire(), 'success', 0.25);
    assert.deepEqual(counts(breaker), { successful: 1, failed: 0, ignored: 0 });
});

test('refusing costs no stack, and leaves the stacks of others', async () => {
    const breaker = Breaker.create();

    breaker.force('OPEN');
    await assert.rejects(breaker.run(() => 1), (error) => !error.stack.includes('\n'));
    assert.equal(Error.stackTraceLimit, LIMIT);
});
