// SPDX-License-Identifier: MIT
'use strict';
/* What Policy.run() gives back, retries and answers, however a call ends. */
const { getEventListeners } = require('node:events');
const test = require('node:test');
const assert = require('node:assert/strict');
const { open, spy, until } = require('./support.js');
const calls = spy();
const { SqlError, TimeoutError, UnavailableError } = require('..');
const { Limit } = require('../lib/limit.js');

const never = () => new Promise(() => {});

function down() {
    throw new Error('down');
}

/* Works that fails as often as there are errors, and counts its attempts. */
function failing(...errors) {
    const work = async () => {
        work.attempts++;
        if (errors.length > 0)
            throw errors.shift();
        return 'up';
    };

    work.attempts = 0;
    return work;
}

test('work that aborts its own signal and throws at once is answered as any other', async (t) => {
    const policy = open(t).policy('own');
    const abort = new AbortController();
    const work = () => {
        abort.abort();
        throw new Error('thrown');
    };

    assert.equal(await policy.run(work, { signal: abort.signal, fallback: 'instead' }), 'instead');
});

/* `when` the caller gives up, its call ends and its place is free. */
async function abandoned(t, when) {
    const policy = open(t, { 'policy.narrow.concurrency': 1 }).policy('narrow');
    const abort = new AbortController();
    let signal;
    const call = policy.run((attempt) => {
        ({ signal } = attempt);
        return never();
    }, { signal: abort.signal });

    await when(() => signal !== undefined);
    abort.abort(new Error('enough'));
    await assert.rejects(call, (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    assert.ok(signal === undefined || signal.aborted);
    assert.equal(policy.stats().running, 0);
    assert.equal(await policy.run(() => 'next'), 'next');
}

test('a call that is given up at once ends', (t) => abandoned(t, () => {}));
test('a call that is given up a turn later ends', (t) => abandoned(t, () => new Promise(setImmediate)));
test('a call that is given up in a microtask ends', (t) => abandoned(t, async () => {}));
test('a call that is given up in its work ends', (t) => abandoned(t, until));

test('a call that is given up when its turn has come, before its work began, ends', async (t) => {
    const client = open(t);
    const abort = new AbortController();

    calls.on('call_attempts', () => abort.abort());
    await assert.rejects(client.policy('x').run(never, { signal: abort.signal }), { name: 'CancelledError' });
    assert.equal(client.policy('x').stats().running, 0);
});

test('a call that waits for a place gives its turn up', async (t) => {
    const policy = open(t, { 'policy.narrow.concurrency': 1, 'policy.narrow.waiting': 1 }).policy('narrow');
    const abort = new AbortController();
    let finish;
    const first = policy.run(() => new Promise((resolve) => { finish = resolve; }));
    const second = policy.run(() => assert.fail('was called'), { signal: abort.signal });

    await until(() => finish && policy.stats().waiting === 1);
    await assert.rejects(policy.run(() => assert.fail('was called'), { signal: AbortSignal.abort() }), { name: 'CancelledError' });
    abort.abort(new Error('enough'));
    await assert.rejects(second, (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    assert.deepEqual({ ...policy.stats(), waiting: 0, running: 1 }, policy.stats());
    finish();
    await first;
});

test('every call is freed, and leaves neither listener nor timer', async (t) => {
    const client = open(t, { 'policy.long.timeout': '1h', 'policy.long.attempts': 2, 'policy.long.backoff': '1ms' });
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const { signal } = new AbortController();
    const made = [];
    const before = timers();

    for (const name of ['call_new', 'call_free'])
        calls.on(name, () => made.push(name));

    await client.policy('long').run(() => 1, { signal });
    await client.policy('long').run(failing(new Error('down')), { signal });
    await assert.rejects(client.policy('long').run(down, { signal }), { message: 'down' });
    await assert.rejects(client.policy('long').run(() => 1, { signal: AbortSignal.abort() }));
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
    assert.equal(timers(), before);
    assert.deepEqual(made, Array(4).fill(['call_new', 'call_free']).flat());
});

test('a deadline beyond what a timer can wait is none', async (t) => {
    const warned = [];
    const warning = ({ name }) => warned.push(name);

    process.on('warning', warning);
    t.after(() => process.off('warning', warning));
    for (const remaining of [2 ** 31, 2 ** 40, 2 ** 31 - 1])
        await new Limit(remaining).race(() => new Promise(setImmediate));
    assert.deepEqual(warned, []);
});

test('what may be retried is retried, and nothing else', async (t) => {
    const policy = open(t, { 'policy.again.attempts': 2, 'policy.again.backoff': '1ms' }).policy('again');
    const twice = new SqlError('duplicate key', 'SP_SQL', '23505');
    const gone = new UnavailableError('gone', 'SP_UNAVAILABLE', '', true);
    const aborted = new DOMException('stop', 'AbortError');
    const read = new TimeoutError('late', 'SP_TIMEOUT', '', true);
    const write = new TimeoutError('late', 'SP_TIMEOUT');

    for (const [error, retry, attempts] of [
        [read, undefined, 2], [write, undefined, 1],
        [new Error('down'), undefined, 2], [null, undefined, 2], [gone, undefined, 2], [twice, undefined, 1],
        [aborted, undefined, 1], [new Error('down'), () => false, 1], [twice, () => true, 2], [gone, () => 0, 1],
    ]) {
        const work = failing(error);
        const call = policy.run(work, { retry });

        if (attempts === 2)
            assert.equal(await call, 'up');
        else
            await assert.rejects(call, (thrown) => thrown === error);
        assert.equal(work.attempts, attempts);
    }
});

test('an attempt that took too long is retried', async (t) => {
    const policy = open(t, { 'policy.slow.attempt_timeout': '20ms', 'policy.slow.attempts': 2, 'policy.slow.backoff': '1ms' })
        .policy('slow');

    assert.equal(await policy.run(({ number }) => (number === 1 ? never() : 'second')), 'second');
});

test('a fallback answers failures and refusals, not the errors of the caller', async (t) => {
    const client = open(t, {
        'policy.narrow.concurrency': 1, 'policy.shut.breaker': 'shut', 'policy.short.timeout': '20ms',
    });
    const fallback = (error) => error?.code ?? String(error?.message ?? error);
    const narrow = client.policy('narrow');
    const twice = new SqlError('duplicate key', 'SP_SQL', '23505');

    client.breaker('shut').force('OPEN');
    assert.equal(await narrow.run(() => narrow.run(() => 1, { fallback })), 'SP_FULL');
    assert.equal(await client.policy('shut').run(() => 1, { fallback }), 'SP_OPEN');
    assert.equal(await client.policy('short').run(never, { fallback }), 'SP_TIMEOUT');
    assert.equal(await narrow.run(down, { fallback }), 'down');
    assert.equal(await narrow.run(() => Promise.reject(null), { fallback }), 'null');
    assert.equal(await narrow.run(() => Promise.reject(), { fallback }), 'undefined');
    assert.equal(await narrow.run(down, { fallback: null }), null);
    await assert.rejects(narrow.run(() => Promise.reject(twice), { fallback }), (error) => error === twice);
    await assert.rejects(narrow.run(() => Promise.reject(new DOMException('stop', 'AbortError')), { fallback }),
        { name: 'AbortError' });
    await assert.rejects(narrow.run(() => 1, { fallback, signal: AbortSignal.abort() }), { name: 'CancelledError' });
});

test('an open breaker refuses before a call is made, and says so as one that is made would', async (t) => {
    const client = open(t, { 'policy.shut.breaker': 'shut' });
    const policy = client.policy('shut');
    const told = { name: 'OpenError', code: 'SP_OPEN', retryable: true,
        message: 'policy "shut": the circuit breaker is open: the call was not made' };
    const refusals = () => [policy.stats().open, client.breaker('shut').stats().rejected];

    client.breaker('shut').force('OPEN');
    await assert.rejects(policy.run(() => 1), told);
    assert.equal(await policy.run(() => 1, { fallback: null }), null);
    assert.equal(await policy.run(() => 1, { fallback: (error) => error.message }), told.message);
    assert.deepEqual(refusals(), [3, 3]);
    client.breaker('shut').reset();
    assert.equal(await policy.run(() => 1), 1);
    assert.deepEqual(refusals(), [3, 3]);
});

test('a refusal between attempts tells which error it came after', async (t) => {
    const client = open(t, {
        'policy.flaky.attempts': 5, 'policy.flaky.backoff': '1ms', 'policy.flaky.breaker': 'flaky',
        'breaker.flaky.failures': 2,
    });
    const reasons = [new Error('first'), new Error('second')];

    await assert.rejects(client.policy('flaky').run(failing(...reasons)),
        (error) => error.code === 'SP_OPEN' && error.cause === reasons[1]);
    await assert.rejects(client.policy('flaky').run(() => 1), (error) => error.code === 'SP_OPEN' && error.cause === undefined);
});

test('a failure is recorded also where `retry` throws', async (t) => {
    const client = open(t, { 'policy.p.breaker': 'p', 'policy.p.attempts': 2 });
    const retry = () => { throw new Error('retry broke'); };

    await assert.rejects(client.policy('p').run(down, { retry }), { message: 'retry broke' });
    assert.equal(client.breaker('p').failures, 1);
    assert.equal(client.policy('p').stats().running, 0);
});

test('what run() is given is checked', async (t) => {
    const client = open(t, { 'policy.p.breaker': 'p' });
    const policy = client.policy('p');

    for (const [args, message] of [
        [[], 'work must be a function'], [['work', { fallback: 1 }], 'work must be a function'],
        [[down, { retry: 5 }], 'retry must be a function'], [[down, { signal: 'nope' }], 'signal must be an AbortSignal'],
        [[down, 'fallback'], 'options must be an object'], [[down, () => 1], 'options must be an object'],
    ])
        await assert.rejects(policy.run(...args), { name: 'TypeError', message });
    assert.equal(client.breaker('p').failures, 0);
    assert.equal(await policy.run(() => 1, null), 1);
    assert.equal(await policy.run(() => 1, { signal: null }), 1);
});
