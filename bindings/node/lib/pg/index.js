// SPDX-License-Identifier: MIT
'use strict';
/* In place of node-postgres: require('sugarperf/pg') where require('pg') was. */
const { Client } = require('./client.js');
const { DatabaseError } = require('./errors.js');
const { Pool } = require('./pool.js');
const { Query } = require('./query.js');
const { Result } = require('./result.js');
const { TypeOverrides, types } = require('./types.js');
const defaults = require('./defaults.js');
const { escapeIdentifier, escapeLiteral, prepareValue } = require('./values.js');

module.exports = {
    Client, DatabaseError, Pool, Query, Result, TypeOverrides, defaults, escapeIdentifier, escapeLiteral, types,
    utils: { escapeIdentifier, escapeLiteral, prepareValue },
    /* There is one implementation. */
    native: null,
};
