// SPDX-License-Identifier: MIT
'use strict';
/* The service before and after, on a schema of its own with some rows. */
const { execFileSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const pg = require('pg');

const folder = path.join(__dirname, '..');

function build() {
    execFileSync(process.execPath, [path.join(folder, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], { stdio: 'inherit' });
}

const ROWS = (contents) => `
    INSERT INTO users (id, username) SELECT 'user-' || i, 'name-' || i FROM generate_series(1, 50) i;
    INSERT INTO content_tags SELECT 'tag-' || i, 'tag ' || i FROM generate_series(1, 20) i;
    INSERT INTO contents (id, creator_id, title, view_count, like_count, share_count, created_at)
        SELECT 'content-' || i, 'user-' || 1 + i % 50, 'Title ' || i, i * 7919 % 1000, i * 104729 % 100, i % 10, now() - interval '100 days'
        FROM generate_series(1, ${contents}) i;
    INSERT INTO content_tag_links SELECT 'content-' || i, 'tag-' || 1 + (i * j) % 20 FROM generate_series(1, ${contents}) i,
        generate_series(1, 3) j ON CONFLICT DO NOTHING;
    INSERT INTO user_interests (user_id, tag_id) SELECT 'user-' || i, 'tag-' || 1 + (i * j) % 20 FROM generate_series(1, 50) i,
        generate_series(1, 3) j;`;

/* { drop() }; the environment then says where the service finds it. */
async function prepare(contents) {
    const schema = `nestjs_${randomBytes(6).toString('hex')}`;
    const admin = new pg.Client({ connectionString: process.env.DATABASE_URL });

    await admin.connect();
    await admin.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}`);
    await admin.query(fs.readFileSync(path.join(folder, '..', 'recommendation', 'schema.sql'), 'utf8'));
    await admin.query(ROWS(contents));
    process.env.DATABASE_SCHEMA = schema;
    /* Both sides in one process: the cache lives in it. */
    delete process.env.REDIS_URL;
    return {
        async drop() {
            await admin.query(`DROP SCHEMA ${schema} CASCADE`);
            await admin.end();
        },
    };
}

/* `side`: before or after. { ask(), app, close() } */
async function start(side) {
    const { create } = require(path.join(folder, 'dist', side, 'main.js'));
    const app = await create();

    await app.listen(0, '127.0.0.1');
    const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');

    return {
        app,
        async ask(where, body) {
            const response = await fetch(url + where, body === undefined ? {}
                : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
            const text = await response.text();
            const json = response.headers.get('content-type')?.includes('json');

            return { status: response.status, body: json ? JSON.parse(text) : text };
        },
        close: () => app.close(),
    };
}

module.exports = { build, folder, prepare, start };
