// SPDX-License-Identifier: MIT
/* Compiled, never run: what a program may write, and what it may not. */
import sugarperf, { Breaker, Client, Clock, Rows, SqlError, Statement, SugarperfError, TimeoutError } from 'sugarperf';

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
    const cell: number | null = await client.cache.query<number>('a:b', 'SELECT 1', [], { as: 'cell' });
    const list: Rows<Content> = await client.cache.query<Content>('a:c', new Statement('contents', 'SELECT 1'));
    await client.cache.invalidate({ keys: ['a:b'], patterns: [{ pattern: 'rec:{userId}:*', params: ['user-3'] }] });
    const answer: number | string = await client.breaker('db').run(() => 1, (error: Error) => error.message);
    const policy: number | null = await client.policy('db').run(({ signal }) => Number(signal.aborted), { fallback: null });
    const own: Breaker = Breaker.create({ 'breaker.failures': 3 }, { clock: new Clock() });
    for await (const { state } of client.breaker('db').changes({ signal }))
        own.force(state);
    await client.transaction(async (session) => session.query('SELECT 1'));
    await client.close({ timeout: 1000 });
    return [rows.command, cached?.title ?? '', String(cell), list.fields[0].name, String(answer), String(policy)];
}

function explain(error: unknown): string {
    if (error instanceof SqlError)
        return error.sqlstate;
    if (error instanceof TimeoutError || error instanceof SugarperfError)
        return error.code;
    return sugarperf.version;
}

// @ts-expect-error: a query is text or a Statement
new Client().query(42);
// @ts-expect-error: only these two
new Client().metrics('xml');

export { use, explain };
