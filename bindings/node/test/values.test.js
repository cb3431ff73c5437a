// SPDX-License-Identifier: MIT
'use strict';
/* The languages agree on values and errors: tests/vectors/values.json and failures.json, which Python's tests read as well. */
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Client, Statement } = require('..');
const { settings } = require('./support.js');

const FOLDER = path.join(__dirname, '..', '..', '..', 'tests', 'vectors');
const read = (name) => JSON.parse(fs.readFileSync(path.join(FOLDER, name), 'utf8'));

function float(value) {
    return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

/* As the vectors write it, from what JavaScript is given: a value of the wrong type is refused. */
const shown = {
    int: (value) => (typeof value === 'number' ? assert.ok(Number.isSafeInteger(value)) : assert.equal(typeof value, 'string'),
        String(value)),
    float: (value) => (assert.equal(typeof value, 'number'), float(value)),
    decimal: (value) => (assert.equal(typeof value, 'string'), value),
    bool: (value) => (assert.equal(typeof value, 'boolean'), String(value)),
    text: (value) => (assert.equal(typeof value, 'string'), value),
    bytes: (value) => (assert.ok(Buffer.isBuffer(value)), value.toString('hex')),
    uuid: (value) => (assert.equal(typeof value, 'string'), value),
    date: (value) => (assert.equal(typeof value, 'string'), value),
    moment: (value) => (assert.ok(value instanceof Date), value.toISOString()),
};

function show(kind, value) {
    if (value === null)
        return null;
    return Array.isArray(value) ? value.map((item) => show(kind, item)) : shown[kind](value);
}

/* An array is PostgreSQL's array as a parameter: JSON's own goes as text. */
function asJson(value, kind) {
    return kind === 'array' ? value.map((item) => item === null ? null : JSON.stringify(item)) : JSON.stringify(value);
}

let client;

test.before(() => { client = new Client(settings()); });
test.after(() => client.close());

for (const { type, text, kind, of = kind, value: wanted = text } of read('values.json')) {
    test(`${type} ${text} is what the vectors say, and goes back as it came`, async () => {
        await client.transaction(async (tx) => {
            await tx.query("SET LOCAL TimeZone = 'UTC'");
            const [{ v }] = await tx.query(`SELECT $1::text::${type} AS v`, [text]);
            const back = of === 'json' ? asJson(v, kind) : v;
            assert.deepEqual(of === 'json' ? back : show(of, v), wanted);
            const [{ same }] = await tx.query(`SELECT ($1::${type})::text = ($2::text::${type})::text AS same`, [back, text]);
            assert.equal(same, true);
        });
    });
}

for (const { sql, params, timeout, pool, code, server, retryable } of read('failures.json')) {
    test(`${sql} fails as the vectors say: ${code}`, async () => {
        await assert.rejects(async () => client.query(new Statement('vector', sql), params, { timeout, pool }), (error) => {
            assert.deepEqual([error.code, error.serverCode ?? '', error.retryable], [code, server, retryable]);
            assert.doesNotMatch(error.message, /secret|\n/);
            return true;
        });
    });
}
