// SPDX-License-Identifier: MIT
'use strict';
/* What is used after its client's end says so; the process lives on. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { script } = require('./support.js');

async function scene(name, expected) {
    const run = await script('closed.js', [name]);

    assert.deepEqual({ code: run.code, killed: run.killed }, { code: 0, killed: false }, run.stderr);
    assert.deepEqual(JSON.parse(run.stdout), expected);
}

const CLOSED = 'SP_CLOSED';

test('what was had of a client says that it is closed', () => scene('held', {
    query: CLOSED, batch: CLOSED, acquire: CLOSED, transaction: CLOSED, resize: CLOSED, stats: CLOSED, copyFrom: CLOSED, rows: CLOSED,
    left: true, copy: CLOSED, heard: true, session: CLOSED, unaskedStream: CLOSED, unaskedListen: true, unaskedCopy: CLOSED,
    changes: true, get: CLOSED, peek: CLOSED,
}));
test('a client closed in the middle of a loop ends the loop', () => scene('bodies', {
    stream: CLOSED, listen: 'over', copyTo: CLOSED, transaction: CLOSED, load: CLOSED, loadMany: CLOSED,
}));
test('a pool of node-postgres\'s kind outlives the client that it is over', () => scene('pg', {
    during: CLOSED, query: CLOSED, connect: CLOSED, lent: CLOSED, single: CLOSED, total: 0, idle: 0, waiting: 0,
}));
