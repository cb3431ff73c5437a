// SPDX-License-Identifier: MIT
'use strict';
/* What holds where a Pool or Client is told nothing else; a program may change it, as with node-postgres. */
const { env } = process;

const defaults = {
    host: 'localhost', port: 5432, user: env.USER, database: undefined, password: null, connectionString: undefined,
    rows: 0, binary: false, max: 10, idleTimeoutMillis: 10000, client_encoding: '', ssl: false, application_name: undefined,
    fallback_application_name: undefined, options: undefined, parseInputDatesAsUTC: false, statement_timeout: false,
    lock_timeout: false, idle_in_transaction_session_timeout: false, query_timeout: false, connect_timeout: 0, keepalives: 1,
    keepalives_idle: 0, sslnegotiation: undefined,
};

/* bigint as a number, alone and in arrays. */
Object.defineProperty(defaults, 'parseInt8', {
    configurable: true,
    enumerable: false,
    get: undefined,
    set(wanted) {
        const { types } = require('./types.js');
        const { identity } = require('../rows.js');
        const { parseArray } = require('../array.js');

        types.setTypeParser(20, 'text', wanted ? Number : identity);
        types.setTypeParser(1016, 'text', (text) => parseArray(text, wanted ? Number : identity));
    },
});

module.exports = defaults;
