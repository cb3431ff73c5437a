// SPDX-License-Identifier: MIT
'use strict';
/* A query of node-postgres's: a text with its values, and who is told: a callback, or the events row, end and error. */
const { EventEmitter } = require('node:events');
const { decode } = require('./result.js');
const { millis } = require('./settings.js');
const { prepareValues } = require('./values.js');

const NAMES = ['text', 'values', 'rows', 'types', 'name', 'binary', 'callback', 'queryMode', 'query_timeout', 'rowMode'];

/* What a config says, also where its class does: packages that make queries of template literals have getters. */
function said(config) {
    const made = {};

    for (const name of NAMES)
        made[name] = config?.[name];
    return made;
}

/* (text or config, values, callback) in all their forms, as one config of the caller's own. */
function configOf(config, values, callback) {
    const made = typeof config === 'string' ? { text: config } : said(config);

    if (typeof values === 'function')
        made.callback = values;
    else if (values)
        made.values = values;
    if (callback)
        made.callback = callback;
    return made;
}

class Query extends EventEmitter {
    constructor(config, values, callback) {
        super();
        const made = configOf(config, values, callback);

        this.text = made.text;
        this.values = made.values;
        this.rows = made.rows;
        this.types = made.types;
        this.name = made.name;
        this.binary = made.binary;
        this.callback = made.callback;
        this.queryMode = made.queryMode;
        this.timeout = made.query_timeout;
        this._rowMode = made.rowMode;
    }

    /* What is wrong with it before anything is sent. */
    check() {
        if (typeof this.text !== 'string' && typeof this.name !== 'string')
            throw new Error('A query must have either text or a name. Supplying neither is unsupported.');
        return prepareValues(this.values);
    }

    /* Who knows of node-postgres's own queries asks for this; a client runs it by itself. */
    submit() {
        return new Error('a query is given to client.query()');
    }

    /* How results of it are read, with the parsers of `types`. */
    reader(types) {
        const parsers = this.types ?? types;

        return (bytes, offset) => decode(bytes, offset, parsers, this._rowMode);
    }

    /* What a call is told: 0, false and null say nothing, and more than one statement is for texts alone. */
    limits(types) {
        return { decode: this.reader(types), timeout: millis('query_timeout', { query_timeout: this.timeout }),
            extended: this.queryMode === 'extended' };
    }

    handleError(error) {
        if (this.callback)
            this.callback(error);
        else
            this.emit('error', error);
    }

    /* `results`: one, or an array of them. */
    handleResult(results) {
        const listened = this.listenerCount('row') > 0;

        for (const result of listened ? [results].flat() : []) {
            for (const row of result.rows)
                this.emit('row', row, result);
            if (!this.callback)
                result.rows = [];
        }
        if (this.callback)
            this.callback(null, results);
        this.emit('end', results);
    }
}

module.exports = { Query };
