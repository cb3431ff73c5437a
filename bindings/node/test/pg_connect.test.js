// SPDX-License-Identifier: MIT
'use strict';
/* How a connection comes about: TLS, passwords that a function gives, and what is asked before it stands. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { both, client, drivers, failure, name, ours, peer, pool } = require('./pg_support.js');
const { url } = require('./support.js');

/* What is reached, part by part. */
function parts(more = {}) {
    const at = new URL(url('DATABASE_URL'));

    return { host: at.hostname, port: Number(at.port), user: at.username, password: at.password, database: at.pathname.slice(1), ...more };
}

/* `work()` with these variables of the environment. */
async function under(variables, work) {
    const before = Object.keys(variables).map((name) => [name, process.env[name]]);

    Object.assign(process.env, variables);
    try {
        return await work();
    } finally {
        for (const [name, value] of before) {
            if (value === undefined)
                delete process.env[name];
            else
                process.env[name] = value;
        }
    }
}

/* What one query answers on a client of this config. */
async function answer(pg, config, text) {
    const on = new pg.Client(config);

    await on.connect();
    try {
        return Object.values((await on.query(text)).rows[0])[0];
    } finally {
        await on.end();
    }
}

/* Whether a query is answered under PGSSLMODE, and over TLS. */
async function reached(pg, mode, more = {}, variables = {}) {
    return under({ PGSSLMODE: mode, ...variables }, async () => {
        const on = new pg.Pool(parts({ max: 1, ...more }));

        try {
            return (await on.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0].ssl;
        } catch {
            return 'refused';
        } finally {
            await on.end();
        }
    });
}

test('PGSSLMODE is obeyed as node-postgres obeys it', async () => {
    for (const mode of ['disable', 'prefer', 'require', 'verify-full', 'no-verify'])
        assert.equal(await reached(ours, mode), await reached(peer, mode), mode);
    for (const ssl of [false, 'no-verify'])
        assert.equal(await reached(ours, 'require', { ssl }), await reached(peer, 'require', { ssl }), JSON.stringify(ssl));
    assert.equal(await reached(ours, 'require'), 'refused');
    const roots = { PGSSLROOTCERT: '/etc/ssl/certs/ca-certificates.crt' };
    assert.equal(await reached(ours, 'no-verify', {}, roots), await reached(peer, 'no-verify', {}, roots));
});

both('variables that name a server, a user or options are read where the config is empty, and no others', async (t, pg) => {
    const { host, port, user, password, database } = parts();
    const named = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database };
    const empty = { host: '', port: '', user: '', password: '', database: '' };

    for (const config of [undefined, empty])
        assert.equal(await under(named, () => answer(pg, config, 'SELECT current_user')), user);
    await under({ PGHOSTADDR: '192.0.2.1', PGTARGETSESSIONATTRS: 'standby', PGGSSENCMODE: 'require', PGCONNECT_TIMEOUT: '1' }, async () => {
        for (const config of [parts(), parts({ host: 'localhost' })])
            assert.equal(await answer(pg, config, 'SELECT current_database()'), database);
    });
    await under({ PGAPPNAME: 'of the environment', PGOPTIONS: '-c work_mem=7MB' }, async () => {
        assert.equal(await answer(pg, parts({ application_name: 'own' }), 'SHOW application_name'), 'own');
        assert.equal(await answer(pg, parts({ fallback_application_name: 'own' }), 'SHOW application_name'), 'of the environment');
        for (const more of [{}, { lock_timeout: 100 }])
            assert.equal(await answer(pg, parts(more), 'SHOW work_mem'), '7MB');
    });
});

/* In how many seconds the kernel asks whether the other end of this port is there; null: never. */
async function probe(on, port) {
    for (;;) {
        const row = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/))
            .find(([, at]) => parseInt(at?.split(':')[1], 16) === port);
        const [kind, left] = row[5].split(':').map((part) => parseInt(part, 16));

        /* Else something is still on its way, or was: the kernel may say so until there is something new. */
        if (kind === 0 || kind === 2)
            return kind === 2 ? Math.ceil(left / 100) : null;
        await on.query('SELECT 1');
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

both('keepAlive and its delay reach the socket', async (t, pg) => {
    const delays = [];

    for (const more of [{ keepAlive: true, keepAliveInitialDelayMillis: 60000 }, { keepAlive: true, keepAliveInitialDelayMillis: 4000 }, { keepAlive: false }]) {
        const on = await client(t, pg, more);
        const { port } = (await on.query('SELECT inet_client_port() AS port')).rows[0];

        delays.push(await probe(on, port));
    }
    assert.ok(delays[0] > 4 && delays[0] <= 60 && delays[1] <= 4 && delays[1] !== null && delays[2] === null, delays.join());
});

