// SPDX-License-Identifier: MIT
'use strict';
/*
 * Hits in process: what was made of a value is kept as long as the library says that it is that value (see near.c), and each
 * caller gets a copy of its own, as if it had been parsed anew, at a fraction of the time.
 */
const native = require('./native.js');
const codec = require('./codec.js');

/* As many as near.c has places. */
const PLACES = 4096;

const isObject = (value) => typeof value === 'object' && value !== null;

/* Of what JSON.parse() made: "__proto__" is a property as any other, once the object has it. */
function copy(value) {
    const made = Array.isArray(value) ? value.slice() : { ...value };

    for (const name in made) {
        if (isObject(made[name]))
            made[name] = copy(made[name]);
    }
    return made;
}

/* How deep a copy has to go: 0: not at all, 1: one object, 2: all the way. */
function depthOf(value) {
    if (!isObject(value))
        return 0;
    return Array.isArray(value) || Object.values(value).some(isObject) ? 2 : 1;
}

const own = ({ value, depth }) => (depth === 1 ? { ...value } : depth === 0 ? value : copy(value));

class Near {
    #watch;
    #find;
    #kept = new Array(PLACES).fill(null);

    constructor(watch, cache) {
        this.#watch = watch;
        this.#find = native.watch_near(watch.native, cache);
    }

    /* undefined: nothing that is proven fresh; null: known to be absent. */
    get(key) {
        const found = this.#find(key);

        if (typeof found === 'number')
            return this.#kept[found] === null ? undefined : own(this.#kept[found]);
        return found === undefined ? undefined : this.#decode(found);
    }

    #decode(data) {
        const [, kind, place] = this.#watch.cells;
        let value;

        try {
            value = codec.decodeWhole(kind, data, this.#watch.types);
        } catch {
            /* None of what this package can read: whoever looks it up will see why. */
            if (place >= 0)
                this.#kept[place] = null;
            return undefined;
        }
        if (place < 0)
            return value;
        this.#kept[place] = { value, depth: depthOf(value) };
        return own(this.#kept[place]);
    }
}

module.exports = { Near };
