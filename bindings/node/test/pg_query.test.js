// SPDX-License-Identifier: MIT
'use strict';
/* How queries are made and answered, what errors tell, and what a client does when. */
const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { promisify } = require('node:util');
const { once } = require('node:events');
const { both, client, failure, name, ours, peer, pool, table } = require('./pg_support.js');
const { url } = require('./support.js');

const execFile = promisify(require('node:child_process').execFile);

both('a query is a text, a config or a Query; it answers a promise, a callback, or events', async (t, pg) => {
    const on = await client(t, pg);
    const called = (...args) => new Promise((resolve, reject) => {
        on.query(...args, (error, result) => (error ? reject(error) : resolve(result)));
    });
    const config = { text: 'SELECT $1::int AS n', values: [1] };

    for (const result of [await on.query(config.text, [1]), await on.query(config), await called(config), await called(config.text, [1]),
        await on.query({ text: config.text }, [1]), await on.query({ ...config, name: name() })])
        assert.deepEqual(result.rows, [{ n: 1 }]);
    assert.deepEqual((await called('SELECT 2 AS n')).rows, [{ n: 2 }]);

    const query = new pg.Query('SELECT i FROM generate_series(1, 3) i');
    const seen = [];
    query.on('row', (row) => seen.push(row.i));
    assert.equal(on.query(query), query);
    const [result] = await once(query, 'end');
    assert.deepEqual([seen, result.rowCount, result.rows], [[1, 2, 3], 3, []]);

    const wrong = new pg.Query('SELECT wrong');
    on.query(wrong);
    const [error] = await once(wrong, 'error');
    assert.equal(error.code, '42703');
});

both('a config may say what it is by getters, its own or its class\'s', async (t, pg) => {
    class Literal {
        constructor(strings, ...values) {
            this.strings = strings;
            this.values = values;
        }

        get text() {
            return this.strings.reduce((text, part, i) => `${text}$${i}${part}`);
        }
    }
    const on = await client(t, pg);
    const config = ((strings, ...values) => new Literal(strings, ...values))`SELECT ${1}::int AS n`;

    for (const one of [await on.query(config), await pool(t, pg).query(config), await on.query(Object.create({ text: 'SELECT 1 AS n' })),
        await on.query('SELECT $1::int[] AS n', [[1, , 2]])])
        assert.deepEqual([one.rows[0].n].flat()[0], 1);
});

both('a text may hold no statement, or several, which are one transaction', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int PRIMARY KEY');
    const none = await on.query(' ; -- nothing');

    assert.deepEqual([none.command, none.rows, none.rowCount], [null, [], null]);
    const results = await on.query(`INSERT INTO ${into} VALUES (1), (2); SELECT count(*)::int AS n FROM ${into};`);
    assert.deepEqual(results.map(({ command, rowCount, rows }) => [command, rowCount, rows]),
        [['INSERT', 2, []], ['SELECT', 1, [{ n: 2 }]]]);
    assert.equal((await failure(on.query(`INSERT INTO ${into} VALUES (3); INSERT INTO ${into} VALUES (1)`))).code, '23505');
    assert.equal((await failure(on.query(`INSERT INTO ${into} VALUES (3); SELEC 1`))).code, '42601');
    assert.equal((await failure(on.query('SELECT 1; SELECT $1', ['x']))).code, '42601');
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 2);
    await on.query(`BEGIN; INSERT INTO ${into} VALUES (3); ROLLBACK; INSERT INTO ${into} VALUES (4)`);
    assert.deepEqual((await on.query(`SELECT n FROM ${into} ORDER BY n`)).rows.map((row) => row.n), [1, 2, 4]);
});

