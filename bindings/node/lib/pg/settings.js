// SPDX-License-Identifier: MIT
'use strict';
/* What a Pool or Client of node-postgres is told, as the library's configuration. */
const { isIP } = require('node:net');
const { env } = process;
const defaults = require('./defaults.js');

const LONGEST = '1d';

/* A number, which may be given as text; undefined: it is not there. NaN is what parseInt() makes of a variable that is not set. */
function numberOf(options, name) {
    const value = options[name];

    if (value === undefined || value === null || value === false || value === '' || Number.isNaN(value))
        return undefined;
    const number = typeof value === 'string' && value.trim() === '' ? NaN : Number(value);
    if (Number.isNaN(number))
        throw new TypeError(`${name} must be a number, not ${typeof value === 'string' ? `'${value}'` : String(value)}`);
    return number;
}

/* Milliseconds, of the first of these that says them; undefined: no limit, or nothing is said. */
function millis(name, ...said) {
    const number = numberOf(said.find((options) => options[name] !== undefined && options[name] !== null) ?? {}, name);

    return number && Number.isFinite(number) ? `${Math.trunc(number)}ms` : undefined;
}

const limit = (...said) => millis(...said) ?? LONGEST;
const ROOTS = '/etc/ssl/certs/ca-certificates.crt';
const NO_FILE = '/dev/null/none';

const OPTIONS = ['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey',
    'uselibpqcompat', 'options', 'application_name', 'fallback_application_name', 'types', 'max', 'poolSize', 'min', 'maxUses',
    'maxLifetimeSeconds', 'idleTimeoutMillis', 'connectionTimeoutMillis', 'statement_timeout', 'query_timeout', 'lock_timeout',
    'idle_in_transaction_session_timeout', 'sugarperf', 'pool', 'exclusive', 'Client', 'onConnect', 'verify', 'keepAlive', 'keepAliveInitialDelayMillis',
    'sslnegotiation', 'stream', 'connection', 'replication', 'scramMaxIterations', 'Promise'];
/* What node-postgres knows, and nothing here can do. */
const REFUSED = {
    stream: 'connections are the library\'s own', connection: 'connections are the library\'s own', replication: 'a change feed is client.feed()',
    scramMaxIterations: 'libpq has no such bound', Promise: 'answers are promises of the language',
};

/* A copy, with what is hidden (a password that is not to be shown) and what getters give. */
function copyOf(config) {
    const copy = { ...config };

    for (const name of OPTIONS) {
        const value = config?.[name];

        if (value !== undefined)
            copy[name] = value;
    }
    return copy;
}

/* Nothing of it is left out without a word. */
function refuse(options) {
    for (const [name, why] of Object.entries(REFUSED)) {
        if (options[name] && options[name] !== Promise)
            throw new Error(`${name} is not taken: ${why}`);
    }
}

/* What cannot be read may hold a password, so the error does not show it. */
function urlIn(text) {
    try {
        /* Behind a user there has to be a host. */
        const hostless = /^\w+:\/\/[^/]*@\//.test(text);

        return { hostless, url: new URL(hostless ? text.replace('@/', '@none/') : text, 'postgres://base') };
    } catch (error) {
        if (error.input)
            error.input = '*****REDACTED*****';
        throw error;
    }
}

/* A string of node-postgres's: a URL, or "/folder database" or "socket:/folder?db=database" for a socket. */
function parsed(text) {
    if (text.startsWith('/')) {
        const [host, database] = text.split(' ');
        return { host, database };
    }
    const { url, hostless } = urlIn(text);
    const named = Object.fromEntries(url.searchParams);
    const decoded = (part) => (part === '' ? undefined : decodeURIComponent(part));
    const who = { user: decoded(url.username), password: decoded(url.password) };

    if (url.protocol === 'socket:')
        return { ...who, ...named, host: decodeURI(url.pathname), database: named.db };
    const host = hostless ? undefined : decoded(url.hostname.replace(/^\[(.+)\]$/, '$1'));

    return { ...who, host, port: decoded(url.port), database: decoded(url.pathname.slice(1)), ...named };
}

function present(config) {
    return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined && value !== null && value !== ''));
}

/* The options, with those of the connection string before them. */
function optionsOf(config) {
    const options = typeof config === 'string' ? { connectionString: config } : copyOf(config);
    const text = options.connectionString ?? (typeof config === 'string' ? config : defaults.connectionString);

    return text ? { ...options, ...present(parsed(text)) } : options;
}

/* As node-postgres: what is empty is not said. */
function said(options, name, variable = `PG${name.toUpperCase()}`) {
    return options[name] || env[variable] || defaults[name];
}

function connectionOf(options) {
    const user = said(options, 'user');
    const port = numberOf({ port: said(options, 'port') }, 'port');

    return { host: said(options, 'host'), port, user, database: said(options, 'database') || user, password: said(options, 'password') };
}

/* Where neither a config nor a connection string says anything: as node-postgres reads the environment. */
function sslInEnvironment() {
    switch (env.PGSSLMODE) {
    case 'disable':
        return false;
    case 'prefer':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
        return true;
    case 'no-verify':
        return 'no-verify';
    default:
        return defaults.ssl;
    }
}

/* What libpq has not. Nothing of it is left out without a word. */
function refuseText(ssl, unchecked) {
    for (const name of ['pfx', 'secureContext', ...(unchecked ? [] : ['checkServerIdentity'])]) {
        if (ssl?.[name])
            throw new Error(`ssl.${name} is not taken: give ssl.ca, ssl.cert and ssl.key, or name files, by sslrootcert, sslcert and sslkey`);
    }
}

