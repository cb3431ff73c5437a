// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Breaker, Clock, OpenError } = require('..');
const { open } = require('./support.js');
const vectors = require('../../../tests/vectors/breaker.json');

const SLOW = 2000;
const STATES = { C: 'CLOSED', O: 'OPEN', H: 'HALF_OPEN', X: 'FORCED_OPEN', D: 'DISABLED', M: 'METRICS_ONLY' };
const OUTCOMES = { s: 'success', f: 'failure', i: 'ignored', z: 'success', y: 'failure' };
const LATE = { S: 'success', F: 'failure', I: 'ignored', Z: 'success' };

/* The words and letters of tests/unit/breaker_play.h. */
class Play {
    constructor(config) {
        const settings = { 'breaker.pay.open_time': '1s', 'breaker.pay.slow': '1s' };

        for (const [name, value] of Object.entries(config))
            settings[`breaker.pay.${name}`] = value;
        this.clock = new Clock();
        this.breaker = Breaker.create(settings, { name: 'pay', clock: this.clock });
        this.kept = [];
        this.last = 0;
    }

    step(letter) {
        const { breaker } = this;

        if (OUTCOMES[letter]) {
            const permit = breaker.acquire();
            assert.notEqual(permit, 0);
            breaker.record(permit, OUTCOMES[letter], 'zy'.includes(letter) ? SLOW : 0);
        } else if (LATE[letter]) {
            this.last = this.kept.shift();
            breaker.record(this.last, LATE[letter], letter === 'Z' ? SLOW : 0);
        } else if (STATES[letter]) {
            assert.equal(breaker.state, STATES[letter]);
        } else if (letter === 'a') {
            this.kept.push(breaker.acquire());
            assert.notEqual(this.kept.at(-1), 0);
        } else if (letter === '!') {
            assert.equal(breaker.acquire(), 0);
        } else if (letter === 'r') {
            this.last = this.kept.shift();
            breaker.release(this.last);
        } else if (letter === 'd') {
            breaker.record(this.last, 'failure');
        } else if (letter === 'l') {
            this.kept.shift();
        } else if (letter === '^') {
            breaker.reset();
        } else {
            this.clock.advance(Number(letter) * 100);
        }
    }

    word(word) {
        const rest = word.slice(1);

        switch (word[0]) {
        case '+': return this.clock.advance(Number(rest));
        case '@': return assert.equal(this.breaker.nextAttempt, Number(rest));
        case '#': return assert.equal(this.breaker.failures, Number(rest));
        case '~': return assert.equal(this.breaker.inFlight, Number(rest));
        case '>': return this.breaker.force(STATES[rest]);
        }
        const [times, letters] = word.includes('*') ? word.split('*') : [1, word];
        for (let i = 0; i < Number(times); i++)
            [...letters].forEach((letter) => this.step(letter));
    }
}

test('the breaker does what the vectors say', () => {
    for (const { of, name, config, steps } of vectors) {
        const play = new Play(config);

        steps.split(' ').forEach((word, index) => {
            try {
                play.word(word);
            } catch (error) {
                error.message = `${of}: ${name}: word ${index}, "${word}": ${error.message}`;
                throw error;
            }
        });
    }
});

test('a fallback is a value or a function, and refusing needs no error', async () => {
    const breaker = Breaker.create({ 'breaker.failures': 1 });

    assert.equal(await breaker.run(() => Promise.reject(new Error('down')), 'fallback'), 'fallback');
    assert.equal(breaker.state, 'OPEN');
    assert.equal(await breaker.run(() => assert.fail('was called'), 'fallback'), 'fallback');
    assert.equal(await breaker.run(() => assert.fail('was called'), null), null);
    await assert.rejects(breaker.run(() => assert.fail('was called')), (error) => error instanceof OpenError
        && error.retryable && /is open/.test(error.message));
});

test('force, reset and stats', () => {
    const breaker = Breaker.create();

    breaker.force('FORCED_OPEN');
    assert.equal(breaker.state, 'FORCED_OPEN');
    assert.equal(breaker.acquire(), 0);
    breaker.reset();
    breaker.record(breaker.acquire(), 'success');
    assert.throws(() => breaker.force('AJAR'), { name: 'InvalidError' });
    assert.throws(() => breaker.record(1, 'splendid'), { name: 'InvalidError' });
    assert.throws(() => Breaker.create({ 'breaker.failures': 'many' }), { name: 'ConfigError' });
    const stats = breaker.stats();
    assert.equal(stats.successful, 1);
    assert.equal(stats.rejected, 1);
    assert.equal(stats.changes, 2);
    assert.equal(stats.failureRate, null);
});

/* Waiting for a change keeps no process. */
function hold(t) {
    const timer = setInterval(() => {}, 1000);

    t.after(() => clearInterval(timer));
}