test('options of node-postgres that nothing here can do are refused by name', async () => {
    for (const option of ['stream', 'connection', 'replication', 'scramMaxIterations', 'Promise']) {
        assert.match((await failure(new ours.Client(parts({ [option]: () => {} })).connect())).message, new RegExp(`^${option} is not taken: `));
        assert.match((await failure(new ours.Pool(parts({ [option]: () => {} })).query('SELECT 1'))).message, new RegExp(`^${option} is not taken: `));
    }
    assert.equal(await answer(ours, parts({ Promise, replication: false, stream: undefined }), 'SELECT 1'), 1);
});

/* An authority, and by it a certificate of "localhost" and one of a client, whose key has a passphrase as well. */
function certificates(t) {
    const folder = mkdtempSync(path.join(tmpdir(), 'sugarperf-tls-'));
    const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const made = ['req', '-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

    t.after(() => rmSync(folder, { recursive: true }));
    openssl(...made, '-x509', '-days', '2', '-subj', '/CN=an authority', '-keyout', 'ca.key', '-out', 'ca.crt');
    for (const [name, who] of [['server', 'localhost'], ['client', 'test']]) {
        openssl(...made, '-subj', `/CN=${who}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
        openssl('x509', '-req', '-days', '2', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-out', `${name}.crt`);
    }
    openssl('ec', '-in', 'client.key', '-aes256', '-passout', 'pass:of the key', '-out', 'locked.key');
    return Object.fromEntries(['ca.crt', 'server.crt', 'server.key', 'client.crt', 'client.key', 'locked.key']
        .map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));
}

/* The server, over TLS and for clients with a certificate alone; resolves to its port. */
async function guarded(t, { 'ca.crt': ca, 'server.crt': cert, 'server.key': key }) {
    const { host, port } = parts();
    const door = net.createServer((plain) => {
        plain.once('data', () => {
            plain.write('S');
            const inside = new tls.TLSSocket(plain, { isServer: true, ca, cert, key, requestCert: true, rejectUnauthorized: true });
            const behind = net.connect(port, host);

            inside.on('error', () => behind.destroy());
            behind.on('error', () => inside.destroy());
            inside.pipe(behind).pipe(inside);
        });
        plain.on('error', () => {});
    });

    await new Promise((resolve) => door.listen(0, '127.0.0.1', resolve));
    t.after(() => door.close());
    return door.address().port;
}

const opened = () => readdirSync('/proc/self/fd').length;

test('certificates and keys may be text, as node-postgres takes them', async (t) => {
    const made = certificates(t);
    const { 'ca.crt': ca, 'client.crt': cert, 'client.key': key, 'locked.key': locked } = made;
    const at = { host: 'localhost', port: await guarded(t, made) };
    const asked = (pg, ssl) => answer(pg, parts({ ...at, ssl }), 'SELECT 1 AS n');
    const before = opened();

    for (const pg of [peer, ours]) {
        for (const ssl of [{ ca, cert, key }, { ca: [Buffer.from(ca)], cert: Buffer.from(cert), key: [key] },
            { rejectUnauthorized: false, cert, key }, { ca, cert, key: locked, passphrase: 'of the key' }])
            assert.equal(await asked(pg, ssl), 1);
        for (const ssl of [{ ca }, { cert, key }, { ca: made['server.crt'], cert, key }])
            await assert.rejects(asked(pg, ssl));
    }
    for (const option of ['pfx', 'secureContext', 'checkServerIdentity'])
        await assert.rejects(asked(ours, { ca, [option]: () => {} }), new RegExp(`ssl\\.${option} is not taken`));
    await assert.rejects(asked(ours, { ca: 5 }), /ssl\.ca must be/);
    while (opened() > before)
        await new Promise((resolve) => setImmediate(resolve));
});

both('a config whose password is hidden, or whose fields are getters, and the options of a pool are taken whole', async (t, pg) => {
    const { password, ...rest } = parts();
    const hidden = Object.defineProperty({ ...rest }, 'password', { value: password, enumerable: false });
    class Config {
        get host() { return rest.host; }
        get port() { return rest.port; }
        get user() { return rest.user; }
        get password() { return password; }
        get database() { return rest.database; }
    }
    const asked = async (on) => {
        assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
        await on.end();
    };
    const { options } = new pg.Pool(hidden);

    for (const config of [hidden, new Config(), options]) {
        const one = new pg.Client(config);

        await one.connect();
        await asked(one);
    }
    for (const config of [hidden, options])
        await asked(new pg.Pool(config));
    assert.ok(!Object.keys(options).includes('password'));
});

both('a connection string may name a folder of sockets, with a user and without a host', async (t, pg) => {
    const socket = process.env.SP_TEST_PG_SOCKET;
    const said = new URLSearchParams(socket?.slice(socket.indexOf('?')));
    const [folder, port] = [said.get('host'), said.get('port')];
    const before = process.env.PGPORT;

    if (!folder)
        return;
    process.env.PGPORT = port;
    t.after(() => (before === undefined ? delete process.env.PGPORT : process.env.PGPORT = before));
    for (const text of [`postgresql://test:test@/test?host=${folder}&port=${port}`, `postgresql://test@/test?host=${folder}`,
        `postgresql:///test?host=${folder}&user=test`, `postgresql://test:test@${encodeURIComponent(folder)}/test`,
        `socket:${folder}?db=test&user=test`, `socket://test:test@${folder}?db=test`]) {
        const on = new pg.Client(text);

        await on.connect();
        assert.deepEqual((await on.query('SELECT inet_server_addr() AS a, current_database() AS d')).rows, [{ a: null, d: 'test' }], text);
        await on.end();
    }
});

