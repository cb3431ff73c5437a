// SPDX-License-Identifier: MIT
'use strict';
/* The life of a pool and of the clients that it lends. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { both, failure, name, ours, peer, pool, table } = require('./pg_support.js');
const { url } = require('./support.js');

both('hundreds of callers each get their own answer', async (t, pg) => {
    const on = pool(t, pg);
    const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => on.query('SELECT $1::int AS n', [n])));

    answers.forEach(({ rows }, n) => assert.deepEqual(rows, [{ n }]));
});

both('a query of the pool answers a callback, an error, several results', async (t, pg) => {
    const on = pool(t, pg);
    const result = await new Promise((resolve, reject) => {
        on.query('SELECT $1::int AS n', [1], (error, found) => (error ? reject(error) : resolve(found)));
    });

    assert.deepEqual(result.rows, [{ n: 1 }]);
    assert.equal((await failure(on.query('SELECT wrong'))).code, '42703');
    assert.equal((await failure(on.query('SELEC 1'))).code, '42601');
    assert.equal((await on.query('SELECT 1; SELECT 2')).length, 2);
    assert.equal((await on.query("SET application_name = 'x'")).command, 'SET');
    const error = await new Promise((resolve) => {
        on.query('SELECT wrong', (wrong) => resolve(wrong));
    });
    assert.equal(error.code, '42703');
    const refused = await new Promise((resolve) => {
        on.query((why) => resolve(why));
    });
    assert.match(refused.message, /function as the first parameter/);
});

both('as many clients as max are lent at a time; who comes late waits, or gives up', async (t, pg) => {
    const on = pool(t, pg, { max: 2, connectionTimeoutMillis: 1000 });
    const [one, two] = [await on.connect(), await on.connect()];

    assert.equal((await failure(on.connect())).message, 'timeout exceeded when trying to connect');
    const waiting = on.connect();
    one.release();
    const three = await waiting;
    assert.deepEqual((await three.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    two.release();
    three.release();
});

both('a client is released once, and used by nobody afterwards', async (t, pg) => {
    const on = pool(t, pg);
    const client = await on.connect();

    client.release();
    assert.throws(() => client.release(), /Release called on client which has already been released to the pool/);
    const done = await new Promise((resolve, reject) => {
        on.connect((error, lent, release) => (error ? reject(error) : resolve({ lent, release })));
    });
    assert.deepEqual((await done.lent.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    done.release();
});

both('a transaction runs on one client', async (t, pg) => {
    const on = pool(t, pg);
    const into = await table(t, on, 'n int PRIMARY KEY');
    const client = await on.connect();

    await client.query('BEGIN');
    await client.query(`INSERT INTO ${into} VALUES ($1)`, [1]);
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 0);
    await client.query('COMMIT');
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 1);
    await client.query('BEGIN');
    await client.query(`INSERT INTO ${into} VALUES ($1)`, [2]);
    client.release(new Error('given up'));
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 1);
});

both('the pool tells of its clients', async (t, pg) => {
    const on = pool(t, pg);
    const seen = [];

    for (const event of ['connect', 'acquire', 'release'])
        on.on(event, () => seen.push(event));
    const client = await on.connect();
    client.release();
    assert.deepEqual(seen, ['connect', 'acquire', 'release']);
});

both('for each client that was connected one is removed, at the latest at the end', async (t, pg) => {
    const on = pool(t, pg);
    const [connected, removed] = [new Set(), new Set()];

    on.on('connect', (client) => connected.add(client)).on('remove', (client) => removed.add(client));
    const clients = await Promise.all([on.connect(), on.connect()]);
    clients.forEach((client) => client.release());
    assert.deepEqual([connected.size, removed.size], [2, 0]);
    (await on.connect()).release();
    assert.equal(connected.size - removed.size, 2);
    await on.end();
    while (removed.size < connected.size)
        await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(removed, connected);
});

both('each connection is prepared by its listener before it is used', async (t, pg) => {
    const on = pool(t, pg);
    const schema = name();

    on.on('connect', (client) => client.query(`SET search_path = ${schema}`));
    assert.equal((await on.query('SHOW search_path')).rows[0].search_path, schema);
    const client = await on.connect();
    assert.equal((await client.query('SHOW search_path')).rows[0].search_path, schema);
    client.release();
});

both('a pool ends once all clients are back, and refuses from then on', async (t, pg) => {
    const on = pool(t, pg);
    const client = await on.connect();
    let ended = false;
    const end = on.end().then(() => {
        ended = true;
    });

    assert.equal((await failure(on.connect())).message, 'Cannot use a pool after calling end on the pool');
    assert.equal((await failure(on.query('SELECT 1'))).message, 'Cannot use a pool after calling end on the pool');
    assert.equal((await failure(on.end())).message, 'Called end on pool more than once');
    assert.deepEqual((await client.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    assert.equal(ended, false);
    client.release();
    await end;
    assert.deepEqual([on.ending, on.ended], [true, true]);
});

both('a client that is ended leaves its pool and the others alone', async (t, pg) => {
    const on = pool(t, pg);
    const [client, other] = [await on.connect(), await on.connect()];
    const removed = [];
    const ended = new Promise((resolve) => client.once('end', resolve));

    on.on('remove', (which) => removed.push(which));
    await Promise.all([client.end(), ended]);
    assert.equal((await failure(client.query('SELECT 2 AS n'))).message, 'Client was closed and is not queryable');
    assert.deepEqual((await other.query('SELECT 3 AS n')).rows, [{ n: 3 }]);
    assert.deepEqual((await on.query('SELECT 4 AS n')).rows, [{ n: 4 }]);
    client.release();
    other.release();
    const next = await on.connect();
    assert.deepEqual((await next.query('SELECT 5 AS n')).rows, [{ n: 5 }]);
    next.release();
    assert.ok(on.totalCount > 0);
    await on.end();
    assert.ok(removed.includes(client));
});

both('a client whose connection is lost tells of it, and the pool goes on', async (t, pg) => {
    const on = pool(t, pg);
    const client = await on.connect();
    const told = [];
    const ended = new Promise((resolve) => client.once('end', resolve));

    on.on('error', () => {});
    client.on('error', ({ message }) => told.push(message));
    const { pid } = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0];
    await on.query('SELECT pg_terminate_backend($1)', [pid]);
    for (let lost = false; !lost;)
        lost = await client.query('SELECT 1').then(() => false, () => true);
    await ended;
    assert.ok(told.length > 0);
    assert.equal((await failure(client.query('SELECT 1'))).message, 'Client has encountered a connection error and is not queryable');
    client.release();
    assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
});

both('a pool that was never used ends', async (t, pg) => {
    const on = pool(t, pg);

    assert.deepEqual([on.totalCount, on.idleCount, on.waitingCount], [0, 0, 0]);
    await on.end();
});

both('a pool counts its connections and who waits', async (t, pg) => {
    const on = pool(t, pg, { max: 1 });
    const client = await on.connect();
    const waiting = on.connect();

    while (on.waitingCount !== 1)
        await new Promise((resolve) => setImmediate(resolve));
    assert.ok(on.totalCount >= 1);
    client.release();
    (await waiting).release();
});

both('secrets are not shown', async (t, pg) => {
    const on = pool(t, pg, { password: 'hush-hush' });

    assert.ok(!JSON.stringify(on.options).includes('hush-hush'));
    assert.equal(on.options.password, 'hush-hush');
});

test('who uses a client that was released is told so', async (t) => {
    const on = pool(t, ours);
    const client = await on.connect();

    client.release();
    assert.match((await failure(client.query('SELECT 1'))).message, /^Client was released to its pool/);
});

test('what a client leaves behind is not there for the next one', async (t) => {
    const on = pool(t, ours, { max: 1 });

    for (let i = 0; i < 3; i++) {
        const client = await on.connect();

        assert.notEqual((await client.query('SHOW application_name')).rows[0].application_name, 'left behind');
        await client.query("SET application_name = 'left behind'");
        await client.query('BEGIN');
        client.release();
    }
});

test('a pool may stand on a client of the library, whose profiler sees its statements', async (t) => {
    const { open } = require('./support.js');
    const client = open(t);
    const on = new ours.Pool({ sugarperf: client, max: 4 });

    await on.query('SELECT 1 AS n');
    const lent = await on.connect();
    await lent.query('SELECT 2 AS n');
    lent.release();
    assert.equal(on.sugarperf, client);
    await on.end();
    assert.equal((await client.query('SELECT 3 AS n'))[0].n, 3);
    assert.match(client.metrics(), /sugarperf_/);
});

test('a client that is ended and released at once does what it was told before', async (t) => {
    const on = pool(t, ours);
    const client = await on.connect();
    const answer = client.query('SELECT pg_sleep(0.05), 1 AS n');

    client.end();
    client.release();
    await on.end();
    assert.equal((await answer).rows[0].n, 1);
});

test('a client over one of the library\'s gives its session back at its end, and is told of it', async (t) => {
    const { open } = require('./support.js');
    const client = open(t, { 'pool.max': 1 });

    for (let i = 0; i < 3; i++) {
        const single = new ours.Client({ sugarperf: client });
        const ended = new Promise((resolve) => single.once('end', resolve));

        await single.connect();
        assert.deepEqual((await single.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
        await Promise.all([single.end(), ended]);
    }
});

/* A client of a pool that has connections, and how many of those are lent. */
async function loose(t, more) {
    const on = pool(t, ours, more);

    await on.query('SELECT 1');
    const client = await on.connect();

    return { on, client, lent: () => on.sugarperf.pool().stats().active };
}

