// SPDX-License-Identifier: MIT
'use strict';
/*
 * The operations that are to be settled, by their tags. A tag is a place, which is used anew once its operation was taken, and how
 * often it was used, so that no answer finds the operation of another one: no Map, for one that changes all the time keeps what it
 * had (see recent.js).
 */
const { makeError } = require('./errors.js');

const BITS = 20, PLACES = 1 << BITS, TURNS = 1 << 10, FREE = -1;

class Pending {
    #places = [];
    #tags = []; /* of each place's operation, FREE */
    #turns = [];
    #free = [];

    get size() {
        return this.#places.length - this.#free.length;
    }

    /* Its tag. */
    add(operation) {
        const place = this.#free.length > 0 ? this.#free.pop() : this.#grow();
        const tag = place | this.#turns[place] << BITS;

        this.#turns[place] = (this.#turns[place] + 1) % TURNS;
        this.#places[place] = operation;
        this.#tags[place] = tag;
        return tag;
    }

    #grow() {
        const place = this.#places.length;

        if (place === PLACES)
            throw makeError('SP_FULL', `${PLACES} operations are under way: wait for some of them`);
        this.#places.push(undefined);
        this.#tags.push(FREE);
        this.#turns.push(0);
        return place;
    }

    /* undefined: it was taken before. */
    take(tag) {
        const place = tag & PLACES - 1, operation = this.#places[place];

        if (this.#tags[place] !== tag)
            return undefined;
        this.#places[place] = undefined;
        this.#tags[place] = FREE;
        this.#free.push(place);
        return operation;
    }
}

module.exports = { Pending };
