// SPDX-License-Identifier: MIT
'use strict';
/* Errors as node-postgres has them; what the library said is their cause. */

/* The fields of the server's answer, by the letters of its protocol. */
const FIELDS = {
    S: 'severity', C: 'code', D: 'detail', H: 'hint', P: 'position', p: 'internalPosition', q: 'internalQuery', W: 'where',
    s: 'schema', t: 'table', c: 'column', d: 'dataType', n: 'constraint', F: 'file', L: 'line', R: 'routine',
};

const SQLSTATE = /^[0-9A-Z]{5}$/;

class DatabaseError extends Error {
    constructor(message, length = message.length, name = 'error') {
        super(message);
        this.length = length;
        this.name = name;
        for (const field of Object.values(FIELDS))
            this[field] = undefined;
    }
}

/* What has no room any more is told as a warning. */
function noticeOf({ dropped, ...fields }) {
    const message = fields.M ?? `${dropped} more notices were dropped: a client keeps 1 MiB of them while a statement runs`;
    const made = { length: message.length, message, name: 'notice' };

    if (dropped !== undefined)
        Object.assign(fields, { S: 'WARNING', C: '01000' });
    for (const [letter, name] of Object.entries(FIELDS))
        made[name] = fields[letter];
    return made;
}

/* Whoever throws upon a message keeps nobody from the next one. */
function aside(tell) {
    try {
        tell();
    } catch (error) {
        process.nextTick(() => {
            throw error;
        });
    }
}

function because(error, cause) {
    Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
    return error;
}

/* `shift`: how many characters of the text that was sent are ours. */
function databaseError(error, fields, shift) {
    const made = new DatabaseError(fields.M ?? error.message);

    for (const [letter, name] of Object.entries(FIELDS))
        made[name] = fields[letter];
    made.severity ??= 'FATAL';
    made.code ??= error.serverCode;
    if (made.position !== undefined && shift > 0)
        made.position = String(Number(made.position) - shift);
    return made;
}

function coded(message, code) {
    const error = new Error(message);

    error.code = code;
    return error;
}

/* What libpq and the system say, and Node's code for it. */
const CAUSES = [[/connection refused/i, 'ECONNREFUSED'], [/temporary failure in name resolution/i, 'EAI_AGAIN'],
    [/translate host|resolve|name or service/i, 'ENOTFOUND'], [/no such file/i, 'ENOENT'], [/permission denied/i, 'EACCES'],
    [/no route to host/i, 'EHOSTUNREACH'], [/network is unreachable/i, 'ENETUNREACH'], [/timed? ?out/i, 'ETIMEDOUT'], [/reset/i, 'ECONNRESET'],
    [/broken pipe/i, 'EPIPE'], [/does not match host name/i, 'ERR_TLS_CERT_ALTNAME_INVALID']];
const COPY = 'COPY has a stream beside its text: give client.query() one of pg-copy-streams, or use copyFrom() and copyTo() of pool.sugarperf';
const PLAIN = 'The server does not support SSL connections';

function unavailable(error) {
    const found = CAUSES.find(([said]) => said.test(error.message));

    if (/server does not support SSL/i.test(error.message))
        return new Error(PLAIN);

    return coded(error.message, found === undefined ? error.code : found[1]);
}

/* `late`: what is said where the caller's own time is over. */
function pgError(error, late = 'Query read timeout', shift = 0) {
    if (typeof error?.code !== 'string' || !error.code.startsWith('SP_'))
        return error;
    if (error.fields !== undefined || SQLSTATE.test(error.serverCode))
        return because(databaseError(error, error.fields ?? {}, shift), error);
    switch (error.code) {
    case 'SP_TIMEOUT':
        return because(new Error(error.serverCode === 'acquire' ? 'timeout exceeded when trying to connect' : late), error);
    case 'SP_LOST':
        return because(new Error('Connection terminated unexpectedly'), error);
    case 'SP_UNAVAILABLE':
        return because(unavailable(error), error);
    case 'SP_UNSUPPORTED':
        return /is a COPY/.test(error.message) ? because(coded(COPY, error.code), error) : error;
    default:
        return error;
    }
}

module.exports = { DatabaseError, aside, noticeOf, pgError };