test('a client that only reads has no connection of its own; from what needs one on it does', async (t) => {
    const { on, client, lent } = await loose(t);
    const into = await table(t, on, 'n int');

    assert.deepEqual((await client.query('SELECT $1::int AS n', [7])).rows, [{ n: 7 }]);
    assert.deepEqual((await client.query(`SELECT count(*)::int AS n FROM ${into}`)).rows, [{ n: 0 }]);
    assert.equal((await failure(client.query('SELECT wrong'))).code, '42703');
    assert.deepEqual([lent(), client.getTransactionStatus()], [0, 'I']);
    await client.query(`INSERT INTO ${into} VALUES (1)`);
    assert.equal(lent(), 1);
    assert.deepEqual((await client.query(`SELECT * FROM ${into}`)).rows, [{ n: 1 }]);
    assert.equal(lent(), 1);
    client.release();
});

for (const text of ['BEGIN', 'SET lock_timeout = 1000', 'SHOW lock_timeout', 'SELECT pg_backend_pid()', "SELECT current_setting('lock_timeout')",
    'SELECT * FROM pg_prepared_statements', "SELECT set_config('a.b', 'c', false)", 'SELECT pg_advisory_lock(17)', 'CREATE TEMP TABLE kept (n int)',
    'SELECT 1 FOR UPDATE', 'SELECT 1; SELECT 2', 'EXPLAIN SELECT 1', 'SELEC 1']) {
    test(`on a client "${text}" has a connection of its own`, async (t) => {
        const { client, lent } = await loose(t);

        await client.query(text).catch((error) => assert.equal(error.code, '42601'));
        assert.equal(lent(), 1);
        client.release();
    });
}

