// SPDX-License-Identifier: MIT
'use strict';
/* What a changed row invalidates: by hand, at a transaction's commit, and by the change feed. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { Client } = require('..');
const { open, settings } = require('./support.js');

/* Once all clients of the test are closed. */
async function afterwards(...statements) {
    const client = new Client(settings());

    for (const sql of statements)
        await client.query(sql);
    await client.close();
}

/* A client with a template, a key of it whose value counts the loads, and the rules' text. */
function start(t, settings) {
    const client = open(t, settings), entity = `e${randomBytes(8).toString('hex')}`;
    const key = client.cache.template(`node:${entity}:{id}:full`, { ttl: '1h' }).key(7);
    let loads = 0;

    return { client, entity, key, text: `items(id) when title -> node:${entity}:{id}:full`, value: () => client.cache.get(key, () => ++loads) };
}

test('a row says what it touches', (t) => {
    const { client, key, text } = start(t);
    const rules = client.rules(text);
    const touched = (was, now) => rules.explain({ table: 'items', change: 'update', row: { id: 7, title: now }, was: { title: was } }).targets;

    assert.deepEqual(touched('old', 'new').map((target) => target.text), [key]);
    assert.deepEqual(touched('same', 'same'), []);
});

test('a changed row invalidates', async (t) => {
    const { client, text, value } = start(t);
    const rules = client.rules(text);

    assert.deepEqual([await value(), await value()], [1, 1]);
    await rules.invalidate({ table: 'items', change: 'insert', row: { id: 7, title: null } });
    assert.equal(await value(), 2);
    await rules.invalidate({ table: 'others', change: 'insert', row: { id: 7 } }, { timeout: '1m' });
    assert.equal(await value(), 2);
});

test('what is wrong is said', async (t) => {
    const { client, text } = start(t);
    const rules = client.rules(text);

    assert.throws(() => client.rules('items(id) -> node:undeclared:{id}:full', 'mine'), { code: 'SP_INVALID', message: /^mine:1: / });
    assert.throws(() => rules.explain({ table: 'items', change: 'upsert' }), { code: 'SP_INVALID', message: /one of insert, update/ });
    assert.throws(() => rules.explain({ table: 'items', change: 'insert', rows: {} }), /no part of a change "rows"/);
    assert.throws(() => client.feed({}), /made by client\.rules\(\)/);
    await client.close();
    assert.throws(() => rules.explain({ table: 'items', change: 'delete' }), { code: 'SP_CLOSED' });
    await assert.rejects(rules.invalidate({ table: 'items', change: 'delete' }), { code: 'SP_CLOSED' });
});

test('a commit invalidates, a rollback does not', async (t) => {
    const { client, entity, key, text, value } = start(t);
    const rules = client.rules(text), changed = { table: 'items', change: 'delete', row: { id: 7 } };
    let ended;

    await client.query(`CREATE TABLE ${entity} (n int)`);
    t.after(() => afterwards(`DROP TABLE ${entity}`));
    assert.equal(await value(), 1);
    await assert.rejects(client.transaction(async (tx) => {
        await tx.query(`INSERT INTO ${entity} VALUES (1)`);
        tx.changed(rules, changed);
        tx.invalidate({ keys: [key] });
        throw new Error('no');
    }), /no/);
    assert.equal(await value(), 1);
    await client.transaction(async (tx) => {
        ended = tx;
        await tx.query(`INSERT INTO ${entity} VALUES (1)`);
        tx.changed(rules, changed);
    });
    assert.equal(await value(), 2);
    await client.transaction(async (tx) => {
        await tx.query(`INSERT INTO ${entity} VALUES (2)`);
        tx.invalidate({ keys: [key] });
    });
    assert.equal(await value(), 3);
    assert.throws(() => ended.invalidate({ keys: [key] }), { code: 'SP_CLOSED' });
});

test('the change feed: what anybody writes drops what stands behind it', async (t) => {
    const name = `e${randomBytes(8).toString('hex')}`;
    const { client, entity, value } = start(t, { 'feed.slot': name, 'feed.publication': name, 'redis.url': undefined });
    const writer = open(t);

    await writer.query(`CREATE TABLE ${name} (id int PRIMARY KEY, title text)`);
    const feed = client.feed(client.rules(`${name}(id) -> node:${entity}:{id}:full`));
    t.after(() => afterwards(`DROP PUBLICATION IF EXISTS ${name}`, `DROP TABLE ${name}`,
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${name}' AND NOT active`));
    while (feed.report().state !== 'leading') {
        assert.equal(feed.report().fault, null);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const before = await value();
    assert.equal(await value(), before);
    await writer.query(`INSERT INTO ${name} VALUES (7, 'seven')`);
    while (await value() === before)
        await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(feed.report().changes >= 1);
});
