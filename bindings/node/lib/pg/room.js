// SPDX-License-Identifier: MIT
'use strict';
/* How many clients a pool lends at a time. Who comes late waits in turn, or gives up. */
const { makeError } = require('../errors.js');

const LONGEST = 2 ** 31 - 1;

class Room {
    #free;
    #waiting = [];

    constructor(places) {
        this.#free = places;
    }

    get waiting() {
        return this.#waiting.length;
    }

    /* Whether there was a place, which is the caller's. */
    enter() {
        if (this.#free === 0)
            return false;
        this.#free--;
        return true;
    }

    /* Resolves with a place. `late`: milliseconds; without end where that is nothing, or more than a timer has. */
    wait(late) {
        return new Promise((resolve, reject) => {
            const one = { resolve, timer: undefined };

            if (late > 0 && late <= LONGEST)
                one.timer = setTimeout(() => this.#giveUp(one, reject), late);
            this.#waiting.push(one);
        });
    }

    #giveUp(one, reject) {
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        reject(makeError('SP_TIMEOUT', 'all clients of the pool are lent', 'acquire'));
    }

    leave() {
        const next = this.#waiting.shift();

        clearTimeout(next?.timer);
        if (next === undefined)
            this.#free++;
        else
            next.resolve();
    }
}

module.exports = { Room };