test('what a client is given at once is run in its order, with a connection of its own or without', async (t) => {
    for (let i = 0; i < 30; i++) {
        const { on, client } = await loose(t, { max: 2 });
        const into = await table(t, on, 'n int');
        const count = () => client.query(`SELECT count(*)::int AS n FROM ${into}`);
        const add = () => client.query(`INSERT INTO ${into} VALUES (1)`);
        const given = [count(), count(), add(), count(), client.query('BEGIN'), add(), count(), client.query('ROLLBACK'), count(), add(), count()];

        assert.deepEqual((await Promise.all(given)).map(({ command, rows }) => rows[0]?.n ?? command),
            [0, 0, 'INSERT', 1, 'BEGIN', 'INSERT', 2, 'ROLLBACK', 1, 'INSERT', 2]);
        client.release();
        await on.end();
    }
});

test('what a client was given before it was released is run', async (t) => {
    const { on, client } = await loose(t);
    const into = await table(t, on, 'n int');
    const read = client.query('SELECT 1 AS n'), written = client.query(`INSERT INTO ${into} VALUES (1)`);

    client.release();
    assert.match((await failure(client.query('SELECT 1'))).message, /^Client was released/);
    await on.end();
    assert.deepEqual([(await read).rows[0].n, (await written).rowCount], [1, 1]);
});

test('who gets no connection when he needs one is told so, and keeps nobody from the next', async (t) => {
    const { open } = require('./support.js');
    const on = new ours.Pool({ sugarperf: open(t, { 'pool.max': 2, 'pool.acquire_timeout': '1s' }) });

    await on.query('SELECT 1');
    const [first, second] = [await on.connect(), await on.connect()];

    await first.query('BEGIN');
    assert.equal((await second.query('SELECT 2 AS n')).rows[0].n, 2);
    const answers = await Promise.allSettled(['BEGIN', 'SELECT 3 AS n', 'ROLLBACK'].map((text) => second.query(text)));
    for (const { reason } of answers)
        assert.equal(reason?.message, 'timeout exceeded when trying to connect');
    assert.equal(second.getTransactionStatus(), 'I');
    assert.equal((await failure(second.query({ text: 'BEGIN', query_timeout: 50 }))).message, 'Query read timeout');
    assert.equal((await second.query('SELECT 4 AS n')).rows[0].n, 4);
    assert.equal((await second.query('ROLLBACK')).command, 'ROLLBACK');
    await first.query('COMMIT');
    first.release();
    assert.equal((await second.query('BEGIN')).command, 'BEGIN');
    second.release();
    const third = await on.connect();
    assert.equal((await third.query('BEGIN')).command, 'BEGIN');
    third.release();
    await on.end();
});