test('an error has the fields that node-postgres gives it', async (t) => {
    const [theirs, own] = await Promise.all([client(t, peer), client(t, ours)]);
    const into = await table(t, theirs, "id int PRIMARY KEY, mail text NOT NULL UNIQUE, age int CHECK (age > 0)");
    const wrong = [
        ['SELEC 1'], ['SELECT 1 +'], [`SELECT missing FROM ${into}`], ['SELECT * FROM no_such_table'], ['SELECT no_such_function(1)'],
        [`INSERT INTO ${into} VALUES (1, 'a', 1), (1, 'b', 1)`], [`INSERT INTO ${into} VALUES (2, NULL, 1)`],
        [`INSERT INTO ${into} VALUES (3, 'c', $1)`, [-1]], ['SELECT $1::int', ['x']], ['SELECT 1/$1::int', [0]],
        ["DO $$BEGIN RAISE EXCEPTION 'said %', 42 USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = 'ZX001'; END$$"],
        ['SELECT $1::int, $2::int', [1]], ['SET no_such_setting = 1'], [`CREATE TABLE ${into} (a int)`],
        ["SELECT * FROM json_to_record('{\"a\":\"x\"}') AS r(a int)"], ['SELECT 1; SELECT $1', [1]],
    ];
    const shown = (error) => {
        const { length, ...fields } = error;

        return { ...fields, message: error.message.replace(/statement "\w*"/, 'statement ?'), length: typeof length };
    };

    for (const [text, values] of wrong) {
        const [expected, found] = [await failure(theirs.query(text, values)), await failure(own.query(text, values))];

        assert.deepEqual(shown(found), shown(expected), text);
        assert.ok(found instanceof ours.DatabaseError);
    }
});

both('an error leaves the client fit for the next query', async (t, pg) => {
    const on = await client(t, pg);
    const all = await Promise.allSettled(['SELECT 1 AS n', 'SELECT wrong', 'SELECT 2 AS n'].map((text) => on.query(text)));

    assert.deepEqual(all.map((one) => one.value?.rows ?? one.reason.code), [[{ n: 1 }], '42703', [{ n: 2 }]]);
    assert.match((await failure(on.query('SELECT $1', 'no array'))).message, /array/);
    const circle = { toPostgres: () => circle };
    assert.match((await failure(on.query('SELECT $1', [circle]))).message, /circular/);
    assert.match((await failure(on.query({}))).message, /text or a name/);
    assert.throws(() => on.query(null), TypeError);
    assert.deepEqual((await on.query('SELECT 3 AS n')).rows, [{ n: 3 }]);
});

both('what is no query, no callback or no channel is refused', async (t, pg) => {
    const on = await client(t, pg);
    const shared = new pg.Pool({ connectionString: process.env.DATABASE_URL });

    assert.throws(() => on.query('SELECT 1', [], 'no function'), /^TypeError: callback is not a function$/);
    for (const none of [null, undefined])
        assert.match(String(await failure(shared.query(none))), /^TypeError: Client was passed a null or undefined query$/);
    await shared.end();
    assert.equal((await failure(on.query('LISTEN 1x'))).code, '42601');
    assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
});

test('a COPY without a stream says what it wants', async (t) => {
    const on = await client(t, ours);

    for (const text of ['COPY (SELECT 1) TO STDOUT', 'COPY pg_class FROM STDIN'])
        assert.match((await failure(on.query(text))).message, /^COPY has a stream beside its text: give client\.query\(\) one of pg-copy-streams/);
    assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
});

both('queries that do not wait for each other are answered in their order', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int');
    const order = [];
    const steps = [`INSERT INTO ${into} VALUES (1)`, `SELECT count(*)::int AS n FROM ${into}`, `UPDATE ${into} SET n = 2; DELETE FROM ${into}`,
        `SELECT count(*)::int AS n FROM ${into}`];
    const answers = await Promise.all(steps.map((text, i) => on.query(text).finally(() => order.push(i))));

    assert.deepEqual(order, [0, 1, 2, 3]);
    assert.deepEqual([answers[1].rows[0].n, answers[3].rows[0].n], [1, 0]);
});

