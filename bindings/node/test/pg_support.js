// SPDX-License-Identifier: MIT
'use strict';
/* The same test on node-postgres and on ours: what it says is node-postgres's own behaviour. */
const { randomBytes } = require('node:crypto');
const test = require('node:test');
const peer = require('pg');
const ours = require('../lib/pg/index.js');
const { url } = require('./support.js');

/* Has connections before it lends a client: that goes without one of its own as long as it can. */
class Warm extends ours.Pool {
    #warm = null;

    connect(callback) {
        this.#warm ??= this.ending || this.listenerCount('connect') > 0 ? Promise.resolve() : this.query('SELECT 1').catch(() => {});
        const lent = this.#warm.then(() => super.connect());

        if (typeof callback !== 'function')
            return lent;
        lent.then((client) => callback(undefined, client, client.release), (error) => callback(error, undefined, () => {}));
        return undefined;
    }
}

const drivers = { 'node-postgres': peer, 'sugarperf/pg': ours, 'sugarperf/pg, of a warm pool': { ...ours, Pool: Warm } };

function both(name, work) {
    for (const [driver, pg] of Object.entries(drivers))
        test(`${driver}: ${name}`, (t) => work(t, pg));
}

/* No two tests share a name. */
function name() {
    return `np_${randomBytes(6).toString('hex')}`;
}

function pool(t, pg, more = {}) {
    const made = new pg.Pool({ connectionString: url('DATABASE_URL'), max: 4, ...more });

    t.after(() => (made.ending ? undefined : made.end()));
    return made;
}

async function client(t, pg, more = {}) {
    if (pg.Pool === Warm)
        return lent(t, pg, more);
    const made = new pg.Client({ connectionString: url('DATABASE_URL'), ...more });

    await made.connect();
    t.after(() => made.end());
    return made;
}

async function lent(t, pg, more) {
    const on = new pg.Pool({ connectionString: url('DATABASE_URL'), max: 1, ...more });
    const made = await on.connect();

    t.after(async () => {
        made.release();
        await on.end();
    });
    return made;
}

/* A table with these columns, dropped with its test. */
async function table(t, on, columns) {
    const made = name();

    await on.query(`CREATE TABLE ${made} (${columns})`);
    t.after(async () => {
        const last = new peer.Client({ connectionString: url('DATABASE_URL') });

        await last.connect();
        await last.query(`DROP TABLE IF EXISTS ${made}`);
        await last.end();
    });
    return made;
}

/* What a promise was rejected with. */
async function failure(promise) {
    let value;

    try {
        value = await promise;
    } catch (error) {
        return error;
    }
    throw new Error(`it did not fail, but answered ${JSON.stringify(value)}`);
}

module.exports = { both, client, drivers, failure, name, ours, peer, pool, table };
