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
const { handleOf } = require('./cache.js');
const { Client } = require('./client.js');
const { call, makeError } = require('./errors.js');
const { rowsOf } = require('./rows.js');
const { Statement, valuesOf } = require('./statement.js');

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

/* `answers` by a statement's name, or its text where it is plain text: rows, an error, or a function of the values. */
class Answers {
    #settings;
    #breakers = new Map();

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

    async answer(sql, values) {
        const name = sql instanceof Statement ? sql.name : sql?.text ?? sql;
        const asked = [...valuesOf(sql, values) ?? []];

        this.asked.push([name, asked]);
        if (!Object.hasOwn(this.answers, name))
            throw new Error(`nothing answers "${name}"`);
        const answer = this.answers[name];
        if (answer instanceof Error)
            throw answer;
        const rows = (typeof answer === 'function' ? await answer(...asked) : answer).map((row) => ({ ...row }));
        return rowsOf(rows, `SELECT ${rows.length}`);
    }

    breaker(name) {
        if (!this.#breakers.has(name))
            this.#breakers.set(name, Breaker.create(this.#settings, { name, clock: this.clock }));
        return this.#breakers.get(name);
    }
}

/* What a pool, a session and a transaction have in common. Savepoints are nested calls; nothing is taken back. */
class Seat {
    #client;
    #answers;

    constructor(client, answers) {
        this.#client = client;
        this.#answers = answers;
    }

    async query(sql, values) {
        this.#client.check();
        return this.#answers.answer(sql, values);
    }

    async batch(sql, sets) {
        const found = [];

        for (const values of sets)
            found.push(await this.query(sql, values));
        return Object.defineProperty(found, 'affected', { value: found.reduce((sum, rows) => sum + rows.affected, 0) });
    }

    async savepoint(work) {
        return work(this);
    }

    async transaction(work) {
        this.#client.check();
        return work(new Seat(this.#client, this.#answers));
    }

    release() {}
}

class TestPool extends Seat {
    #client;
    #answers;

    constructor(client, answers) {
        super(client, answers);
        this.#client = client;
        this.#answers = answers;
    }

    async *stream(sql, values) {
        yield* await this.query(sql, values);
    }

    async acquire() {
        this.#client.check();
        return new Seat(this.#client, this.#answers);
    }

    async health() {
        this.#client.check();
        return { status: 'healthy', database: 'none', poolMetrics: this.stats() };
    }

    stats() {
        return { active: 0, idle: 0, waiting: 0, max: 0 };
    }
}

class TestClient extends Client {
    #answers;

    constructor(settings, answers) {
        super(settings);
        this.#answers = answers;
        this.cache.query = (key, sql, values, options) => this.#cached(key, sql, values, options);
    }

    pool() {
        this.check();
        return new TestPool(this, this.#answers);
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
