// SPDX-License-Identifier: MIT
/* Compiled, never run: what a program may write, and what it may not. */
import pg, { DatabaseError, types } from 'sugarperf/pg';
import type { ClientBase, CustomTypesConfig, Notification, PoolClient, QueryArrayConfig, QueryArrayResult, QueryConfig, QueryResult, QueryResultRow } from 'sugarperf/pg';
import sugarperf, { Breaker, Client, Clock, Rows, SqlError, Statement, SugarperfError, TimeoutError, sql } from 'sugarperf';
import { Answers, failure } from 'sugarperf/testing';

interface Content {
    id: string;
    title: string;
}

async function use(client: Client, signal: AbortSignal): Promise<string[]> {
    const rows: Rows<Content> = await client.query<Content>('SELECT id, title FROM contents WHERE id = $1', ['content-7'],
        { signal, timeout: '250ms', types: { 20: BigInt } });
    const recs = client.cache.template('rec:{userId}:{limit}', { ttl: '1h', patterns: ['rec:*'] });
    const cached: Content | null = await client.cache.get(recs.key('user-3', 10), async () => rows[0], { ttl: 500,
        tags: (value) => [value.id] });
    const many: Map<string, Content | null> = await client.cache.getMany(['a:b', 'a:c'], async (missing, context) => {
        context.signal.throwIfAborted();
        return new Map(missing.map((key) => [key, rows[0]]));
    }, { tags: (value, key) => [value.id, key], timeout: '1s' });
    await client.cache.getMany<Content>(new Set(['a:b']), () => ({ 'a:b': rows[0] }), { ttl: 500, tags: ['a'] });
    // @ts-expect-error: keys are strings
    await client.cache.getMany<Content>([7], () => ({}));
    // @ts-expect-error: by key
    await client.cache.getMany<Content>(['a:b'], () => [rows[0]].length);
    const cell: number | null = await client.cache.query<number>('a:b', 'SELECT 1', [], { as: 'cell' });
    const list: Rows<Content> = await client.cache.query<Content>('a:c', new Statement('contents', 'SELECT 1'));
    await client.cache.invalidate({ keys: ['a:b'], patterns: [{ pattern: 'rec:{userId}:*', params: ['user-3'] }] });
    const answer: number | string = await client.breaker('db').run(() => 1, (error: Error) => error.message);
    const policy: number | null = await client.policy('db').run(({ signal }) => Number(signal.aborted), { fallback: null });
    const own: Breaker = Breaker.create({ 'breaker.failures': 3 }, { clock: new Clock() });
    for await (const { state } of client.breaker('db').changes({ signal }))
        own.force(state);
    const counted: number = await client.transaction(async (tx) => {
        await tx.savepoint((inner) => inner.batch('INSERT INTO a VALUES ($1)', [[1], [2]]));
        return (await tx.query<{ n: number }>('SELECT 1 AS n'))[0].n;
    }, { isolation: 'serializable', readOnly: false, signal });
    for await (const row of client.stream<Content>('SELECT id, title FROM contents', [], { pageSize: counted, pool: 'a' }))
        recs.key(row.id);
    for await (const chunk of client.copyTo('COPY a TO STDOUT'))
        await client.pool('b').copyFrom('COPY a FROM STDIN', [chunk, 'text']);
    for await (const message of client.listen('orders', { signal }))
        recs.key(message.notice === undefined ? message.payload : String(message.lost));
    for await (const event of client.pool().events())
        client.pool().resize(event.kind === 'waiting' ? event.max + 1 : event.heldMs);
    for await (const { reason } of client.pool().refusals())
        client.pool().setPassword(reason === 'wanted' ? 'secret' : null);
    const health = await client.health({ timeout: 500 });
    const pools: string[] = Object.keys(health.pools).concat(health.redis?.error ?? health.status === 'degraded' ? 'ill' : 'well');
    client.counter('shop_orders', 'Orders taken.', { method: pools[0], retried: false }).add();
    client.histogram('shop_order_seconds', 'Time of an order.').record(1.5);
    client.gauge('shop_open', 'Orders that are open.').set(2);
    for await (const event of client.profiler.events({ signal }))
        pools.push(event.kind === 'n+1' ? event.instead : event.name);
    for (const { ddl } of (await client.profiler.advise({ pool: 'a' })).indexes)
        pools.push(ddl, (await client.profiler.explain('contents')).plan, client.profiler.report(1).findings[0].instead);
    pools.push(...(await client.profiler.server({ timeout: '1s' })).lacks, ...client.profiler.slow().map(({ sqlstate }) => sqlstate));
    await client.close({ timeout: 1000 });
    const rules = client.rules('contents(id) -> rec:content:{id}:full', 'rules');
    await rules.invalidate({ table: 'contents', change: 'update', row: { id: 7 }, was: { title: 'old' } }, { signal });
    await client.transaction(async (tx) => {
        tx.changed(rules, { table: 'contents', change: 'delete', row: { id: 7 } });
        tx.invalidate({ tags: [client.feed(rules).report().state] });
    });
    return [rows.command, cached?.title ?? '', many.get('a:b')?.title ?? '', String(cell), list.fields[0].name, String(answer), String(policy)];
}