both('a transaction is begun, ended and failed in SQL', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int PRIMARY KEY');
    /* node-postgres learns it a little after its answer, where that is an error. */
    const step = async (text, command, status) => {
        assert.equal(await on.query(text).then((result) => result.command, (error) => error.code), command, text);
        while (on.getTransactionStatus() !== status)
            await new Promise((resolve) => setImmediate(resolve));
    };

    assert.equal(on.getTransactionStatus(), 'I');
    await step('BEGIN', 'BEGIN', 'T');
    await step(`INSERT INTO ${into} VALUES (1)`, 'INSERT', 'T');
    await step('COMMIT', 'COMMIT', 'I');
    await step('START TRANSACTION', 'START', 'T');
    await step('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SET', 'T');
    await step('SAVEPOINT one', 'SAVEPOINT', 'T');
    await step(`INSERT INTO ${into} VALUES (1)`, '23505', 'E');
    await step('SELECT 1', '25P02', 'E');
    await step('ROLLBACK TO SAVEPOINT one', 'ROLLBACK', 'T');
    await step('SHOW transaction_isolation', 'SHOW', 'T');
    await step(`INSERT INTO ${into} VALUES (1)`, '23505', 'E');
    await step('COMMIT', 'ROLLBACK', 'I');
    await step('COMMIT', 'COMMIT', 'I');
    await step('ROLLBACK', 'ROLLBACK', 'I');
    await step('BEGIN', 'BEGIN', 'T');
    await step('BEGIN', 'BEGIN', 'T');
    await step(`INSERT INTO ${into} VALUES (2)`, 'INSERT', 'T');
    await step('ROLLBACK', 'ROLLBACK', 'I');
    assert.deepEqual((await on.query(`SELECT n FROM ${into}`)).rows, [{ n: 1 }]);
    await Promise.all(['BEGIN', `INSERT INTO ${into} VALUES (3)`, 'COMMIT'].map((text) => on.query(text)));
    assert.equal((await on.query(`SELECT n FROM ${into}`)).rowCount, 2);
});

both('session state stays with the client', async (t, pg) => {
    const on = await client(t, pg, { application_name: 'named here' });

    assert.equal((await on.query('SHOW application_name')).rows[0].application_name, 'named here');
    await on.query("SET application_name = 'another'; CREATE TEMPORARY TABLE held (n int)");
    assert.equal((await on.query('SHOW application_name')).rows[0].application_name, 'another');
    assert.equal((await on.query('SELECT * FROM held')).rowCount, 0);
    const { pid } = (await on.query('SELECT pg_backend_pid() AS pid')).rows[0];

    /* One that a pool lent does not say. */
    assert.equal(on.processID ?? pid, pid);
});

both('a client knows where it leads to before it is connected', async (t, pg) => {
    const on = new pg.Client('postgres://me:secret@db.test:6000/things');

    assert.deepEqual([on.host, on.port, on.user, on.database, on.processID], ['db.test', 6000, 'me', 'things', null]);
    assert.doesNotMatch(JSON.stringify(on.connectionParameters), /secret/);
});

both('a client is connected once, and refuses once it has ended', async (t, pg) => {
    const on = await client(t, pg);

    assert.equal((await failure(on.connect())).message, 'Client has already been connected. You cannot reuse a client.');
    const last = on.query('SELECT 1 AS n');
    assert.deepEqual((await last).rows, [{ n: 1 }]);
    const ended = once(on, 'end');
    await on.end();
    await ended;
    assert.equal((await failure(on.query('SELECT 1'))).message, 'Client was closed and is not queryable');
    await new pg.Client({ connectionString: process.env.DATABASE_URL }).end();
});

both('a server that cannot be reached or refuses is told by its code', async (t, pg) => {
    const nobody = new pg.Client({ host: '127.0.0.1', port: 1, user: 'nobody', database: 'none' });
    assert.equal((await failure(nobody.connect())).code, 'ECONNREFUSED');

    const url = new URL(process.env.DATABASE_URL);
    url.pathname = '/no_such_database';
    const lost = new pg.Client({ connectionString: url.href });
    assert.equal((await failure(lost.connect())).code, '3D000');
});