const TEXTS = { ca: 'sslrootcert', cert: 'sslcert', key: 'sslkey' };

/* What an `ssl` has as text, as files of `fileOf(name, text)`. */
function textsOf(ssl, unchecked, fileOf) {
    const made = {};

    for (const [name, file] of Object.entries(TEXTS)) {
        if (ssl?.[name] && !(unchecked && name === 'ca'))
            made[file] = fileOf(`ssl.${name}`, ssl[name]);
    }
    if (ssl?.passphrase)
        made.sslpassword = String(ssl.passphrase);
    return made;
}

/* As strict as node-postgres: without a word to the contrary the server's name and certificate are checked. */
function sslOf({ ssl: given, sslmode, sslrootcert, sslcert, sslkey, sslnegotiation, uselibpqcompat }, fileOf) {
    const direct = sslnegotiation === 'direct' ? { sslnegotiation } : {};
    const own = present({ sslcert, sslkey, ...direct });
    const files = present({ sslrootcert, ...own });
    const ssl = given === undefined && !sslmode && !direct.sslnegotiation ? sslInEnvironment() : given;
    const unchecked = sslmode === 'no-verify' || ssl === 'no-verify' || ssl?.rejectUnauthorized === false;

    if (sslmode && uselibpqcompat === 'true')
        return { sslmode, ...files };
    if (sslmode === 'disable' || ssl === 'false' || ssl === '0' || (!ssl && !sslmode && !Object.keys(files).length))
        return { sslmode: 'disable' };
    refuseText(ssl, unchecked);
    const texts = textsOf(ssl, unchecked, fileOf);
    /* With an authority's certificate, which PGSSLROOTCERT or a file in ~/.postgresql may name, libpq would check the server's by it. */
    return unchecked ? { sslmode: 'require', sslrootcert: NO_FILE, ...own, ...texts }
        : { sslmode: 'verify-full', sslrootcert: ROOTS, ...files, ...texts };
}

function serverOptions(options) {
    const given = said(options, 'options');
    const words = given ? [given] : [];

    for (const name of ['lock_timeout', 'idle_in_transaction_session_timeout']) {
        const value = millis(name, options, defaults);

        if (value)
            words.push(`-c ${name}=${value}`);
    }
    return words.length === 0 ? {} : { options: words.join(' ') };
}

/* Unasked, the library keeps its connections alive; the delay is in whole seconds. */
function keepAliveOf(options) {
    const delay = numberOf(options, 'keepAliveInitialDelayMillis');

    return { keepalives: options.keepAlive === false ? 0 : undefined, keepalives_idle: delay ? Math.max(1, Math.round(delay / 1000)) : undefined };
}

/* What libpq would take of the environment, and node-postgres does not: where to connect to is said here alone. Of a name the library
 * finds the address. */
function unswayed(host) {
    const hostaddr = String(host ?? '').split(',').map((one) => (isIP(one) ? one : '')).join();

    return { hostaddr, target_session_attrs: 'any', gssencmode: 'disable' };
}

/* Every part by name: what is a folder of sockets need not look like a host. */
function urlOf(options, { host, port, user, database }, fileOf) {
    const parts = { host, port, user, dbname: database, application_name: said(options, 'application_name', 'PGAPPNAME'),
        ...keepAliveOf(options), ...sslOf(options, fileOf), ...serverOptions(options) };
    const query = Object.entries({ ...present(parts), ...unswayed(host) }).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);

    return `postgresql:///?${query.join('&')}`;
}

/* How many clients a Pool may lend. */
function maxOf(options) {
    const max = Math.ceil(numberOf(options, 'max') || numberOf(options, 'poolSize') || 10);

    if (max < 1)
        throw new RangeError(`max must be at least 1, not ${max}`);
    return max;
}

/* A connection is kept for single statements: as many clients as `max` can be had beside it. */
function sizeOf(max) {
    return max === 1 ? 2 : max + 1;
}

/*
 * { settings } for the library, `patience` (of a statement that has no time of its own), and what a caller may want to see of them.
 * `fileOf(name, text)`: the name of a file of that text.
 */
function settingsOf(config, max, fileOf) {
    const options = optionsOf(config);
    refuse(options);
    const at = connectionOf(options);
    const connect = limit('connectionTimeoutMillis', options, { connectionTimeoutMillis: defaults.connect_timeout });
    const lifetime = numberOf(options, 'maxLifetimeSeconds');
    const uses = numberOf(options, 'maxUses');
    const settings = {
        'pool.url': urlOf(options, at, fileOf), 'pool.max': sizeOf(max), 'pool.min': Math.min(numberOf(options, 'min') ?? 0, max),
        'pool.acquire_timeout': limit('connectionTimeoutMillis', options), 'pool.connect_timeout': connect,
        'pool.statement_timeout': millis('statement_timeout', options, defaults) ?? '0',
        'pool.query_timeout': limit('query_timeout', options, defaults),
        'pool.idle_timeout': limit('idleTimeoutMillis', options, defaults),
        'pool.max_uses': Number.isFinite(uses) ? uses : undefined,
        'pool.lifetime': lifetime ? `${lifetime}s` : '30d',
        'pool.application_name': said(options, 'application_name', 'PGAPPNAME') || said(options, 'fallback_application_name', false) || undefined,
    };
    if (typeof at.password === 'string' && at.password !== '')
        settings['pool.password'] = at.password;
    return { options, at, settings, patience: millis('query_timeout', options, defaults) };
}

/* Where a config leads to. */
function placeOf(config) {
    return connectionOf(optionsOf(config ?? {}));
}

module.exports = { copyOf, maxOf, millis, numberOf, placeOf, settingsOf, sizeOf };
