// SPDX-License-Identifier: MIT
'use strict';
/* Transactions: all or nothing, again where the library says so, savepoints, and nothing left behind whenever they end. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { Client } = require('..');
const { open, settings, until } = require('./support.js');

/* A table of a test's own with the row (1, 0). */
async function table(t, client) {
    const name = `node_tx_${process.pid}_${Math.random().toString(36).slice(2)}`;

    await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY, n int)`);
    await client.query(`INSERT INTO ${name} VALUES (1, 0)`);
    t.after(async () => {
        const last = new Client(settings());
        await last.query(`DROP TABLE ${name}`);
        await last.close();
    });
    return name;
}

const idle = (client) => until(() => client.poolStats().active === 0);

test('it commits what its function did, and answers what that answered', async (t) => {
    const client = open(t), name = await table(t, client);
    const answer = await client.transaction(async (tx) => {
        await tx.query(`INSERT INTO ${name} VALUES (2, 5)`);
        return (await tx.query(`SELECT n FROM ${name} WHERE id = 2`))[0].n;
    });

    assert.equal(answer, 5);
    assert.equal((await client.query(`SELECT count(*)::int4 AS n FROM ${name}`))[0].n, 2);
});

test('it takes back what its function did when that throws', async (t) => {
    const client = open(t), name = await table(t, client);

    await assert.rejects(client.transaction(async (tx) => {
        await tx.query(`INSERT INTO ${name} VALUES (2, 5)`);
        throw new Error('no');
    }), { message: 'no' });
    await idle(client);
    assert.equal((await client.query(`SELECT count(*)::int4 AS n FROM ${name}`))[0].n, 1);
});

/* The rival changes the row between look and change, as often as said. */
function contend(client, name, rivalries) {
    const work = async (tx) => {
        work.calls++;
        await tx.query(`SELECT n FROM ${name} WHERE id = 1`);
        if (work.calls <= rivalries)
            await client.query(`UPDATE ${name} SET n = n + 100 WHERE id = 1`);
        await tx.query(`UPDATE ${name} SET n = n + 1 WHERE id = 1`);
        return work.calls;
    };
    work.calls = 0;
    return work;
}

test('a serialization failure is tried again, as often as the pool says', async (t) => {
    const client = open(t, { 'pool.tx_attempts': 3, 'pool.tx_backoff': '1ms' }), name = await table(t, client);
    const n = async () => (await client.query(`SELECT n FROM ${name}`))[0].n;

    assert.equal(await client.transaction(contend(client, name, 2), { isolation: 'repeatable read' }), 3);
    assert.equal(await n(), 201);
    await assert.rejects(client.transaction(contend(client, name, 1000), { isolation: 'serializable' }), { sqlstate: '40001' });
    assert.equal(await n(), 501);
    assert.match(client.metrics(), /sugarperf_pool_retries_total\{[^}]*\} 4/);
});

test('a pause between attempts ends with the signal and keeps the failure as its cause', async (t) => {
    const client = open(t, { 'pool.tx_attempts': 50, 'pool.tx_backoff': '1m' }), name = await table(t, client);
    const controller = new AbortController();
    const work = contend(client, name, 1000);
    const running = client.transaction(work, { isolation: 'repeatable read', signal: controller.signal });

    await until(() => work.calls > 0 && client.poolStats().active === 0);
    setImmediate(() => controller.abort());
    await assert.rejects(running, (error) => error.code === 'SP_CANCELLED' && error.cause !== undefined);
});

test('its options are the library\'s, which refuses what they are not', async (t) => {
    const client = open(t);
    const shown = (options) => client.transaction(async (tx) => (await tx.query(
        `SELECT current_setting('transaction_isolation') AS level, current_setting('transaction_read_only') AS ro,
            current_setting('transaction_deferrable') AS late`))[0], options);

    assert.deepEqual({ ...await shown({ isolation: 'serializable', readOnly: true, deferrable: true }) },
        { level: 'serializable', ro: 'on', late: 'on' });
    assert.deepEqual({ ...await shown({ isolation: 'repeatable read', readOnly: false }) },
        { level: 'repeatable read', ro: 'off', late: 'off' });
    await assert.rejects(shown({ isolation: 'chaos' }), { name: 'InvalidError', message: /chaos/ });
    await assert.rejects(shown({ readonly: true }), { name: 'TypeError', message: /no option "readonly"/ });
    await assert.rejects(client.transaction('work'), { name: 'TypeError' });
});

test('savepoints nest; what one did is taken back alone', async (t) => {
    const client = open(t), name = await table(t, client);

    await client.transaction(async (tx) => {
        await tx.savepoint(async () => {
            await tx.query(`UPDATE ${name} SET n = n + 1`);
            await assert.rejects(tx.savepoint(async (same) => {
                await same.query(`UPDATE ${name} SET n = n + 10`);
                await same.query('SELECT 1 / 0');
            }), { sqlstate: '22012' });
            assert.equal(await tx.savepoint(() => 'plain'), 'plain');
        });
        await tx.query(`UPDATE ${name} SET n = n + 100`);
    });
    assert.equal((await client.query(`SELECT n FROM ${name}`))[0].n, 101);
});

test('a transaction that failed inside does not commit in silence', async (t) => {
    const client = open(t);

    await assert.rejects(client.transaction(async (tx) => {
        await tx.query('SELECT 1 / 0').catch(() => {});
    }), { sqlstate: '25P02' });
});

test('a timeout holds for the whole, and a signal ends whatever runs', async (t) => {
    const client = open(t);
    const controller = new AbortController();

    await assert.rejects(client.transaction(async (tx) => {
        for (;;)
            await tx.query('SELECT pg_sleep(0.02)');
    }, { timeout: 100 }), { code: 'SP_TIMEOUT' });
    await assert.rejects(client.transaction((tx) => {
        const query = tx.query('SELECT pg_sleep(30)');
        controller.abort(new Error('enough'));
        return query;
    }, { signal: controller.signal }), (error) => error.code === 'SP_CANCELLED' && error.cause.message === 'enough');
    await idle(client);
    await assert.rejects(client.transaction(() => 1, { signal: controller.signal }), { code: 'SP_CANCELLED' });
});

test('what is over refuses', async (t) => {
    const client = open(t);
    let kept;

    await client.transaction(async (tx) => { kept = tx; });
    await assert.rejects(kept.query('SELECT 1'), { name: 'ClosedError' });
    await assert.rejects(kept.savepoint(() => 1), { name: 'ClosedError' });
});

test('a session has transactions, and stays', async (t) => {
    const client = open(t);
    const session = await client.acquire();
    const count = async () => (await session.query('SELECT count(*)::int4 AS n FROM node_own'))[0].n;

    await session.query('CREATE TEMPORARY TABLE node_own (n int)');
    await session.transaction((tx) => tx.query('INSERT INTO node_own VALUES (1)'));
    await assert.rejects(session.transaction(async (tx) => {
        await tx.query('INSERT INTO node_own VALUES (2)');
        throw new Error('no');
    }), { message: 'no' });
    assert.equal(await count(), 1);
    session.release();
});

test('a session that nobody can reach any more goes back', async (t) => {
    const v8 = require('node:v8');
    const vm = require('node:vm');
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc');
    const client = open(t, { 'pool.max': 2 });

    for (let i = 0; i < 20; i++) {
        let session = await client.acquire();
        session = null;
        await until(() => {
            gc();
            return client.poolStats().active === 0;
        });
    }
    assert.equal((await client.query('SELECT 1 AS one'))[0].one, 1);
});

test('the statement of a batch runs for each set, all of them or none', async (t) => {
    const client = open(t), name = await table(t, client);
    const sets = Array.from({ length: 1000 }, (_, i) => [i + 2, i]);
    const insert = `INSERT INTO ${name} VALUES ($1, $2) RETURNING id`;
    const done = await client.batch(insert, sets);

    assert.equal(done.length, 1000);
    assert.equal(done.affected, 1000);
    assert.deepEqual({ ...done[999][0] }, { id: 1001 });
    await assert.rejects(client.batch(insert, [[5000, 1], [1, 1], [5001, 1]]), { sqlstate: '23505', message: /set 1/ });
    assert.equal((await client.query(`SELECT count(*)::int4 AS n FROM ${name} WHERE id >= 5000`))[0].n, 0);
    assert.equal((await client.batch(insert, [[6000, 1]]))[0][0].id, 6000);
    await assert.rejects(client.batch(insert, []), { name: 'InvalidError' });
    await assert.rejects(client.batch(insert, [[1, 2], [3]]), { name: 'InvalidError', message: 'set 1 has 1 parameters, set 0 has 2' });
    await assert.rejects(client.batch(insert, [1]), { name: 'TypeError' });
    await client.transaction(async (tx) => {
        assert.equal((await tx.batch(`UPDATE ${name} SET n = $2 WHERE id = $1`, [[1, 7], [2, 7]])).affected, 2);
    });
});

test('a session that lies idle is there within the turn of the event loop, but for who may end early', async (t) => {
    const client = open(t);
    let turned = false;

    (await client.acquire()).release();
    setImmediate(() => { turned = true; });
    const first = await client.acquire();
    assert.equal(turned, false);
    assert.equal((await first.query('SELECT 7 AS n'))[0].n, 7);
    first.release();
    /* The event loop has its turn, however many are taken. */
    turned = false;
    setImmediate(() => { turned = true; });
    for (let i = 0; i < 10000 && !turned; i++)
        (await client.acquire()).release();
    assert.equal(turned, true);
    await assert.rejects(client.acquire({ signal: AbortSignal.abort() }), { code: 'SP_CANCELLED' });
    await assert.rejects(client.acquire({ timeout: 'soon' }), { code: 'SP_INVALID' });
    /* A parser runs while a batch of answers is taken apart. */
    let second;
    const types = { 23: (text) => { second ??= client.acquire(); return Number(text); } };
    const third = await client.acquire();
    await Promise.all([client.query('SELECT 1::int4 AS n', [], { types }), third.query('SELECT 2'), client.query('SELECT 3')]);
    assert.equal((await (await second).query('SELECT 8 AS n'))[0].n, 8);
    (await second).release();
    third.release();
});