test('what keeps a server from being reached has the code or the message that node-postgres gives it', async () => {
    const { pgError } = require('../lib/pg/errors.js');
    const folder = { host: '/tmp/no-such-folder', user: 'nobody', database: 'none' };
    const plain = { connectionString: process.env.DATABASE_URL, ssl: { rejectUnauthorized: false } };
    const causes = { EAI_AGAIN: 'db: Temporary failure in name resolution', ENOTFOUND: 'could not translate host name "db" to address: Name or service not known',
        EHOSTUNREACH: 'No route to host', ENETUNREACH: 'Network is unreachable', EACCES: 'Permission denied', EPIPE: 'Broken pipe',
        ERR_TLS_CERT_ALTNAME_INVALID: 'server certificate for "a" does not match host name "b"', SP_UNAVAILABLE: 'what nobody knows; SSL was refused' };

    for (const config of [folder, plain]) {
        const [expected, found] = [await failure(new peer.Client(config).connect()), await failure(new ours.Client(config).connect())];

        assert.equal(found.code, expected.code, expected.message);
        if (expected.code === undefined)
            assert.equal(found.message, expected.message);
    }
    for (const [code, message] of Object.entries(causes))
        assert.equal(pgError(Object.assign(new Error(message), { code: 'SP_UNAVAILABLE' })).code, code);
});

both('a statement ends at the server\'s time-out, and at the caller\'s', async (t, pg) => {
    const short = await client(t, pg, { statement_timeout: 50 });
    const error = await failure(short.query('SELECT pg_sleep(60)'));
    assert.deepEqual([error.code, error.message], ['57014', 'canceling statement due to statement timeout']);

    const late = new pg.Client({ connectionString: process.env.DATABASE_URL, query_timeout: 50 });
    await late.connect();
    assert.equal((await failure(late.query('SELECT pg_sleep(0.5)'))).message, 'Query read timeout');
    await late.end();
});

both('a client hears what it listens to, until it does not', async (t, pg) => {
    const [on, other] = await Promise.all([client(t, pg), client(t, pg)]);
    const channel = name();
    const heard = [];
    on.on('notification', (message) => heard.push([message.channel, message.payload, typeof message.processId]));

    await on.query(`LISTEN ${channel.toUpperCase()}`);
    await on.query(`LISTEN "${channel}.X"`);
    await other.query(`NOTIFY ${channel}, 'one'`);
    await other.query('SELECT pg_notify($1, $2)', [`${channel}.X`, 'two']);
    while (heard.length < 2)
        await once(on, 'notification');
    assert.deepEqual(heard, [[channel, 'one', 'number'], [`${channel}.X`, 'two', 'number']]);
    await on.query(`UNLISTEN ${channel}`);
    await other.query(`NOTIFY ${channel}, 'three'; NOTIFY "${channel}.X", 'four'`);
    while (heard.length < 3)
        await once(on, 'notification');
    assert.deepEqual(heard[2], [`${channel}.X`, 'four', 'number']);
    await on.query('UNLISTEN *');
});

both('a query may have a time limit of its own; 0, false and null are none', async (t, pg) => {
    const on = await client(t, pg);
    const shared = new pg.Pool({ connectionString: process.env.DATABASE_URL });

    for (const ask of [on, shared]) {
        for (const none of [0, null, false, '', undefined])
            assert.deepEqual((await ask.query({ text: 'SELECT 1 AS n', query_timeout: none })).rows, [{ n: 1 }]);
        for (const short of [50, '50'])
            assert.equal((await failure(ask.query({ text: 'SELECT pg_sleep(0.2)', query_timeout: short }))).message, 'Query read timeout');
    }
    await shared.end();
});

test('a time limit of a query that is none is refused by name', async (t) => {
    const on = await client(t, ours);

    assert.match((await failure(on.query({ text: 'SELECT 1', query_timeout: '5s' }))).message, /^query_timeout must be a number, not '5s'/);
    assert.deepEqual((await on.query({ text: 'SELECT 1 AS n', query_timeout: Infinity })).rows, [{ n: 1 }]);
});

