// SPDX-License-Identifier: MIT
'use strict';
/* Values of sugarperf/pg are those of node-postgres, in both directions. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { both, client, name, ours, peer, pool } = require('./pg_support.js');

const VALUES = [
    '1::int2', '-7::int4', '9007199254740993::int8', '26::oid', '1.5::float4', "'NaN'::float8", "'-Infinity'::float8", '0.10::numeric',
    'true', 'false', 'NULL::int4', "'é\"\\\\'::text", "'x'::char(3)", "'\\x00ff'::bytea", "''::bytea", `'{"a": [1, null]}'::json`,
    `'"text"'::jsonb`, "'2024-02-29'::date", "'0044-03-15 BC'::date", "'infinity'::date", "'12345-06-07'::date",
    "'2024-02-29 12:34:56.789123'::timestamp", "'2024-07-01 12:34:56'::timestamptz", "'0001-01-01 00:00:00 BC'::timestamptz",
    "'1900-01-01 00:00:00.25+00:19:32'::timestamptz", "ARRAY['1850-06-01 00:00:00-00:19:32'::timestamptz]",
    "'infinity'::timestamptz", "'-infinity'::timestamp", "'12:34:56.5'::time", "'12:34:56+02'::timetz", "'(1.5,-2)'::point",
    "'<(1,2),3.5>'::circle", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "'10.0.0.1/8'::inet", "'$1.50'::money", "'[1,5)'::int4range",
    "'101'::bit(3)", "'{1,NULL,3}'::int4[]", "'{1,2}'::int2[]", "'{9007199254740993}'::int8[]", "'{1.5,NULL}'::float8[]",
    "'{1.25,2}'::numeric[]", "'{t,f,NULL}'::bool[]", `ARRAY['a"b', 'NULL', '\\', '', NULL]`, "'{{1,2},{3,4}}'::int4[]", "'{}'::text[]",
    "'[0:1]={1,2}'::int4[]", "ARRAY['\\x01'::bytea, NULL]", `ARRAY['{"a":1}'::jsonb]`, "ARRAY['2024-02-29'::date]",
    "ARRAY['2024-02-29 01:02:03'::timestamp, NULL]", "ARRAY['(1,2)'::point]", "ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]",
    "ARRAY['10.0.0.1'::inet]", "ARRAY['x'::varchar]", "ARRAY['12:34'::time]", "'a=>1'::text", "to_tsvector('english', 'a fat cat')",
];
const INTERVALS = ['1 year 2 mons 3 days 04:05:06.789', '-1 mon +2 days -00:00:01.5', '0', '100 days', '-3 years', '25:51:51', '0.000123 s'];

test('each type becomes what node-postgres makes of it', async (t) => {
    const [theirs, own] = await Promise.all([client(t, peer), client(t, ours)]);

    for (const value of VALUES) {
        const text = `SELECT ${value} AS value`;
        const [expected, found] = [await theirs.query(text), await own.query(text)];

        assert.deepEqual(found.rows, expected.rows, value);
        assert.deepEqual(found.fields.map((field) => [field.name, field.dataTypeID, field.format]),
            expected.fields.map((field) => [field.name, field.dataTypeID, field.format]), value);
        assert.deepEqual([found.command, found.rowCount, found.oid], [expected.command, expected.rowCount, expected.oid]);
    }
});

both('a time from before there were zones is a Date, whatever seconds its offset has', async (t, pg) => {
    const on = await client(t, pg);
    const at = new Date(-1.5e12);

    for (const zone of ['Europe/Amsterdam', 'Africa/Monrovia', 'America/St_Johns']) {
        await on.query(`SET TIME ZONE '${zone}'`);
        const [row] = (await on.query({ text: 'SELECT $1::timestamptz AS one, ARRAY[$1::timestamptz, NULL] AS list', values: [at.toISOString()] })).rows;

        assert.deepEqual(row, { one: at, list: [at, null] }, zone);
    }
});

both('a caller may change the fields of a result', async (t, pg) => {
    const on = await client(t, pg);
    const { fields } = await on.query('SELECT 1 AS a, 2 AS b');

    fields[0].name = 'other';
    fields.shift();
    assert.deepEqual((await on.query('SELECT 1 AS a, 2 AS b')).fields.map((field) => field.name), ['a', 'b']);
});

test('an interval has the parts that node-postgres gives it, and PostgreSQL reads it back', async (t) => {
    const [theirs, own] = await Promise.all([client(t, peer), client(t, ours)]);

    for (const text of INTERVALS) {
        const [expected] = (await theirs.query('SELECT $1::interval AS i', [text])).rows;
        const [found] = (await own.query('SELECT $1::interval AS i', [text])).rows;

        assert.deepEqual({ ...found.i }, { ...expected.i }, text);
        const [same] = (await own.query('SELECT $1::interval = $2::interval AND $1::interval = $3::interval AS same',
            [text, found.i, found.i.toISOString()])).rows;
        assert.equal(same.same, true, `${text}: ${found.i.toPostgres()}, ${found.i.toISOString()}`);
    }
});

test('each parameter is sent as node-postgres sends it', async (t) => {
    const [theirs, own] = await Promise.all([client(t, peer), client(t, ours)]);
    const at = new Date(2024, 6, 1, 12, 34, 56, 789);
    const old = new Date(0);
    old.setFullYear(-43, 2, 15);
    const texts = ['é"\\', '', 42, -0.5, 1e21, 9007199254740993n, true, false, null, undefined, at, old, { k: ['v', null] }, [1, null, 'a"\\'],
        [[1, 2], [3]], [], [at], [{ k: 1 }], [true], { toPostgres: (prepare) => prepare([1, 2]) }, new String('boxed')];

    for (const value of texts) {
        const [expected, found] = [await theirs.query('SELECT $1::text AS t', [value]), await own.query('SELECT $1::text AS t', [value])];

        assert.deepEqual(found.rows, expected.rows);
    }
    const bytes = [Buffer.from([0, 1, 255]), new Uint8Array([1, 2]), Buffer.alloc(0)];
    for (const value of bytes) {
        const text = 'SELECT $1::bytea AS b, $2::bytea[] AS list';
        const [expected, found] = [await theirs.query(text, [value, [value]]), await own.query(text, [value, [value]])];

        assert.deepEqual(found.rows, expected.rows);
    }
});

both('parsers are set for all, for a client, and for a query', async (t, pg) => {
    const one = await client(t, pg);
    const before = pg.types.getTypeParser(23, 'text');

    t.after(() => pg.types.setTypeParser(23, before));
    pg.types.setTypeParser(23, (text) => `all ${text}`);
    assert.deepEqual((await one.query('SELECT 1 AS n')).rows, [{ n: 'all 1' }]);
    one.setTypeParser(23, 'text', (text) => `client ${text}`);
    assert.deepEqual((await one.query('SELECT 1 AS n')).rows, [{ n: 'client 1' }]);
    const types = { getTypeParser: () => (text) => `query ${text}` };
    assert.deepEqual((await one.query({ text: 'SELECT 1 AS n', types })).rows, [{ n: 'query 1' }]);
    assert.deepEqual((await pool(t, pg).query('SELECT 1 AS n')).rows, [{ n: 'all 1' }]);
    pg.types.setTypeParser(23, before);
    assert.deepEqual((await one.query('SELECT 1 AS n')).rows, [{ n: 'client 1' }]);
});

both('parseInt8 makes numbers of bigint', async (t, pg) => {
    const on = pool(t, pg);

    t.after(() => {
        pg.defaults.parseInt8 = false;
    });
    pg.defaults.parseInt8 = true;
    assert.deepEqual((await on.query("SELECT 5::int8 AS n, '{5}'::int8[] AS list")).rows, [{ n: 5, list: [5] }]);
    pg.defaults.parseInt8 = false;
    assert.deepEqual((await on.query("SELECT 5::int8 AS n, '{5}'::int8[] AS list")).rows, [{ n: '5', list: ['5'] }]);
});

both('rows are arrays where they are asked for, and the last of two columns of a name wins', async (t, pg) => {
    const on = pool(t, pg);
    const { rows } = await on.query({ text: 'SELECT 1 AS n, $1::text AS n, NULL AS nil', values: ['x'], rowMode: 'array' });

    assert.deepEqual(rows, [[1, 'x', null]]);
    assert.deepEqual((await on.query("SELECT 1 AS n, 'x' AS n")).rows, [{ n: 'x' }]);
});

test('the names of types are node-postgres\'s', () => {
    for (const [word, oid] of Object.entries(peer.types.builtins))
        assert.equal(ours.types.builtins[word], oid, word);
});

test('identifiers and literals are escaped as node-postgres does it, and PostgreSQL reads them back', async (t) => {
    const own = await client(t, ours);

    for (const text of ['plain', 'a"b', "it's", 'back\\slash', '\\\'"', 'é', '']) {
        assert.equal(ours.escapeLiteral(text), peer.escapeLiteral(text));
        assert.equal(own.escapeIdentifier(text), peer.escapeIdentifier(text));
        assert.equal((await own.query(`SELECT ${ours.escapeLiteral(text)} AS t`)).rows[0].t, text);
    }
    const odd = `${name()}"x`;
    assert.equal((await own.query(`SELECT 1 AS ${ours.escapeIdentifier(odd)}`)).fields[0].name, odd);
});

both('bytes are the same however the server writes them', async (t, pg) => {
    const on = await client(t, pg);
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

    for (const form of ['hex', 'escape']) {
        await on.query(`SET bytea_output = '${form}'`);
        const [row] = (await on.query('SELECT $1::bytea AS one, ARRAY[$1::bytea, $2, NULL] AS list, $3::bytea AS none',
            [all, Buffer.from('\\x61'), Buffer.alloc(0)])).rows;

        assert.deepEqual(row, { one: all, list: [all, Buffer.from('\\x61'), null], none: Buffer.alloc(0) }, form);
    }
});
