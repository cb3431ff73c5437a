// SPDX-License-Identifier: MIT
'use strict';
/* Texts by the names that a program gave them: with node-postgres a name alone runs what was prepared under it. */
const { DatabaseError } = require('./errors.js');
const { Recent } = require('../recent.js');

const KEPT = 10000;
const UNKNOWN = /^42/;

class Names {
    #texts = new Recent(KEPT);
    #above;

    /* With `above`, of one client, for which a name means one text; it also knows what is known there. */
    constructor(above) {
        this.#above = above;
    }

    /* The text to run. */
    textOf({ name, text }) {
        if (!name)
            return text;
        if (!text)
            return this.#find(name);
        const before = this.#texts.get(name);

        if (this.#above !== undefined && before !== undefined && before !== text)
            throw new Error(`Prepared statements must be unique - '${name}' was used for a different statement`);
        this.#keep(name, text);
        return text;
    }

    /* What could not be prepared leaves its name free. */
    failed({ name, text }, error) {
        if (!name || !text || !UNKNOWN.test(error.code))
            return;
        this.#texts.delete(name);
        this.#above?.failed({ name, text }, error);
    }

    #find(name) {
        const text = this.get(name);

        if (text === undefined) {
            const error = new DatabaseError(`prepared statement "${name}" does not exist`);

            throw Object.assign(error, { severity: 'ERROR', code: '26000' });
        }
        return text;
    }

    get(name) {
        return this.#texts.get(name) ?? this.#above?.get(name);
    }

    #keep(name, text) {
        if (this.#texts.get(name) !== text)
            this.#texts.set(name, text);
        this.#above?.textOf({ name, text });
    }
}

module.exports = { Names };
