// SPDX-License-Identifier: MIT
'use strict';
/*
 * The operations that are to be settled, by their tags. A tag is a place, which is used anew once its operation was taken: no Map,
 * for one that changes all the time keeps what it had (see recent.js).
 */
class Pending {
    #places = [];
    #free = [];

    get size() {
        return this.#places.length - this.#free.length;
    }

    /* Its tag. */
    add(operation) {
        const tag = this.#free.length > 0 ? this.#free.pop() : this.#places.length;

        this.#places[tag] = operation;
        return tag;
    }

    take(tag) {
        const operation = this.#places[tag];

        this.#places[tag] = undefined;
        this.#free.push(tag);
        return operation;
    }
}

module.exports = { Pending };