/* A pool of one client's connection, which the first one has. */
async function full(t) {
    const { open } = require('./support.js');
    const on = new ours.Pool({ sugarperf: open(t, { 'pool.max': 2, 'pool.acquire_timeout': '10s' }) });

    await on.query('SELECT 1');
    const [first, second] = [await on.connect(), await on.connect()];
    await first.query('BEGIN');
    return { on, first, second, lent: () => on.sugarperf.pool().stats().active };
}

test('who tries again and again for a connection leaves the event loop its turns', async (t) => {
    const { on, first, second } = await full(t);
    let tries = 0;

    async function insist(text) {
        for (;;) {
            try {
                return await second.query({ text, query_timeout: 50 });
            } catch {
                tries++;
            }
        }
    }
    setTimeout(() => first.release(), 300);
    await Promise.all([insist('SET lock_timeout = 2000'), insist('SET lock_timeout = 1000')]);
    assert.ok(tries < 100, `${tries} tries`);
    second.release();
    await on.end();
});

test('a release ends a LISTEN that has no connection yet', async (t) => {
    const { on, first, second } = await full(t);
    const listening = second.query(`LISTEN ${name()}`);

    second.release();
    assert.equal((await failure(listening)).code, 'SP_CLOSED');
    first.release();
    await on.end();
});

test('a submittable that fails at once takes one connection at most, which goes back', async (t) => {
    const { on, first, second, lent } = await full(t);
    const told = new Promise((resolve) => {
        second.query({ submit: () => new Error('not today'), handleError: resolve });
    });
    const behind = second.query('SET lock_timeout = 1000');

    assert.equal((await told).message, 'not today');
    first.release();
    assert.equal((await behind).command, 'SET');
    second.release();
    await on.end();
    while (lent() > 0)
        await new Promise((resolve) => setImmediate(resolve));
});

test('statements that wait for one connection are each part of what their caller is part of', async (t) => {
    const { open } = require('./support.js');
    const client = open(t);
    const on = new ours.Pool({ sugarperf: client });

    await on.query('SELECT 1');
    const lent = await on.connect();
    const controller = new AbortController();
    const short = client.scope({ signal: controller.signal }, async () => {
        await lent.query('SET lock_timeout = 1000');
        controller.abort();
    });
    const long = client.scope({}, () => lent.query('SELECT 1 AS n FROM pg_sleep(0.3)'));

    await Promise.allSettled([short]);
    assert.equal((await long).rows[0].n, 1);
    lent.release();
    await on.end();
});

both('what a client was given is run although it is released at once, several statements in a text included', async (t, pg) => {
    const on = pool(t, pg);

    for (const first of ['SELECT 0', 'SET lock_timeout = 1000']) {
        const lent = await on.connect();

        await lent.query(first);
        const answer = lent.query('SELECT 1 AS n; SELECT 2 AS n');
        lent.release();
        assert.deepEqual((await answer).map(({ rows }) => rows[0].n), [1, 2]);
    }
});

test('an exclusive pool\'s clients have a connection at once', async (t) => {
    const { client, lent } = await loose(t, { exclusive: true });

    assert.equal(lent(), 1);
    client.release();
});