both('a URL that cannot be read does not show its password', async (t, pg) => {
    const error = await failure((async () => new pg.Client('postgres://app:hunter2@db:54x32/prod').connect())());

    assert.doesNotMatch(require('node:util').inspect(error), /hunter2/);
});

both('a password that a function gives and the server refuses is told at once', async (t, pg) => {
    let asked = 0;
    const error = await failure(new pg.Client(parts({ password: async () => `wrong ${++asked}` })).connect());

    assert.deepEqual([error.code, asked], ['28P01', 1]);
    assert.match(error.message, /password authentication failed for user/);
});

/* node-postgres leaves such a connection to the server's own time limit, a minute. */
test('what the password function throws reaches the caller, and the next one is served', async (t) => {
    const { password } = parts();
    let asked = 0;
    const on = pool(t, ours, { connectionString: undefined, ...parts(), password: () => {
        if (++asked === 1)
            throw new Error('the vault is down');
        return password;
    } });

    assert.equal((await failure(on.query('SELECT 1'))).message, 'the vault is down');
    assert.deepEqual((await on.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    (await on.connect()).release();
});

test('a password function that does not answer ends with the time to connect', async (t) => {
    let answer;
    const on = pool(t, ours, { connectionString: undefined, ...parts(), connectionTimeoutMillis: 20, password: () => new Promise((resolve) => {
        answer = resolve;
    }) });

    assert.equal((await failure(on.query('SELECT 1'))).message, 'timeout exceeded when trying to connect');
    assert.equal((await failure(on.connect())).message, 'timeout exceeded when trying to connect');
    answer(parts().password);
});

both('a password that changes is asked for again', async (t, pg) => {
    const role = name();
    const own = await client(t, peer);
    let password = 'one';
    const asked = [];

    await own.query(`CREATE ROLE ${role} LOGIN PASSWORD 'one'`);
    const on = new pg.Pool(parts({ user: role, max: 2, password: async () => {
        asked.push(password);
        return password;
    } }));
    on.on('error', () => {});
    try {
        assert.equal((await on.query('SELECT current_user AS me')).rows[0].me, role);
        password = 'two';
        await own.query(`ALTER ROLE ${role} PASSWORD 'two'`);
        await own.query('SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = $1', [role]);
        /* The first may still be given to the connection that was lost. */
        await on.query('SELECT 1').catch(() => {});
        assert.equal((await on.query('SELECT current_user AS me')).rows[0].me, role);
        assert.ok(asked.length <= 3 && asked.at(-1) === 'two', asked.join());
    } finally {
        await on.end();
        await own.query(`DROP ROLE ${role}`);
    }
});

both('queries that come before the connection wait for it, in their order', async (t, pg) => {
    const on = new pg.Client(url('DATABASE_URL'));
    const seen = [];
    const first = on.query('SELECT 1 AS n').then(({ rows }) => seen.push(rows[0].n));
    const connected = new Promise((resolve, reject) => {
        on.connect((error) => (error ? reject(error) : resolve(seen.push('connected'))));
    });
    const second = new Promise((resolve) => {
        on.query('SELECT $1::int AS n', [2], (error, { rows }) => resolve(seen.push(rows[0].n)));
    });

    await Promise.all([first, connected, second]);
    assert.deepEqual(seen, ['connected', 1, 2]);
    await on.end();
});

for (const [driver, pg] of Object.entries(drivers)) {
    test(`${driver}: queries that wait for a connection that fails are told so`, async () => {
        const on = new pg.Client(parts({ password: 'wrong' }));

        on.on('error', () => {});
        const connecting = failure(on.connect());
        const waiting = failure(on.query('SELECT 1'));
        assert.equal((await connecting).code, '28P01');
        assert.ok((await waiting) instanceof Error);
    });
}

test('a client that ends while it connects answers first what it was asked', async () => {
    const on = new ours.Client(url('DATABASE_URL'));
    const connecting = on.connect();
    const asked = on.query('SELECT 1 AS n');

    await on.end();
    await connecting;
    assert.deepEqual((await asked).rows, [{ n: 1 }]);
    assert.match((await failure(on.query('SELECT 1'))).message, /closed/);
});