function explain(error: unknown): string {
    if (error instanceof SqlError)
        return error.sqlstate;
    if (error instanceof TimeoutError || error instanceof SugarperfError)
        return error.code;
    return sugarperf.version;
}

async function likePg(client: Client): Promise<unknown[]> {
    const pool = new pg.Pool({ sugarperf: client, max: 4, onConnect: async (one) => void (await one.query('SELECT 1')) });
    const lent = await pool.connect();
    const { rows } = await lent.query<{ n: number }>({ text: 'SELECT $1::int AS n', values: [1], rowMode: 'array' });

    lent.query('SELECT 1', (error, result) => console.log(error?.message, result.rowCount));
    lent.on('notification', (message) => console.log(message.payload));
    lent.release(true);
    types.setTypeParser(types.builtins.INT8, BigInt);
    pg.defaults.parseInt8 = true;
    await pool.end();
    return [rows[0].n.toFixed(), pool.sugarperf.closed, new DatabaseError('no').constraint, new pg.Query('SELECT 1').submit(null)];
}

/* What programs for node-postgres write. */
async function fromPg(own: CustomTypesConfig): Promise<unknown[]> {
    await using pool = new pg.Pool({ max: 5, keepAlive: true, keepAliveInitialDelayMillis: 10, allowExitOnIdle: true, client_encoding: 'utf8',
        log: console.log, types: own });
    const config: QueryConfig<[number]> = { text: 'SELECT $1::int AS n', values: [1] };
    const lists: QueryArrayConfig = { text: 'SELECT 1', rowMode: 'array' };
    const list: QueryArrayResult<[number]> = await pool.query<[number]>(lists);
    const row: QueryResultRow = (await pool.query<{ n: number }, [number]>('SELECT $1::int AS n', [1])).rows[0];
    const client = new pg.Client('postgres://localhost/app');
    const heard = (message: Notification) => console.log(message.channel, message.payload);
    const all = async (on: ClientBase) => (await on.query(config)).rows;

    client.on('notice', (notice) => console.log(notice.severity, notice.message?.length, notice.detail));
    client.on('notification', heard).on('error', (error) => console.log(error.message));
    pool.on('connect', (lent) => void lent.query('SELECT 1')).on('error', (error, lent) => lent.release(error));
    client.query('SELECT 1', [1], (error: Error, result: QueryResult) => console.log(error, result.rows));
    client.query({ text: 'SELECT 1', name: 'one' }, (error, result) => console.log(error, result.rows));
    // @ts-expect-error: not of these values
    await pool.query<{ n: number }, [number]>('SELECT $1::int AS n', ['one']);
    return [row.n, list.rows[0][0].toFixed(), await all(client), await all(await pool.connect()), client.host, client.port.toFixed(), client.user,
        client.database, new DatabaseError('no').length, new pg.TypeOverrides(own), new pg.Result(), pool.options.max.toFixed()];
}

class Traced extends pg.Pool {
    override async connect(): Promise<PoolClient>;
    override async connect(done?: unknown): Promise<PoolClient> {
        return super.connect();
    }
}

async function inTests(): Promise<number> {
    const answers = new Answers({ getContent: [{ id: 7 }], other: (id: number) => [{ id }], late: failure('SP_TIMEOUT'), in: 2, out: ['1,2'] });
    answers.notify('jobs', 'one');
    const client: Client = answers.client();

    answers.clock.advance(60_000);
    return (await client.query<{ id: number }>(sql`SELECT ${1} FROM ${sql.id('contents')}`))[0].id + answers.asked.length;
}

// @ts-expect-error: a query is text or a Statement
new Client().query(42);
// @ts-expect-error: no such level
new Client().transaction(async () => 1, { isolation: 'chaos' });
// @ts-expect-error: sets are arrays of arrays
new Client().batch('SELECT $1', [1]);
// @ts-expect-error: only these two
new Client().metrics('xml');

export { use, explain, fromPg, inTests, likePg, Traced };
