// SPDX-License-Identifier: MIT
'use strict';
/* pg-cursor, pg-query-stream and pg-copy-streams run on our clients as they are. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');
const { both, client, failure, ours, pool, table } = require('./pg_support.js');

const SERIES = 'SELECT i FROM generate_series(1, $1::int) i';

async function alive(on) {
    assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
}

both('a cursor yields its rows a few at a time', async (t, pg) => {
    const on = await client(t, pg);
    const cursor = on.query(new Cursor(SERIES, [5]));
    const behind = on.query('SELECT 7 AS n');

    assert.deepEqual((await cursor.read(2)).map((row) => row.i), [1, 2]);
    assert.deepEqual((await cursor.read(2)).map((row) => row.i), [3, 4]);
    assert.deepEqual((await cursor.read(2)).map((row) => row.i), [5]);
    assert.deepEqual(await cursor.read(2), []);
    assert.deepEqual((await behind).rows, [{ n: 7 }]);
    assert.equal(on.getTransactionStatus(), 'I');
});

both('a cursor that is closed early gives the client back', async (t, pg) => {
    const on = await client(t, pg);
    const cursor = on.query(new Cursor(`${SERIES} -- all of them`, [100000]));

    assert.equal((await cursor.read(1)).length, 1);
    await cursor.close();
    await cursor.close();
    await alive(on);
    assert.equal(on.getTransactionStatus(), 'I');
});

both('a cursor or stream that is closed at once, before it read anything, gives the client back', async (t, pg) => {
    const on = await client(t, pg);

    await on.query(new Cursor(SERIES, [3])).close();
    await alive(on);
    on.query(new QueryStream(SERIES, [3])).destroy();
    await alive(on);
});

both('a cursor that nobody ever reads keeps no connection', async (t, pg) => {
    const on = pool(t, pg, { max: 1 });

    for (const leave of [(lent) => lent.release(), async (lent) => {
        await lent.end();
        lent.release();
    }]) {
        const lent = await on.connect();

        lent.query(new Cursor(SERIES, [3]));
        await leave(lent);
    }
    await on.end();
});

both('what is behind a cursor is told when its client is released', async (t, pg) => {
    const on = pool(t, pg, { max: 1 });
    const lent = await on.connect();
    const cursor = lent.query(new Cursor(SERIES, [3]));
    const behind = failure(lent.query('SELECT 1'));

    assert.equal((await cursor.read(1)).length, 1);
    lent.release(new Error('given up'));
    assert.ok((await behind) instanceof Error);
    await on.end();
});

both('a cursor has its own form of rows and parsers', async (t, pg) => {
    const on = await client(t, pg);
    const types = { getTypeParser: () => (text) => `<${text}>` };
    const cursor = on.query(new Cursor('SELECT 1 AS a, NULL AS b', [], { rowMode: 'array', types }));

    assert.deepEqual(await cursor.read(10), [['<1>', null]]);
    await cursor.close();
});

both('a cursor in a transaction leaves it open, and one of a write has its rows as well', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int');

    await on.query('BEGIN');
    const written = on.query(new Cursor(`INSERT INTO ${into} SELECT generate_series(1, 5) RETURNING n`));
    assert.deepEqual((await written.read(3)).map((row) => row.n), [1, 2, 3]);
    assert.deepEqual((await written.read(3)).map((row) => row.n), [4, 5]);
    const read = on.query(new Cursor(`SELECT n FROM ${into} ORDER BY n`));
    assert.deepEqual((await read.read(2)).map((row) => row.n), [1, 2]);
    await read.close();
    assert.equal(on.getTransactionStatus(), 'T');
    await on.query('ROLLBACK');
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 0);
});

both('a cursor tells what is wrong with its statement, and where', async (t, pg) => {
    const on = await client(t, pg);
    const [error] = await Promise.all([failure(on.query(new Cursor('SELECT 1 FROM no_such_table')).read(1))]);

    assert.deepEqual([error.code, error.position], ['42P01', '15']);
    const late = on.query(new Cursor('SELECT 1 / (3 - i) AS n FROM generate_series(1, 5) i'));
    assert.equal((await late.read(1)).length, 1);
    assert.equal((await failure(late.read(5))).code, '22012');
    await alive(on);
});

both('a cursor whose statement failed can be closed', async (t, pg) => {
    const on = await client(t, pg);
    const late = on.query(new Cursor('SELECT 1 / (3 - i) AS n FROM generate_series(1, 5) i'));
    const behind = on.query('SELECT 7 AS n');

    assert.equal((await late.read(1)).length, 1);
    assert.equal((await failure(late.read(5))).code, '22012');
    await late.close();
    assert.deepEqual((await behind).rows, [{ n: 7 }]);
    const wrong = on.query(new Cursor('SELEC 1'));
    assert.equal((await failure(wrong.read(1))).code, '42601');
    await wrong.close();
    await alive(on);
});

test('a cursor whose statement failed long ago can be closed', async (t) => {
    const on = await client(t, ours);
    const wrong = on.query(new Cursor('SELEC 1'));

    assert.equal((await failure(wrong.read(1))).code, '42601');
    await alive(on);
    await wrong.close();
    await alive(on);
});

both('a stream of a query yields all rows, also to who is slow', async (t, pg) => {
    const on = await client(t, pg);
    let sum = 0;

    for await (const row of on.query(new QueryStream(SERIES, [1000], { batchSize: 64 }))) {
        sum += row.i;
        if (row.i % 200 === 0)
            await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(sum, 500500);
    await alive(on);
});

both('a stream of a query that is left early, or fails, gives the client back', async (t, pg) => {
    const on = await client(t, pg);

    for await (const row of on.query(new QueryStream(SERIES, [100000], { batchSize: 10 }))) {
        if (row.i === 5)
            break;
    }
    await alive(on);
    const failing = on.query(new QueryStream('SELECT 1 / (3 - i) AS n FROM generate_series(1, 5) i', [], { batchSize: 1 }));
    const error = await failure((async () => {
        for await (const row of failing)
            assert.ok(row);
    })());
    assert.equal(error.code, '22012');
    await alive(on);
});

both('COPY FROM takes what is written to its stream', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int, t text');
    const stream = on.query(copy.from(`COPY ${into} FROM STDIN`));
    const lines = Array.from({ length: 20000 }, (_, i) => `${i}\tline ${i}\n`);

    await pipeline(Readable.from(lines), stream);
    assert.equal(stream.rowCount, 20000);
    assert.deepEqual((await on.query(`SELECT count(*)::int AS n, max(n) AS top FROM ${into}`)).rows, [{ n: 20000, top: 19999 }]);
});

both('COPY FROM keeps nothing of what is wrong or given up', async (t, pg) => {
    const on = await client(t, pg);
    const into = await table(t, on, 'n int');
    const wrong = await failure(pipeline(Readable.from(['1\n', 'x\n']), on.query(copy.from(`COPY ${into} FROM STDIN`))));

    assert.equal(wrong.code, '22P02');
    const broken = Readable.from((async function* () {
        yield '1\n';
        throw new Error('the source broke');
    })());
    await failure(pipeline(broken, on.query(copy.from(`COPY ${into} FROM STDIN`))));
    assert.equal((await on.query(`SELECT * FROM ${into}`)).rowCount, 0);
    const missing = await failure(pipeline(Readable.from(['1\n']), on.query(copy.from('COPY no_such_table FROM STDIN'))));
    assert.equal(missing.code, '42P01');
    await alive(on);
});

both('COPY, in and out, gives its client\'s connection back', async (t, pg) => {
    const on = pool(t, pg, { max: 2 });
    const into = await table(t, on, 'n int');

    for (let i = 0; i < 5; i++) {
        const lent = await on.connect();

        await pipeline(Readable.from(['1\n']), lent.query(copy.from(`COPY ${into} FROM STDIN`)));
        for await (const piece of lent.query(copy.to(`COPY ${into} TO STDOUT`)))
            assert.match(piece.toString(), /^(1\n)+$/);
        lent.release();
    }
    await on.end();
});

both('COPY TO yields all that there is', async (t, pg) => {
    const on = await client(t, pg);
    const stream = on.query(copy.to("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i) TO STDOUT"));
    const pieces = [];

    for await (const piece of stream)
        pieces.push(piece);
    const lines = Buffer.concat(pieces).toString().trimEnd().split('\n');
    assert.equal(stream.rowCount, 5000);
    assert.equal(lines.length, 5000);
    assert.equal(lines[4999], `5000\t${'x'.repeat(100)}`);
    await alive(on);
    const missing = on.query(copy.to('COPY no_such_table TO STDOUT'));
    assert.equal((await failure((async () => {
        for await (const piece of missing)
            assert.ok(piece);
    })())).code, '42P01');
    await alive(on);
});

const { onlyReads } = require('../lib/pg/text.js');

test('a text of which a cursor can be made is told by its words alone', () => {
    for (const text of ['select 1', '-- report 7\nselect 1', '/* a /* b */ insert */ (SELECT 1)', "select 'update', e'\\' insert into x'", 'select "into"',
        "select $$ ; delete $$, $a$ ( insert $$ $a$, $1", 'select * from t for update', 'with a as (select 1) select * from a;', 'VALUES (1)', 'select "insert" from t -- into',
        'select f(updated, inserted) from deletes'])
        assert.ok(onlyReads(text), text);
    for (const text of ['insert into t values (1)', 'select 1 into t', 'with a as (delete from t returning *) select * from a', 'with a as (select 1) insert into t table a',
        "select 'x' /* y */ into t", 'select 1; select 2', 'with a as (select 1)update t set n = 1 returning n', 'show search_path', '-- select', ''])
        assert.ok(!onlyReads(text), text);
});

test('a query with a comment before it, or a word of writes in a literal, is read a page at a time', async (t) => {
    const on = await client(t, ours);

    for (const text of ['-- report\nSELECT i / (i - 5) FROM generate_series(1, 10) i', "SELECT i / (i - 5), 'update' FROM generate_series(1, 10) i"]) {
        const cursor = on.query(new Cursor(text));

        assert.equal((await cursor.read(2)).length, 2);
        assert.equal((await failure(cursor.read(10))).code, '22012');
        await cursor.close();
    }
});