both('a name alone runs what was prepared under it, and stands for one text', async (t, pg) => {
    const on = await client(t, pg);
    const shared = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1 });

    for (const ask of [on, shared]) {
        assert.deepEqual((await ask.query({ name: 'one', text: 'SELECT $1::int AS n', values: [1] })).rows, [{ n: 1 }]);
        assert.deepEqual((await ask.query({ name: 'one', values: [2] })).rows, [{ n: 2 }]);
        assert.equal((await failure(ask.query({ name: 'two', text: 'SELEC 1' }))).code, '42601');
        assert.deepEqual((await ask.query({ name: 'two', text: 'SELECT 2 AS n' })).rows, [{ n: 2 }]);
    }
    assert.match((await failure(on.query({ name: 'one', text: 'SELECT 3' }))).message, /must be unique - 'one' was used for a different statement/);
    assert.deepEqual((await on.query({ name: 'one', values: [3] })).rows, [{ n: 3 }]);
    await shared.end();
});

test('a name under which nothing was prepared is told as the server tells it', async (t) => {
    const on = await client(t, ours);
    const { code, message } = await failure(on.query({ name: 'nothing', values: [1] }));

    assert.deepEqual([code, message], ['26000', 'prepared statement "nothing" does not exist']);
});

both('a query in the extended mode is one statement', async (t, pg) => {
    const on = await client(t, pg);

    assert.equal((await failure(on.query({ text: 'SELECT 1; SELECT 2', queryMode: 'extended' }))).code, '42601');
    assert.deepEqual((await on.query({ text: 'SELECT 1 AS n', queryMode: 'extended' })).rows, [{ n: 1 }]);
});

both('a channel may have any name that PostgreSQL takes', async (t, pg) => {
    const on = await client(t, pg);
    const [long, odd] = [name().padEnd(63, 'x'), `${name()}É`];
    const heard = [];

    on.on('notification', ({ channel }) => heard.push(channel));
    await on.query(`LISTEN ${long}`);
    await on.query(`LISTEN "${long.toUpperCase().slice(0, 30)}""$"`);
    await on.query(`LISTEN ${odd.toUpperCase()}`);
    for (const channel of [long, `${long.toUpperCase().slice(0, 30)}"$`, odd])
        await on.query('SELECT pg_notify($1, $2)', [channel, '']);
    while (heard.length < 3)
        await once(on, 'notification');
    assert.deepEqual(heard, [long, `${long.toUpperCase().slice(0, 30)}"$`, odd]);
});

both('in a transaction LISTEN and UNLISTEN hold once it is committed', async (t, pg) => {
    const [on, other] = await Promise.all([client(t, pg), client(t, pg)]);
    const [one, two, fence] = [name(), name(), name()];
    const heard = [];
    const all = async (...texts) => {
        for (const text of texts)
            await on.query(text);
    };
    /* What is heard of these channels and the fence, that is the last. */
    const told = async (...channels) => {
        heard.length = 0;
        for (const channel of [...channels, fence])
            await other.query(`NOTIFY ${channel}`);
        while (!heard.includes(fence))
            await once(on, 'notification');
    };
    /* What is heard of both channels now; what was sent before has come by then. */
    const hears = async () => {
        await told();
        await told(one, two);
        return heard.filter((channel) => channel !== fence).map((channel) => (channel === one ? 'one' : 'two'));
    };

    on.on('notification', ({ channel }) => heard.push(channel));
    await on.query(`LISTEN ${fence}`);
    await all('BEGIN', `LISTEN ${one}`, 'ROLLBACK');
    assert.deepEqual(await hears(), [], 'LISTEN is undone');
    await all('BEGIN', `LISTEN ${one}`);
    await other.query(`NOTIFY ${one}`);
    await all(`NOTIFY ${one}, 'own'`, 'COMMIT');
    while (heard.length === 0)
        await once(on, 'notification');
    assert.deepEqual(await hears(), ['one']);
    await all('BEGIN', 'UNLISTEN *', `LISTEN ${two}`, 'ROLLBACK');
    assert.deepEqual(await hears(), ['one'], 'UNLISTEN is undone');
    await all('BEGIN', 'SAVEPOINT a', `UNLISTEN ${one}`, `LISTEN ${two}`, 'ROLLBACK TO SAVEPOINT a', 'COMMIT');
    assert.deepEqual(await hears(), ['one'], 'back to a savepoint');
    await all('BEGIN', 'SAVEPOINT "a"', `UNLISTEN ${one}`, 'RELEASE a', `LISTEN ${two}`, 'COMMIT');
    assert.deepEqual(await hears(), ['two']);
    await all('BEGIN', `LISTEN ${one}`);
    await failure(on.query('SELECT 1/0'));
    assert.equal((await failure(on.query(`UNLISTEN ${two}`))).code, '25P02');
    assert.equal((await on.query('COMMIT')).command, 'ROLLBACK');
    await failure(on.query(`LISTEN ${one}; SELECT 1/0`));
    assert.deepEqual(await hears(), ['two'], 'what fails');
    await on.query(`UNLISTEN ${two}; LISTEN ${one}`);
    assert.deepEqual(await hears(), ['one']);
});

