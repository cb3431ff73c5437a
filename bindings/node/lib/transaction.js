// SPDX-License-Identifier: MIT
'use strict';
/* Transactions: all or nothing, and again where the library says so. */
const given = require('./given.js');
const { because, call } = require('./errors.js');
const { handleOf, targetsOf } = require('./cache.js');
const { handleOf: rulesOf, rowOf } = require('./rules.js');
const { Seat } = require('./seat.js');
const { Unit } = require('./unit.js');
const scope = require('./scope.js');

const OPTIONS = ['isolation', 'readOnly', 'deferrable', 'signal', 'timeout'];

function either(given, word, other) {
    return given === undefined ? undefined : given ? word : other;
}

/* The words of session_begin(), which checks them; null for none. */
function wordsOf({ isolation, readOnly, deferrable }) {
    const words = [isolation, either(readOnly, 'read only', 'read write'), either(deferrable, 'deferrable', 'not deferrable')];

    return words.filter((word) => word !== undefined).join(' ') || null;
}

class Transaction {
    #seat;
    #savepoints = 0;

    constructor(seat) {
        this.#seat = seat;
    }

    query(sql, values, options) {
        return this.#seat.query(sql, values, options);
    }

    batch(sql, sets, options) {
        return this.#seat.batch(sql, sets, options);
    }

    copyFrom(sql, source, options) {
        return this.#seat.copyFrom(sql, source, options);
    }

    copyTo(sql, options) {
        return this.#seat.copyTo(sql, options);
    }

    /*
     * `work(tx)` in a savepoint: what it did is taken back when it throws, and the transaction may go on. They nest; one ends
     * before the next one of the same depth begins.
     */
    async savepoint(work) {
        given.function('work', work);
        const name = () => [`savepoint ${number}`];
        const number = ++this.#savepoints;
        let value;

        await this.#seat.run('session_savepoint_async', name);
        try {
            value = await work(this);
        } catch (error) {
            /* Where this fails the transaction has, and says so itself. */
            await Promise.allSettled([this.#seat.run('session_rollback_to_async', name),
                this.#seat.run('session_release_savepoint_async', name)]);
            throw error;
        }
        await this.#seat.run('session_release_savepoint_async', name);
        return value;
    }

    /* What its commit invalidates, as cache.invalidate() takes it: after it no read answers an old value. A rollback drops it. */
    invalidate(targets) {
        call('session_invalidate', this.#seat.handle, handleOf(this.#seat.client.cache), targetsOf(targets));
    }

    /* Likewise what a changed row touches, by rules of client.rules(). */
    changed(rules, changed) {
        call('session_invalidate_row', this.#seat.handle, rulesOf(rules), rowOf(changed));
    }

    /* Nothing can be run in it any more. */
    static end(transaction) {
        transaction.#seat.end();
    }
}

/*
 * A transaction is a unit of work of its own: what a cache may do while it is open concerns nobody else. Other reads inside it
 * are not sent to replicas, which may lack what was written before.
 */
function unitOf(watch, { signal, timeout }) {
    return new Unit(watch.above, { signal, timeout, unit: 'own', reads: 'primary' });
}

async function attempt(seat, work, words) {
    const transaction = new Transaction(seat);

    try {
        await seat.run('session_begin_async', () => [words]);
        const value = await scope.within(seat.watch, seat.unit, () => work(transaction));
        await seat.run('session_commit_async', () => []);
        return value;
    } finally {
        Transaction.end(transaction);
    }
}

/* On a session that is there, and stays. */
async function onSeat(outer, work, named) {
    const options = given.options(named, OPTIONS);
    given.function('work', work);
    const unit = unitOf(outer.watch, options);
    const seat = outer.within(unit);

    try {
        return await attempt(seat, work, wordsOf(options));
    } catch (error) {
        /* Behind whatever is still on its way. */
        await outer.run('session_rollback_async', () => []).catch(() => {});
        throw error;
    } finally {
        unit.end();
    }
}

/* Whether the library wants it made again after `error`; then the pause is over. */
async function again(watch, pool, unit, error, number) {
    if (typeof error?.serverCode !== 'string')
        return false;
    const code = error.retryable === false ? '' : error.serverCode;
    try {
        return await watch.submit('pool_retry_async', (ctx) => [pool, ctx, code, number], undefined, unit);
    } catch (refused) {
        throw because(refused, error);
    }
}

async function transact(client, watch, pool, work, named) {
    const options = given.options(named, OPTIONS);
    given.function('work', work);
    const unit = unitOf(watch, options);

    try {
        for (let number = 1; ; number++) {
            const held = await watch.acquire(pool, undefined, unit);

            try {
                return await attempt(new Seat(client, watch, held, unit), work, wordsOf(options));
            } catch (error) {
                held.release();
                if (!await again(watch, pool, unit, error, number))
                    throw error;
            } finally {
                held.release();
            }
        }
    } finally {
        unit.end();
    }
}

module.exports = { Transaction, onSeat, transact };