test('changes of state come as they happen, and end with the client', async (t) => {
    const client = open(t);
    hold(t);
    const breaker = client.breaker('watched');
    const changes = breaker.changes();
    const first = changes.next();

    breaker.force('OPEN');
    assert.deepEqual((await first).value, { change: 1, state: 'OPEN', previous: 'CLOSED', missed: 0 });
    breaker.force('CLOSED');
    breaker.force('DISABLED');
    assert.deepEqual((await changes.next()).value, { change: 3, state: 'DISABLED', previous: 'CLOSED', missed: 1 });
    const abort = new AbortController();
    const aborted = client.breaker('watched').changes({ signal: abort.signal }).next();
    abort.abort();
    assert.equal((await aborted).done, true);
    const last = changes.next();
    await client.close();
    assert.equal((await last).done, true);
});

test('changes count from the moment that they are asked for, also without a client', async (t) => {
    const breaker = Breaker.create();
    const changes = breaker.changes();
    const abort = new AbortController();

    hold(t);
    breaker.force('OPEN');
    assert.equal((await changes.next()).value.state, 'OPEN');
    const next = changes.next();
    breaker.force('CLOSED');
    assert.equal((await next).value.previous, 'OPEN');
    const last = breaker.changes({ signal: abort.signal }).next();
    abort.abort();
    assert.equal((await last).done, true);
});

test('a policy retries, within its budget', async (t) => {
    const client = open(t, { 'policy.flaky.attempts': 3, 'policy.flaky.backoff': '1ms', 'policy.flaky.breaker': 'flaky' });
    const policy = client.policy('flaky');
    const numbers = [];

    assert.equal(await policy.run(({ number }) => {
        numbers.push(number);
        if (number < 3)
            throw new Error('down');
        return 'up';
    }), 'up');
    assert.deepEqual(numbers, [1, 2, 3]);
    await assert.rejects(policy.run(() => Promise.reject(new Error('down'))), { message: 'down' });
    assert.equal(client.breaker('flaky').failures, 3);
    assert.equal(await policy.run(() => Promise.reject(new Error('down')), { fallback: (error) => error.code }), 'SP_OPEN');
    assert.equal(await policy.run(() => assert.fail('was called'), { fallback: 7 }), 7);
    assert.equal(policy.stats().retried, 6);
    await assert.rejects(policy.run(() => Promise.reject(new Error('once')), { retry: () => false }), { name: 'OpenError' });
});

test('a policy bounds how many run and wait', async (t) => {
    const policy = open(t, { 'policy.narrow.concurrency': 1, 'policy.narrow.waiting': 1 }).policy('narrow');
    let finish;
    const order = [];
    const first = policy.run(() => new Promise((resolve) => { finish = resolve; }));
    const second = policy.run(() => order.push('second'));

    await assert.rejects(policy.run(() => order.push('third')), { name: 'FullError' });
    assert.equal(policy.stats().waiting, 1);
    assert.deepEqual(order, []);
    finish('first');
    assert.equal(await first, 'first');
    await second;
    assert.deepEqual(order, ['second']);
    assert.equal(policy.stats().running, 0);
});

test('a policy ends at its deadline and with its signal', async (t) => {
    const client = open(t, { 'policy.short.timeout': '50ms', 'policy.short.attempts': 100 });
    const policy = client.policy('short');
    const abort = new AbortController();
    let seen;

    await assert.rejects(policy.run(({ signal, remaining }) => {
        seen = { signal, remaining };
        return new Promise(() => {});
    }), { name: 'TimeoutError' });
    assert.ok(seen.signal.aborted && seen.remaining <= 50);
    const cancelled = client.policy('long').run(() => new Promise(() => {}), { signal: abort.signal });
    setImmediate(() => abort.abort(new Error('enough')));
    await assert.rejects(cancelled, { name: 'CancelledError' });
    await assert.rejects(client.policy('long').run(() => assert.fail('was called'), { signal: abort.signal }),
        { name: 'CancelledError' });
    const late = client.policy('long');
    await client.close();
    await assert.rejects(late.run(() => 1), { name: 'ClosedError', message: 'the client is closed' });
});

test('the breaker of a pool refuses before anything is sent', async (t) => {
    const client = open(t, { 'pool.url': 'postgresql://app@127.0.0.1:1/db', 'pool.breaker': true, 'breaker.pool.failures': 2 });

    for (let i = 0; i < 2; i++)
        await assert.rejects(client.query('SELECT 1'), { name: 'UnavailableError' });
    await assert.rejects(client.query('SELECT 1'), { name: 'OpenError' });
    const breaker = client.breaker('pool@127.0.0.1:1/primary');
    assert.equal(breaker.state, 'OPEN');
    breaker.force('DISABLED');
    await assert.rejects(client.query('SELECT 1'), { name: 'UnavailableError' });
    assert.match(client.metrics(), /sugarperf_circuitbreaker_state\{name="pool@127.0.0.1:1\/primary",state="disabled"\} 1/);
});