/* What `count` messages say, as channel and number, once all of them came; numbers are those of `channels`. */
async function numbered(on, channels, count) {
    const heard = [];
    const listen = ({ channel, payload }) => heard.push([channels.indexOf(channel), Number(payload)]);

    on.on('notification', listen);
    while (heard.length < count)
        await once(on, 'notification');
    on.off('notification', listen);
    return heard;
}

const NOTIFY = 'SELECT count(pg_notify(($1::text[])[1 + i * i % 3], i::text)) FROM generate_series($2::int, $3::int) i';

both('messages of several channels come in the order in which they were sent', async (t, pg) => {
    const [on, other, third] = await Promise.all([client(t, pg), client(t, pg), client(t, pg)]);
    const channels = [name(), name(), name()];

    for (const channel of channels)
        await on.query(`LISTEN ${channel}`);
    const heard = numbered(on, channels, 400);
    for (let i = 0; i < 400; i += 20)
        await (i % 40 ? other : third).query(NOTIFY, [channels, i, i + 19]);
    assert.deepEqual(await heard, Array.from({ length: 400 }, (_, i) => [i * i % 3, i]));
});

both('so do those of a transaction that begins to listen, or ends it', async (t, pg) => {
    const on = await client(t, pg);
    const channels = [name(), name(), name()];
    const sent = Array.from({ length: 60 }, (_, i) => [i * i % 3, i]);
    const hears = async (expected, ...changes) => {
        const heard = numbered(on, channels, expected.length);

        for (const text of ['BEGIN', ...changes])
            await on.query(text);
        await on.query(NOTIFY, [channels, 0, 59]);
        await on.query('COMMIT');
        assert.deepEqual(await heard, expected);
    };

    await on.query(`LISTEN ${channels[0]}`);
    await hears(sent.filter(([channel]) => channel === 0));
    await hears(sent, `LISTEN ${channels[1]}`, `LISTEN ${channels[2]}`);
    await hears(sent.filter(([channel]) => channel === 1), `UNLISTEN ${channels[0]}`);
    await hears(sent, `LISTEN ${channels[0]}`);
});

test('who throws upon a message keeps nobody from the next one', async () => {
    const program = `
        const { Client } = require('./lib/pg/index.js');
        const on = new Client(process.env.DATABASE_URL), seen = [];

        process.on('uncaughtException', ({ message }) => seen.push(message));
        on.on('notification', ({ payload }) => {
            if (payload === 'wrong')
                throw new Error(payload);
            console.log(seen.join(), payload);
            on.end();
        });
        on.connect().then(() => on.query("LISTEN throws; NOTIFY throws, 'wrong'; NOTIFY throws, 'next'"));`;

    const { stdout } = await execFile(process.execPath, ['-e', program], { cwd: path.join(__dirname, '..') });
    assert.equal(stdout, 'wrong next\n');
});

both('a COMMIT that fails ends the transaction', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int UNIQUE DEFERRABLE INITIALLY DEFERRED');
    const all = ['BEGIN', `INSERT INTO ${into} VALUES (1), (1)`, 'COMMIT', 'SELECT 1 AS n'].map((text) => on.query(text));

    assert.equal((await failure(all[2])).code, '23505');
    assert.deepEqual((await all[3]).rows, [{ n: 1 }]);
    if (on.getTransactionStatus)
        assert.equal(on.getTransactionStatus(), 'I');
});

