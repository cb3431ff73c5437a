// SPDX-License-Identifier: MIT
'use strict';
/* What a Pool or Client of node-postgres is told, as the library's configuration. */
const { env } = process;
const defaults = require('./defaults.js');

const LONGEST = '1d';
/* Milliseconds; 0 and what is not there mean no limit. */
const limit = (ms) => (ms ? `${Math.trunc(Number(ms))}ms` : LONGEST);
const ROOTS = '/etc/ssl/certs/ca-certificates.crt';

/* A string of node-postgres's: a URL, or "/folder database" for a socket. */
function parsed(text) {
    if (text.startsWith('/')) {
        const [host, database] = text.split(' ');
        return { host, database };
    }
    const url = new URL(text, 'postgres://base');
    const named = Object.fromEntries(url.searchParams);
    const decoded = (part) => (part === '' ? undefined : decodeURIComponent(part));

    return { user: decoded(url.username), password: decoded(url.password), host: decoded(url.hostname), port: decoded(url.port),
        database: decoded(url.pathname.slice(1)), ...named };
}

function present(config) {
    return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined && value !== null && value !== ''));
}

/* The options, with those of the connection string before them. */
function optionsOf(config) {
    const options = typeof config === 'string' ? { connectionString: config } : { ...config };
    const text = options.connectionString ?? (typeof config === 'string' ? config : defaults.connectionString);

    return text ? { ...options, ...present(parsed(text)) } : options;
}

function connectionOf(options) {
    const user = options.user ?? env.PGUSER ?? defaults.user;

    return {
        host: options.host ?? env.PGHOST ?? defaults.host, port: Number(options.port ?? env.PGPORT ?? defaults.port), user,
        database: options.database ?? env.PGDATABASE ?? defaults.database ?? user,
        password: options.password ?? env.PGPASSWORD ?? defaults.password,
    };
}

/* As strict as node-postgres: without a word to the contrary the server's name and certificate are checked. */
function sslOf({ ssl = defaults.ssl, sslmode, sslrootcert, sslcert, sslkey, uselibpqcompat }) {
    const files = present({ sslrootcert, sslcert, sslkey });
    const checked = { sslmode: 'verify-full', ...(ROOTS && !sslrootcert ? { sslrootcert: ROOTS } : {}), ...files };

    if (sslmode && uselibpqcompat === 'true')
        return { sslmode, ...files };
    if (sslmode === 'disable' || ssl === 'false' || ssl === '0' || (!ssl && !sslmode && !Object.keys(files).length))
        return { sslmode: 'disable' };
    if (sslmode === 'no-verify' || ssl?.rejectUnauthorized === false)
        return { sslmode: 'require', ...files };
    for (const name of ['ca', 'cert', 'key', 'pfx']) {
        if (ssl?.[name] !== undefined)
            throw new Error(`ssl.${name}: name a file instead, in the connection string: sslrootcert, sslcert, sslkey`);
    }
    return checked;
}

function serverOptions(options) {
    const words = options.options ? [options.options] : [];

    for (const name of ['lock_timeout', 'idle_in_transaction_session_timeout']) {
        const value = options[name] ?? defaults[name];

        if (value)
            words.push(`-c ${name}=${Math.trunc(Number(value))}`);
    }
    return words.length === 0 ? {} : { options: words.join(' ') };
}

/* Every part by name: what is a folder of sockets need not look like a host. */
function urlOf(options, { host, port, user, database }) {
    const parts = { host, port, user, dbname: database, ...sslOf(options), ...serverOptions(options) };
    const query = Object.entries(present(parts)).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);

    return `postgresql:///?${query.join('&')}`;
}

/* A connection is kept for single statements: as many clients as `max` can be had beside it. */
function sizeOf(max) {
    return max === 1 ? 2 : max + 1;
}

/* { settings } for the library, and what a caller may want to see of them. */
function settingsOf(config, max) {
    const options = optionsOf(config);
    const at = connectionOf(options);
    const statement = options.statement_timeout ?? defaults.statement_timeout;
    const settings = {
        'pool.url': urlOf(options, at), 'pool.max': sizeOf(max), 'pool.min': Math.min(options.min ?? 0, max),
        'pool.acquire_timeout': limit(options.connectionTimeoutMillis), 'pool.statement_timeout': statement ? limit(statement) : '0',
        'pool.connect_timeout': limit(options.connectionTimeoutMillis ?? defaults.connect_timeout),
        'pool.query_timeout': limit(options.query_timeout ?? defaults.query_timeout),
        'pool.idle_timeout': limit(options.idleTimeoutMillis ?? defaults.idleTimeoutMillis),
        'pool.max_uses': Number.isFinite(options.maxUses) ? options.maxUses : undefined,
        'pool.lifetime': options.maxLifetimeSeconds ? `${options.maxLifetimeSeconds}s` : '30d',
        'pool.application_name': options.application_name ?? env.PGAPPNAME ?? options.fallback_application_name,
    };
    if (typeof at.password === 'string' && at.password !== '')
        settings['pool.password'] = at.password;
    return { options, at, settings };
}

module.exports = { settingsOf, sizeOf };