test('beside replicas a client has a connection at once: what it reads is the primary\'s', async (t) => {
    const { open } = require('./support.js');
    const client = open(t, { 'pool.replicas': url('DATABASE_URL') });
    const on = new ours.Pool({ sugarperf: client });

    await on.query('SELECT 1');
    const lent = await on.connect();
    /* Beside it the pool asks now and then how far the replicas are. */
    for (let i = 0; i < 20; i++) {
        assert.ok(client.pool().stats().active >= 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    lent.release();
    await on.end();
});

test('a pool without a connection tells who connects that the server is gone', async (t) => {
    const on = pool(t, ours, { port: 1, connectionString: undefined, host: '127.0.0.1', user: 'a', database: 'a' });

    for (let i = 0; i < 2; i++)
        assert.equal((await failure(on.connect())).code, 'ECONNREFUSED');
});

test('all clients of a pool may listen at once', async (t) => {
    const on = pool(t, ours, { max: 2 });
    const clients = [await on.connect(), await on.connect()];
    const channel = name();
    const heard = clients.map((client) => new Promise((resolve) => {
        client.on('notification', ({ payload }) => resolve(payload));
    }));

    for (const client of clients)
        await client.query(`LISTEN ${channel}`);
    await clients[0].query(`NOTIFY ${channel}, 'all'`);
    assert.deepEqual(await Promise.all(heard), ['all', 'all']);
    clients.forEach((client) => client.release());
});

/* Ends all connections that are called so. */
async function cut(word) {
    const other = new peer.Client(url('DATABASE_URL'));

    await other.connect();
    await other.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1', [word]);
    await other.end();
}

both('who listens is told that the connection for it was lost', async (t, pg) => {
    const word = name();
    const on = new pg.Client({ connectionString: url('DATABASE_URL'), application_name: word });
    const seen = [];

    await on.connect();
    t.after(() => on.end());
    on.on('error', ({ message }) => seen.push(message));
    const ended = new Promise((resolve) => on.once('end', resolve));
    await on.query(`LISTEN ${word}`);
    await cut(word);
    await ended;
    assert.match(seen.at(-1), /^(terminating connection due to administrator command|Connection terminated unexpectedly)$/);
});
both('who listens is told so also where no other connection is to be had', async (t, pg) => {
    const word = name();
    const [own, to] = [new peer.Client(url('DATABASE_URL')), new URL(url('DATABASE_URL'))];

    await own.connect();
    await own.query(`CREATE ROLE ${word} LOGIN PASSWORD 'one'`);
    Object.assign(to, { username: word, password: 'one' });
    const on = new pg.Client({ connectionString: to.href, application_name: word });

    on.on('error', () => {});
    try {
        await on.connect();
        const ended = new Promise((resolve) => on.once('end', resolve));
        await on.query(`LISTEN ${word}`);
        await own.query(`ALTER ROLE ${word} NOLOGIN`);
        await cut(word);
        await ended;
    } finally {
        await on.end();
        await own.query(`DROP ROLE ${word}`);
        await own.end();
    }
});

test('where nobody asks for errors, a client hears again what it listens to once that connection was lost', async (t) => {
    const word = name();
    const on = new ours.Client({ connectionString: url('DATABASE_URL'), application_name: word });
    const other = pool(t, ours);
    let heard = 0;

    await on.connect();
    t.after(() => on.end());
    on.on('notification', () => heard++);
    await on.query(`LISTEN ${word}`);
    await cut(word);
    while (heard === 0)
        await other.query(`NOTIFY ${word}`);
});

test('an advisory lock that nobody would keep is refused; a client keeps it', async (t) => {
    const [one, two] = [pool(t, ours), pool(t, ours)];
    const key = Math.floor(Math.random() * 2 ** 31);

    for (const name of ['pg_try_advisory_lock', 'pg_advisory_lock_shared'])
        assert.match((await failure(one.query(`SELECT ${name} ($1) AS mine`, [key]))).message, /cannot keep an advisory lock/);
    await one.query("SELECT 'pg_advisory_lock(1)' AS text");
    await one.query('SELECT pg_advisory_lock($1), pg_advisory_unlock($1)', [key]);
    const leader = await one.connect(), other = await two.connect();

    assert.equal((await leader.query('SELECT pg_try_advisory_lock($1) AS mine', [key])).rows[0].mine, true);
    assert.equal((await other.query('SELECT pg_try_advisory_lock($1) AS mine', [key])).rows[0].mine, false);
    leader.release();
    other.release();
});

/* node-postgres compares and subtracts them. */
test('numbers may be given as text, and what is none is refused by name', async (t) => {
    const on = pool(t, ours, { max: '2', min: '1', connectionTimeoutMillis: '60000', idleTimeoutMillis: '10000', statement_timeout: '7000',
        lock_timeout: '3000', maxUses: '100', maxLifetimeSeconds: '60' });
    const lent = await on.connect();

    assert.deepEqual((await lent.query("SELECT current_setting('statement_timeout') AS s, current_setting('lock_timeout') AS l")).rows,
        [{ s: '7s', l: '3s' }]);
    lent.release();
    assert.deepEqual([on.options.max, on.sugarperf.pool().stats().max], [2, 3]);
    assert.equal(new ours.Pool({ max: NaN }).options.max, 10);
    for (const max of ['five', {}, '  '])
        assert.throws(() => new ours.Pool({ max }), /^TypeError: max must be a number, not /, String(max));
    assert.throws(() => new ours.Pool({ max: -1 }), /max must be at least 1, not -1/);
    for (const name of ['min', 'port', 'connectionTimeoutMillis', 'idleTimeoutMillis', 'query_timeout', 'lock_timeout', 'maxUses', 'maxLifetimeSeconds'])
        assert.match((await failure(new ours.Pool({ host: 'localhost', [name]: 'soon' }).query('SELECT 1'))).message, new RegExp(`^${name} must be a number`));
});
