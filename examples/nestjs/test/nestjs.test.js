// SPDX-License-Identifier: MIT
'use strict';
/* Both forms of the service give the same answers; the second one asks less for them, and says how it fares. */
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const assert = require('node:assert/strict');
const pg = require('pg');
const { Client, Profiler } = require('sugarperf');
const { build, folder, prepare, start } = require('./service.js');

/* Statements that the library was given meanwhile. */
async function statements(client, work) {
    const count = () => Number(/^sugarperf_pool_queries_total\{[^}]*\} (\d+)$/m.exec(client.metrics())[1]);
    const start = count();

    await work();
    return count() - start;
}

/* Statements that node-postgres was given meanwhile. */
async function counted(work) {
    const own = pg.Client.prototype.query;
    let count = 0;

    pg.Client.prototype.query = function (...args) {
        count++;
        return own.apply(this, args);
    };
    try {
        await work();
        return count;
    } finally {
        pg.Client.prototype.query = own;
    }
}

test('the service before and after', async (t) => {
    build();
    const data = await prepare(200);
    t.after(() => data.drop());
    const before = await start('before');
    t.after(() => before.close());
    const after = await start('after');
    t.after(() => after.close());

    async function same(where, body) {
        const [expected, found] = [await before.ask(where, body), await after.ask(where, body)];

        assert.deepEqual(found, expected, where);
        return found;
    }

    await t.test('the same answers, of a cold and of a warm cache', async () => {
        await before.ask('/admin/scores', {});
        for (let round = 0; round < 2; round++) {
            for (let user = 1; user <= 5; user++)
                await same(`/recommendations/user-${user}?limit=${user * 3}`);
            assert.equal((await same('/content/content-7')).status, 200);
            assert.equal((await same('/content/nothing')).status, 404);
            assert.equal((await same('/recommendations/nobody')).body.length, 10);
        }
    });

    await t.test('what is written shows at once', async () => {
        const list = '/recommendations/user-1?limit=3';
        const [top] = (await same(list)).body;

        await after.ask('/interactions', { userId: 'user-1', contentId: top.id, type: 'share' });
        assert.equal((await after.ask('/admin/scores', {})).body.updated, 200);
        const [now] = (await same(list)).body;
        assert.ok(now.score > top.score);
        await same(`/content/${top.id}`);
        const made = await after.ask('/content', { id: 'content-new', creatorId: 'user-2', title: 'New', tags: ['tag-1', 'tag-2'] });
        assert.deepEqual([made.status, made.body.tags], [201, ['tag 1', 'tag 2']]);
        await same('/content/content-new');
        await same('/recommendations/user-1?limit=50');
    });

    await t.test('N+1 statements before, some after, none for a hit; one save a content before, one statement after', async () => {
        const client = after.app.get(Client);
        const list = '/recommendations/user-9?limit=20';

        assert.equal(await counted(() => before.ask(list)), 22);
        assert.equal(await statements(client, () => after.ask(list)), 4);
        const hits = client.cache.hits;
        assert.equal(await statements(client, () => after.ask(list)), 0);
        assert.equal(client.cache.hits, hits + 1);
        assert.ok(await counted(() => before.ask('/admin/scores', {})) > 200);
        assert.equal(await statements(client, () => after.ask('/admin/scores', {})), 1);
    });

    await t.test('health and metrics', async () => {
        const health = await after.ask('/health/database');
        assert.deepEqual([health.status, health.body.status, health.body.info.database.status], [200, 'ok', 'up']);
        const metrics = await after.ask('/metrics');
        assert.equal(metrics.status, 200);
        assert.match(metrics.body, /^sugarperf_cache_/m);
        assert.ok(after.app.get(Profiler).stats('RecommendationService.getRecommendations').count > 0);
    });
});

/* Where it listens; Nest may say something before. */
async function address(child) {
    let said = '';

    for await (const text of child.stdout.iterator({ destroyOnReturn: false })) {
        said += text;
        const url = /^http:\/\/\S+(?=\n)/m.exec(said);
        if (url)
            return url[0];
    }
    throw new Error(`it ended: ${said}`);
}

/* Nest ends by the signal itself, unless something failed on the way. */
test('SIGTERM: what runs is answered, then the process ends', async (t) => {
    const data = await prepare(20);
    t.after(() => data.drop());
    const main = path.join(folder, 'dist', 'after', 'main.js');
    const child = spawn(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', main], { env: { ...process.env, PORT: '0' } });
    let said = '';

    t.after(() => child.kill('SIGKILL'));
    child.stderr.on('data', (text) => { said += text; });
    const url = await address(child);
    child.stdout.resume();
    assert.equal((await fetch(`${url}/content/content-7`)).status, 200);
    const running = Array.from({ length: 20 }, (_, i) => fetch(`${url}/recommendations/user-${i}`).then((answer) => answer.status, (error) => error.cause.code));
    const end = once(child, 'exit');
    await running[0];
    child.kill('SIGTERM');
    const statuses = new Set(await Promise.all(running));
    /* Those that came before it are answered; at a port that is closed nobody is. */
    assert.ok([...statuses].every((status) => status === 200 || status === 'ECONNREFUSED' || status === 'ECONNRESET'), [...statuses].join());
    assert.deepEqual(await end, [null, 'SIGTERM'], said);
    assert.doesNotMatch(said, /Error|ResourceWarning/);
});

for (const name of ['app.module', 'recommendation.service']) {
    test(`the README shows the difference of ${name}.ts as it is`, () => {
        const diff = spawnSync('diff', ['-u', '--label', `before/${name}.ts`, '--label', `after/${name}.ts`,
            `src/before/${name}.ts`, `src/after/${name}.ts`], { cwd: folder, encoding: 'utf8' }).stdout;
        /* Blank lines have no blank in a README. */
        const shown = diff.replace(/^ $/gm, '');

        assert.ok(shown.length > 0 && fs.readFileSync(path.join(folder, 'README.md'), 'utf8').includes(shown), shown);
    });
}
