// SPDX-License-Identifier: MIT
'use strict';
/* sql`…`: values are parameters wherever they stand. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { fresh, open } = require('./support.js');
const { Statement, sql } = require('..');

const shown = ({ text, values }) => [text, [...values]];

test('values become places, parts of a query its text, names are quoted', () => {
    const id = "1'; DROP TABLE contents; --";
    const part = sql`b = ${2} OR '$9' = c`;

    assert.deepEqual(shown(sql`SELECT 1`), ['SELECT 1', []]);
    assert.deepEqual(shown(sql`SELECT ${id} WHERE a = ${1} AND (${part}) AND d = ${null}`),
        ["SELECT $1 WHERE a = $2 AND (b = $3 OR '$9' = c) AND d = $4", [id, 1, 2, null]]);
    assert.deepEqual(shown(sql`SELECT ${sql.id('a"b', 'C')} ${sql``}${sql`${part} ${3}`}`), ['SELECT "a""b"."C" b = $1 OR \'$9\' = c $2', [2, 3]]);
    assert.throws(() => { part.text = 'DROP TABLE contents'; }, TypeError);
    assert.throws(() => part.values.push(1), TypeError);
});

test('what is no query is refused', async (t) => {
    const client = open(t);

    assert.throws(() => sql('SELECT 1'), /sql is a tag/);
    assert.throws(() => sql.id(), TypeError);
    assert.throws(() => sql.id('a', ''), TypeError);
    assert.throws(() => sql.id('a\0'), TypeError);
    await assert.rejects(client.query(sql`SELECT ${1}::int4`, [2]), /has its values/);
    /* One that only looks like it: of JSON, say. */
    await assert.rejects(client.query({ text: 'SELECT 1', values: [] }), TypeError);
});

test('wherever a query can be asked', async (t) => {
    const client = open(t), key = fresh('tag');
    const asked = sql`SELECT ${7}::int4 AS n, ${['a', "b'"]}::text[] AS list`;
    const rows = [{ n: 7, list: ['a', "b'"] }];

    assert.deepEqual([...await client.query(asked)], rows);
    assert.deepEqual([...await client.query(asked, undefined, { timeout: '1m' })], rows);
    assert.deepEqual([...await client.cache.query(key, asked)], rows);
    assert.deepEqual(await client.transaction(async (tx) => [...await tx.query(asked)]), rows);
    const session = await client.acquire();
    assert.deepEqual([...await session.query(asked)], rows);
    session.release();
    for await (const row of client.stream(sql`SELECT ${7}::int4 AS n`))
        assert.deepEqual(row, { n: 7 });
    const batched = await client.batch(sql`SELECT ${sql.id('oid')} FROM pg_class WHERE relname = 'pg_class'`, [[]]);
    assert.equal(batched[0].length, 1);
    assert.equal((await client.query(new Statement('tag-plain', 'SELECT 1 AS one')))[0].one, 1);
});
