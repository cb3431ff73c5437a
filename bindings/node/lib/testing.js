// SPDX-License-Identifier: MIT
'use strict';
/*
 * For a service's own unit tests: a client whose statements are answered by the test, without any server.
 *
 *     const answers = new Answers({ getContent: [{ id: 7, title: 'seven' }], record: (user, kind) => [] });
 *     const client = answers.client();
 *     assert.equal(await service.title(client, 7), 'seven');
 *     assert.deepEqual(answers.asked, [['getContent', [7]]]);
 *
 * Cache, invalidation, decorators, policies and the profiler are the library's own, in this process. Breakers and what the cache
 * keeps go by a clock that the test moves: answers.clock.advance(60_000).
 */
const native = require('./native.js');
const given = require('./given.js');
const { Breaker, Clock } = require('./breaker.js');
const { handleOf, targetsOf } = require('./cache.js');
const { Client } = require('./client.js');
const { chunksOf } = require('./copy.js');
const { call, makeError } = require('./errors.js');
const { Mailbox } = require('./mailbox.js');
const { rowsOf } = require('./rows.js');
const { handleOf: rulesOf, rowOf } = require('./rules.js');
const { Statement, valuesOf } = require('./statement.js');

const ENDS = ['signal'];
const QUERY = ['as', 'signal', 'timeout', 'types', 'pool'];

class TestClock extends Clock {
    #clients = new Set();

    follow(client) {
        this.#clients.add(client);
    }

    advance(ms) {
        super.advance(ms);
        for (const client of this.#clients) {
            if (client.closed)
                this.#clients.delete(client);
            else
                call('cache_age', handleOf(client.cache), ms);
        }
    }
}

/*
 * `answers` by a statement's name, or its text where it is plain text: rows, an error, or a function of the values; of a COPY: the
 * number of rows, or pieces of text.
 */
class Answers {
    #settings;
    #breakers = new Map();
    #ears = [];

    constructor(answers, settings = {}) {
        this.answers = { ...answers };
        /* What was asked, in order: [name or text, values]. */
        this.asked = [];
        this.clock = new TestClock();
        this.#settings = settings;
    }

