// SPDX-License-Identifier: MIT
'use strict';
/* What the server says beside its answers: to whom it is told, and when. */
const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { promisify } = require('node:util');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { from: copyFrom } = require('pg-copy-streams');
const Cursor = require('pg-cursor');
const { both, client, failure, name, ours, peer, pool, table } = require('./pg_support.js');

const execFile = promisify(require('node:child_process').execFile);

/* What a client is told from now on, in an array that others may add to. */
function told(on, told = []) {
    on.on('notice', ({ message }) => told.push(message));
    return told;
}

function raise(message, level = 'NOTICE') {
    return `DO $$BEGIN RAISE ${level} '${message}'; END$$`;
}

/* A function of the session's own, which says its argument and gives it back. */
async function saying(on) {
    await on.query(`CREATE FUNCTION pg_temp.say(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'row %', n; RETURN n; END$$`);
    return on;
}

test('a notice has the fields that node-postgres gives it', async (t) => {
    const [theirs, own] = await Promise.all([client(t, peer), client(t, ours)]);
    const cut = 'x'.repeat(70);
    const texts = [
        `SELECT 1 AS ${cut}`, `SELECT 1 AS ${cut}`, raise('said'), raise('said', 'WARNING'), raise('said', 'INFO'), 'DROP TABLE IF EXISTS no_such_table', 'COMMIT', 'BEGIN; BEGIN; ROLLBACK',
        raise('said', 'LOG'), 'SET LOCAL work_mem = 1024', 'CREATE TEMPORARY TABLE IF NOT EXISTS twice (n int)',
        'CREATE TEMPORARY TABLE IF NOT EXISTS twice (n int)',
        `DO $$BEGIN RAISE NOTICE 'said %', E'\u00fc"\\n\\t' USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = 'ZX001', COLUMN = 'a column',
            CONSTRAINT = 'a constraint', DATATYPE = 'a type', TABLE = 'a table', SCHEMA = 'a schema'; END$$`,
    ];
    const seen = async (on) => {
        const all = [];
        const add = ({ length, ...fields }) => all.push({ ...fields, length: typeof length });

        on.on('notice', add);
        for (const text of texts) {
            all.push(text);
            await on.query(text);
        }
        on.off('notice', add);
        return all;
    };

    const expected = await seen(theirs);
    assert.ok(expected.length > 2 * texts.length - 3, 'all but two say something');
    assert.deepEqual(await seen(own), expected);
});

both('notices come before their statement is answered, also with an error, and in their order', async (t, pg) => {
    const on = await saying(await client(t, pg));
    const events = told(on);
    const run = (text, values) => on.query(text, values).then(({ rows, ...all }) => events.push(all.length ?? rows.length), ({ code }) => events.push(code));

    await Promise.all([run('SELECT pg_temp.say(i) FROM generate_series(1, 2) i'), run('SELECT pg_temp.say($1)', [3]), run(raise('four')),
        run(`DO $$BEGIN RAISE NOTICE 'five'; PERFORM 1/0; END$$`), run(raise('six', 'WARNING')), run('SELECT 1')]);
    assert.deepEqual(events, ['row 1', 'row 2', 2, 'row 3', 1, 'four', 0, 'five', '22012', 'six', 0, 1]);
    on.query(raise('seven'), () => events.push('called'));
    await on.query('SELECT 1');
    assert.deepEqual(events.slice(-2), ['seven', 'called']);
});

both('so they do in transactions, at their end, and of a text of several statements', async (t, pg) => {
    const on = await saying(await client(t, pg));
    const into = await table(t, on, 'n int');
    const events = told(on);
    const run = async (text) => {
        await on.query(text).catch(({ code }) => events.push(code));
        events.push(';');
    };

    await on.query(`CREATE FUNCTION pg_temp.late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'late %', NEW.n; RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON ${into} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.late()`);
    for (const text of ['BEGIN', raise('one'), `INSERT INTO ${into} VALUES (2)`, 'SAVEPOINT a', raise('three'), 'ROLLBACK TO a', 'COMMIT', 'BEGIN',
        `INSERT INTO ${into} VALUES (4)`, 'ROLLBACK', `INSERT INTO ${into} VALUES (5)`, `${raise('six')}; INSERT INTO ${into} VALUES (7); ${raise('eight')}`,
        `${raise('nine')}; SELECT 1/0; ${raise('never')}`, 'COMMIT'])
        await run(text);
    assert.deepEqual(events, [';', 'one', ';', ';', ';', 'three', ';', ';', 'late 2', ';', ';', ';', ';', 'late 5', ';', 'six', 'eight', 'late 7', ';',
        'nine', '22012', ';', 'there is no transaction in progress', ';']);
});

