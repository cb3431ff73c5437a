// SPDX-License-Identifier: MIT
'use strict';
const native = require('./native.js');
const { classes } = require('./errors.js');
const { Breaker, Clock } = require('./breaker.js');
const { Cache } = require('./cache.js');
const { Client } = require('./client.js');
const { Policy } = require('./policy.js');
const { Pool } = require('./pool.js');
const { Profiler } = require('./profiler.js');
const { Session } = require('./session.js');
const { Statement } = require('./statement.js');
const { sql } = require('./tag.js');
const { Template } = require('./key.js');
const { Transaction } = require('./transaction.js');

module.exports = {
    Breaker, Cache, Client, Clock, Policy, Pool, Profiler, Session, Statement, Template, Transaction, sql,
    version: native.version(), ...classes,
};