    client() {
        const client = new TestClient(this.#settings, this);

        this.clock.follow(client);
        return client;
    }

    /* What a statement is answered by, as the test gave it. */
    async told(sql, values) {
        const name = sql instanceof Statement ? sql.name : sql?.text ?? sql;
        const asked = [...valuesOf(sql, values) ?? []];

        this.asked.push([name, asked]);
        if (!Object.hasOwn(this.answers, name))
            throw new Error(`nothing answers "${name}"`);
        const answer = this.answers[name];
        if (answer instanceof Error)
            throw answer;
        return typeof answer === 'function' ? answer(...asked) : answer;
    }

    async answer(sql, values) {
        const rows = (await this.told(sql, values)).map((row) => ({ ...row }));
        return rowsOf(rows, `SELECT ${rows.length}`);
    }

    listen(channel, box) {
        this.#ears.push({ channel, box });
        box.put({ channel, notice: 'listening', lost: false });
    }

    /* As NOTIFY: to all that listen. */
    notify(channel, payload = '') {
        this.#ears = this.#ears.filter(({ box }) => !box.over);
        for (const ear of this.#ears.filter((each) => each.channel === channel))
            ear.box.put({ channel, payload, pid: 0 });
    }

    breaker(name) {
        if (!this.#breakers.has(name))
            this.#breakers.set(name, Breaker.create(this.#settings, { name, clock: this.clock }));
        return this.#breakers.get(name);
    }
}

/* What a pool, a session and a transaction have in common. */
class Seat {
    #answers;
    #over = false;

    constructor(client, answers) {
        this.client = client;
        this.#answers = answers;
    }

    #check() {
        this.client.check();
        if (this.#over)
            throw makeError('SP_CLOSED', 'the session was given back');
    }

    async query(sql, values) {
        this.#check();
        return this.#answers.answer(sql, values);
    }

    async batch(sql, sets) {
        const found = [];

        for (const values of sets)
            found.push(await this.query(sql, values));
        return Object.defineProperty(found, 'affected', { value: found.reduce((sum, rows) => sum + rows.affected, 0) });
    }

    /* Asked with all the text as its value; answered by the number of rows, or rows. */
    async copyFrom(sql, source) {
        const pieces = [];

        this.#check();
        for await (const piece of chunksOf(source))
            pieces.push(piece);
        const found = await this.#answers.told(sql, [Buffer.concat(pieces).toString()]);
        return typeof found === 'number' ? found : found.length;
    }

    /* Answered by strings or Buffers. */
    async *copyTo(sql) {
        this.#check();
        for (const piece of await this.#answers.told(sql, []))
            yield Buffer.from(piece);
    }

    async transaction(work) {
        this.#check();
        const transaction = new TestTransaction(this.client, this.#answers);

        try {
            const value = await work(transaction);

            await transaction.commit();
            return value;
        } finally {
            transaction.release();
        }
    }

    release() {
        this.#over = true;
    }

    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
        this.release();
    }
}

/* Savepoints are nested calls; nothing is taken back but what a commit was to invalidate. */
class TestTransaction extends Seat {
    #behind = [];

    async savepoint(work) {
        return work(this);
    }

    invalidate(targets) {
        targetsOf(targets);
        this.#behind.push(() => this.client.cache.invalidate(targets));
    }

    changed(rules, changed) {
        rulesOf(rules);
        rowOf(changed);
        this.#behind.push(() => rules.invalidate(changed));
    }

    async commit() {
        for (const invalidate of this.#behind)
            await invalidate();
    }
}

class TestPool extends Seat {
    #answers;
    #max = 0;

    constructor(client, answers) {
        super(client, answers);
        this.#answers = answers;
    }

    async *stream(sql, values) {
        yield* await this.query(sql, values);
    }

    async acquire() {
        this.client.check();
        return new Seat(this.client, this.#answers);
    }

    /* What the test sends by answers.notify(). */
    listen(channel, options) {
        const box = this.client.box(options);

        this.#answers.listen(channel, box);
        return box;
    }

    /* Nothing happens here. */
    events(options) {
        return this.client.box(options);
    }

    refusals(options) {
        return this.client.box(options);
    }

    setPassword() {
        this.client.check();
    }

    resize(max) {
        this.client.check();
        if (!Number.isSafeInteger(max) || max < 1)
            throw makeError('SP_INVALID', `pool.max is ${max}: it must be a whole number, 1 or more`);
        this.#max = max;
    }

    async health() {
        this.client.check();
        return { status: 'healthy', database: 'none', poolMetrics: this.stats() };
    }

    stats() {
        return { active: 0, idle: 0, waiting: 0, max: this.#max };
    }
}

class TestClient extends Client {
    #answers;
    #boxes = [];
    #pools = new Map();

    constructor(settings, answers) {
        super(settings);
        this.#answers = answers;
        this.cache.query = (key, sql, values, options) => this.#cached(key, sql, values, options);
    }

    pool(name = 'default') {
        this.check();
        if (!this.#pools.has(name))
            this.#pools.set(name, new TestPool(this, this.#answers));
        return this.#pools.get(name);
    }

    /* For what comes from time to time: it ends with the signal or the client. */
    box(options) {
        const { signal } = given.options(options, ENDS);

        this.check();
        this.#boxes.push(new Mailbox(signal));
        return this.#boxes.at(-1);
    }

    close(options) {
        for (const box of this.#boxes)
            box.end();
        return super.close(options);
    }

    breaker(name) {
        this.check();
        return this.#answers.breaker(name);
    }

    async #cached(key, sql, values, named) {
        const { as = 'rows', signal, timeout } = given.options(named, QUERY);

        return this.cache.get(key, async () => {
            const rows = await this.#answers.answer(sql, values);
            return as === 'cell' ? Object.values(rows[0] ?? {})[0] ?? null : [...rows];
        }, { signal, timeout });
    }
}

/* An error of the library's, for an answer: failure('SP_TIMEOUT'), failure('SP_SQL', 'duplicate key', '23505'). */
function failure(code, message = code, serverCode = '') {
    if (typeof native[code] !== 'number')
        throw new TypeError(`failure(): there is no status ${code}`);
    return makeError(code, message, serverCode, native.status_retryable(native[code]));
}

module.exports = { Answers, failure };