both('those of COPY and of cursors are told', async (t, pg) => {
    const on = await saying(await client(t, pg));
    const into = await table(t, on, 'n int');
    const events = told(on);

    await on.query(`CREATE FUNCTION pg_temp.each() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'copied %', NEW.n; RETURN NEW; END$$;
        CREATE TRIGGER each BEFORE INSERT ON ${into} FOR EACH ROW EXECUTE FUNCTION pg_temp.each()`);
    await pipeline(Readable.from(['1\n2\n']), on.query(copyFrom(`COPY ${into} FROM STDIN`)));
    events.push('copied');
    const cursor = on.query(new Cursor(`SELECT pg_temp.say(n) FROM ${into}`));
    events.push((await cursor.read(10)).length);
    await cursor.close();
    assert.deepEqual(events, ['copied 1', 'copied 2', 'copied', 'row 1', 'row 2', 2]);
});

both('a client that a pool has lent tells its own alone, and no later one', async (t, pg) => {
    const on = pool(t, pg, { max: 1 });
    const first = await on.connect();
    const events = told(first);

    await first.query('BEGIN');
    await first.query(raise('first'));
    first.release();
    const second = await on.connect();
    first.removeAllListeners('notice');
    await second.query(raise('nobody'));
    const others = told(second);
    await second.query(raise('second'));
    second.release();
    assert.deepEqual([events.filter((message) => message !== 'second'), others], [['first'], ['second']]);
});

both('a listener that a pool gives to each connection hears pool.query()', async (t, pg) => {
    const on = pool(t, pg);
    const events = [];

    on.on('connect', (made) => told(made, events));
    await on.query(raise('one'));
    events.push(';');
    await on.query('DROP TABLE IF EXISTS no_such_table');
    assert.deepEqual(events, ['one', ';', 'table "no_such_table" does not exist, skipping']);
});

both('who comes late hears from then on, and who went nothing more', async (t, pg) => {
    const on = await client(t, pg);
    const events = [];
    const add = ({ message }) => events.push(message);

    await on.query(raise('before'));
    on.on('notice', add);
    await on.query(raise('here'));
    on.off('notice', add);
    await on.query(raise('gone'));
    on.once('notice', add);
    await on.query(`${raise('once')}; ${raise('twice')}`);
    assert.deepEqual(events, ['here', 'once']);
});

test('what a connection said before it was lost is told', async (t) => {
    const on = await client(t, ours);
    const events = told(on);

    await failure(on.query(`DO $$BEGIN RAISE NOTICE 'last words'; PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); END$$`));
    assert.deepEqual(events, ['last words']);
});

test('of notices without end a last one says how many were dropped', async (t) => {
    const on = await client(t, ours);
    const events = [];

    on.on('notice', (notice) => events.push(notice));
    await on.query(`DO $$BEGIN FOR i IN 1..400 LOOP RAISE NOTICE '% %', i, repeat('x', 8000); END LOOP; END$$`);
    const last = events.pop();
    assert.match(events.at(-1).message, new RegExp(`^${events.length} x+$`));
    assert.match(last.message, new RegExp(`^${400 - events.length} more notices were dropped: `));
    assert.deepEqual([last.name, last.severity, last.code], ['notice', 'WARNING', '01000']);
    await on.query(raise('after'));
    assert.equal(events.at(-1).message, 'after');
});

test('who throws upon a notice fails neither its statement nor the next notice', async () => {
    const program = `
        const { Client } = require('./lib/pg/index.js');
        const on = new Client(process.env.DATABASE_URL), seen = [];

        process.on('uncaughtException', ({ message }) => seen.push(message));
        on.on('notice', ({ message }) => {
            seen.push(message);
            if (message === 'wrong')
                throw new Error('thrown');
        });
        on.connect().then(async () => {
            await on.query("DO $$BEGIN RAISE NOTICE 'wrong'; RAISE NOTICE 'next'; END$$");
            await new Promise(setImmediate);
            console.log(seen.join());
            await on.end();
        });`;

    const { stdout } = await execFile(process.execPath, ['-e', program], { cwd: path.join(__dirname, '..') });
    assert.equal(stdout, 'wrong,next,thrown\n');
});
