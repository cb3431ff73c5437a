// SPDX-License-Identifier: MIT
'use strict';
/* A connection of one's own, for transactions and session state. Give it back: release(), or use client.transaction(). */
const { Seat } = require('./seat.js');
const { onSeat } = require('./transaction.js');

class Session {
    #seat;

    constructor(client, watch, held) {
        this.#seat = new Seat(client, watch, held.follow(this));
    }

    query(sql, values, options) {
        return this.#seat.query(sql, values, options);
    }

    /* The statement once for each set, all of them or none. */
    batch(sql, sets, options) {
        return this.#seat.batch(sql, sets, options);
    }

    /* COPY … FROM STDIN; resolves to the number of rows. `source`: strings or bytes, one or an (async) iterable of them. */
    copyFrom(sql, source, options) {
        return this.#seat.copyFrom(sql, source, options);
    }

    /* COPY … TO STDOUT; an async iterable of Buffers, each of whole rows. */
    copyTo(sql, options) {
        return this.#seat.copyTo(sql, options);
    }

    /* As client.transaction(), on this session, and once. */
    transaction(work, options) {
        return onSeat(this.#seat, work, options);
    }

    /* An open transaction is rolled back and session state reset. A second time does nothing. */
    release() {
        this.#seat.held.release();
    }

    [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
        this.release();
    }
}

module.exports = { Session };
