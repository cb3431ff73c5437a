// SPDX-License-Identifier: MIT
'use strict';
/*
 * sql`SELECT title FROM contents WHERE id = ${id}`: what stands in ${} goes as a parameter, never into the text, but for another
 * sql`…`, which becomes a part of it, and for sql.id('table', 'column'), a name.
 */

class Place {
    constructor(value) {
        this.value = value;
    }
}

/* A name as PostgreSQL quotes it. */
class Name {
    constructor(parts) {
        if (parts.length === 0 || !parts.every((part) => typeof part === 'string' && part !== '' && !part.includes('\0')))
            throw new TypeError('sql.id() takes names: strings that are not empty');
        this.text = parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
    }
}

class Query {
    /* Texts and Places. */
    #pieces;

    constructor(pieces) {
        const values = [];

        this.#pieces = pieces;
        this.text = pieces.map((piece) => piece instanceof Place ? `$${values.push(piece.value)}` : piece).join('');
        this.values = Object.freeze(values);
        Object.freeze(this);
    }

    static piecesOf(value) {
        if (value instanceof Query)
            return value.#pieces;
        return value instanceof Name ? [value.text] : [new Place(value)];
    }
}

function sql(strings, ...values) {
    if (!Array.isArray(strings?.raw))
        throw new TypeError('sql is a tag: sql`SELECT …`');
    return new Query(strings.flatMap((text, i) => i === 0 ? [text] : [...Query.piecesOf(values[i - 1]), text]));
}

sql.id = (...parts) => new Name(parts);

module.exports = { Query, sql };
