// SPDX-License-Identifier: MIT
'use strict';
/*
 * What was made of a key, for at least as many keys as said and at most twice as many, those that were used last. A hit changes
 * nothing: a Map from which things are taken and put back is copied each time it has seen as many as it holds, and V8 chains the
 * copies, so that in the old generation one dead copy keeps all that come after it (OrderedHashTable::Rehash).
 */
class Recent {
    #count;
    #young = new Map();
    #old = new Map();

    constructor(count) {
        this.#count = count;
    }

    get(key) {
        const found = this.#young.get(key);

        return found !== undefined ? found : this.#again(key);
    }

    #again(key) {
        const found = this.#old.get(key);

        if (found !== undefined)
            this.set(key, found);
        return found;
    }

    set(key, value) {
        if (this.#young.size >= this.#count) {
            this.#old = this.#young;
            this.#young = new Map();
        }
        this.#young.set(key, value);
    }

    delete(key) {
        this.#young.delete(key);
        this.#old.delete(key);
    }
}

module.exports = { Recent };
