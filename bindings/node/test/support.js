// SPDX-License-Identifier: MIT
'use strict';
/* The servers are private ones, started by whoever runs the suite: DATABASE_URL and REDIS_URL name them. */
const { randomUUID } = require('node:crypto');
const { execFile } = require('node:child_process');
const { EventEmitter } = require('node:events');
const path = require('node:path');

function url(name) {
    if (!process.env[name])
        throw new Error(`${name} is not set: run the suite with ./run test`);
    return process.env[name];
}

function settings(more = {}) {
    return { 'pool.url': url('DATABASE_URL'), 'redis.url': url('REDIS_URL'), ...more };
}

/* A client that closes with its test. */
function open(t, more, options) {
    const { Client } = require('..');
    const client = new Client(settings(more), options);

    t.after(() => client.close({ timeout: 5000 }));
    return client;
}

/* No two runs share a key. */
function fresh(prefix) {
    return `${prefix}:${randomUUID()}`;
}

/* Runs a script of this folder in a process of its own. */
function script(name, args = [], env = {}, timeout = 60000) {
    return new Promise((resolve) => {
        const options = { env: { ...process.env, ...env }, timeout };
        execFile(process.execPath, ['--expose-gc', path.join(__dirname, name), ...args], options, (error, stdout, stderr) => {
            resolve({ code: error ? error.code : 0, killed: Boolean(error?.killed), stdout, stderr });
        });
    });
}

/* Resolves when `done()` holds; the test runner's time limit is the only bound. */
async function until(done) {
    while (!done())
        await new Promise((resolve) => setImmediate(resolve));
}

/* Sees every look at a function of the addon, if called before the package is required: on(name, seen). */
function spy() {
    const file = require.resolve('../lib/native.js');
    const native = require(file);
    const seen = new EventEmitter();

    require.cache[file].exports = new Proxy(native, {
        get(addon, name) {
            seen.emit(name);
            return addon[name];
        },
    });
    return seen;
}

module.exports = { settings, open, fresh, script, spy, until, url };
