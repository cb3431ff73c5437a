// SPDX-License-Identifier: MIT
'use strict';
/*
 * One class a status: TimeoutError has code 'SP_TIMEOUT'. Errors of the servers carry their own code: SqlError.sqlstate,
 * RedisError.prefix. `retryable` says whether the same operation may be made again.
 */
const native = require('./native.js');

class SugarperfError extends Error {
    constructor(message, code, serverCode = '', retryable = false, options = undefined) {
        super(message, options);
        this.code = code;
        this.retryable = retryable;
        if (serverCode !== '')
            this.serverCode = serverCode;
    }

    get name() {
        return this.constructor.name;
    }
}

class SqlError extends SugarperfError {
    get sqlstate() {
        return this.serverCode;
    }
}

/* What the server said, by the letters of its protocol; not shown with the error, for it may hold values. */
function tell(error, fields) {
    return Object.defineProperty(error, 'fields', { value: fields, configurable: true });
}

class RedisError extends SugarperfError {
    get prefix() {
        return this.serverCode;
    }
}

const classes = { SugarperfError, SqlError, RedisError };
const byCode = { SP_SQL: SqlError, SP_REDIS: RedisError };
const byStatus = new Map();

/* SP_LEASE_LOST: LeaseLostError. */
function className(code) {
    if (code === 'SP_NOMEM')
        return 'NoMemoryError';
    return code.slice(3).toLowerCase().replace(/(^|_)(.)/g, (_, gap, letter) => letter.toUpperCase()) + 'Error';
}

for (let status = -1; native.status_name(status) !== 'SP_UNKNOWN'; status--) {
    const code = native.status_name(status);
    if (!byCode[code]) {
        const name = className(code);
        byCode[code] = { [name]: class extends SugarperfError {} }[name];
        classes[name] = byCode[code];
    }
    byStatus.set(status, code);
}

/* C's calls, where what the library says names one, and what they are here. */
const CALLS = {
    'sp_pool_acquire()': 'acquire()', 'sp_pool_batch()': 'batch()', 'sp_pool_query()': 'query()', 'sp_session_copy()': 'copyFrom() or copyTo()',
    'sp_cache_declare()': 'cache.template()', 'sp_cache_delete()': 'cache.delete()', 'sp_invalidate_row()': 'rules.invalidate()',
    'sp_row_was()': 'was', 'sp_template_pattern()': 'the option patterns',
};

/* What the server says is its own: a function there may have any name. */
function worded(code, message) {
    return code === 'SP_SQL' || !message.includes('sp_') ? message : message.replace(/sp_[a-z_]+\(\)/g, (name) => CALLS[name] ?? name);
}

function makeError(code, message, serverCode, retryable, options) {
    const Class = byCode[code] || SugarperfError;
    return new Class(worded(code, message), code, serverCode, retryable, options);
}

function errorOfStatus(status, message, serverCode, retryable) {
    return makeError(byStatus.get(status) || 'SP_INTERNAL', message, serverCode, retryable);
}

/* What the addon threw, as one of the classes; a defect of the caller (a TypeError) passes as it is. */
function adopt(thrown) {
    if (typeof thrown.status !== 'number')
        return thrown;
    const error = makeError(thrown.code, thrown.message, thrown.serverCode, thrown.retryable);
    if (Error.captureStackTrace)
        Error.captureStackTrace(error, call);
    return error;
}

/* Where it is told rather than where its answer was read: so its stack leads to who asked. */
function asked(error) {
    if (error instanceof SugarperfError && Error.captureStackTrace)
        Error.captureStackTrace(error, asked);
    throw error;
}

/* Calls a function of the addon; its errors come out as the classes above. */
function call(name, ...args) {
    try {
        return native[name](...args);
    } catch (thrown) {
        throw adopt(thrown);
    }
}

/* `error`, which came after `cause`, unless it tells a cause of its own. */
function because(error, cause) {
    if (cause !== undefined && error.cause === undefined)
        error.cause = cause;
    return error;
}

module.exports = { classes, because, makeError, errorOfStatus, adopt, asked, call, tell };