both('a client tells when it has nothing left to do, once', async (t, pg) => {
    const on = new pg.Client({ connectionString: url('DATABASE_URL') });
    let count = 0;
    let drained = once(on, 'drain');

    on.on('drain', () => count++);
    const early = on.query('SELECT 0');
    await on.connect();
    await early;
    await drained;
    assert.equal(count, 1);
    drained = once(on, 'drain');
    await Promise.all([on.query('SELECT 1'), on.query('SELECT 2')]);
    await drained;
    await on.end();
    assert.equal(count, 2);
});

test('an early query that is refused holds up none behind it', async () => {
    const on = new ours.Client({ connectionString: url('DATABASE_URL') });
    let drained = 0;

    on.on('drain', () => drained++);
    const early = [{ name: 'q', text: 'SELECT 1 AS n' }, { name: 'q', text: 'SELECT 2 AS n' }, { text: 'SELECT 3 AS n' }]
        .map((query) => on.query(query));
    const told = Promise.allSettled(early);
    await on.connect();
    const [first, second, third] = await told;
    assert.deepEqual([first.value.rows, third.value.rows], [[{ n: 1 }], [{ n: 3 }]]);
    assert.match(second.reason.message, /must be unique/);
    await assert.rejects(on.query({ name: 'q', text: 'SELECT 2 AS n' }), /must be unique/);
    assert.equal(drained, 1);
    await on.end();
    assert.equal(drained, 1);
});

both('several statements in one text are in a transaction as the server has it', async (t, pg) => {
    const on = await client(t, pg);
    const seen = {
        'INSERT INTO s VALUES (1); COMMIT; INSERT INTO s VALUES (2); SELECT 1/0': ['22012', [1], 'I'],
        "INSERT INTO s VALUES (1); SET LOCAL work_mem = '1MB'; SAVEPOINT a; INSERT INTO s VALUES (2); ROLLBACK TO a": ['25P01', [], 'I'],
        'INSERT INTO s VALUES (1); BEGIN; INSERT INTO s VALUES (2); ROLLBACK; INSERT INTO s VALUES (3)': ['5', [3], 'I'],
        'INSERT INTO s VALUES (1); BEGIN; INSERT INTO s VALUES (2)': ['3', [1, 2], 'T'],
        'SAVEPOINT a; INSERT INTO s VALUES (1)': ['25P01', [], 'I'],
        'BEGIN; INSERT INTO s VALUES (1); SAVEPOINT a; INSERT INTO s VALUES (2); ROLLBACK TO a; COMMIT': ['6', [1], 'I'],
    };

    await on.query('CREATE TEMPORARY TABLE s (n int)');
    for (const [text, [what, rows, status]] of Object.entries(seen)) {
        const answer = await on.query(text).then((results) => String(results.length), ({ code }) => code);

        assert.deepEqual([answer, (await on.query('SELECT n FROM s ORDER BY n')).rows.map(({ n }) => n)], [what, rows], text);
        if (on.getTransactionStatus)
            assert.equal(on.getTransactionStatus(), status, text);
        await on.query('ROLLBACK');
        await on.query('TRUNCATE s');
    }
});

both('a statement that was run before sees a table as it is now, also in a transaction', async (t, pg) => {
    const on = await client(t, pg);

    await on.query('CREATE TEMPORARY TABLE m AS SELECT 1 AS a');
    for (let column = 1; column <= 2; column++) {
        await on.query('BEGIN');
        await on.query('SELECT * FROM m');
        const altered = on.query(`ALTER TABLE m ADD COLUMN c${column} int DEFAULT ${column}`);
        const { rows } = await on.query('SELECT * FROM m');

        await altered;
        assert.equal(rows[0][`c${column}`], column);
        await on.query('COMMIT');
    }
    await on.query('BEGIN');
    await on.query('SET LOCAL search_path = pg_catalog');
    assert.equal((await on.query("SELECT 'm'::regclass::text AS name")).rows[0].name, 'm');
    await on.query('ROLLBACK');
});
