// SPDX-License-Identifier: MIT
/** PostgreSQL pool, cache-aside, invalidation, circuit breaker and query profiler, in C, for Node. */

import { Advice, Counter, Gauge, Histogram, Labels, Plan, ProfilerEvent, Report, Slow } from './reports.js';
export * from './reports.js';

/** Text as PostgreSQL writes it, made into what the program wants. */
export type Parser = (text: string) => unknown;
/** By type OID; overrides the built-in parsers. */
export type Types = Record<number, Parser>;

export interface CallOptions {
    /** Cancels the operation; it rejects with CancelledError, whose `cause` is the signal's reason. */
    signal?: AbortSignal;
    /** Milliseconds, or text as in the configuration ("250ms"). Else the configured time-outs hold. */
    timeout?: number | string;
}

export interface OnPool {
    /** A configured pool; else the default one. */
    pool?: string;
}

export interface QueryOptions extends CallOptions, OnPool {
    types?: Types;
}

export interface Field {
    name: string;
    /** The type's OID. */
    type: number;
}

export interface Rows<Row = Record<string, any>> extends Array<Row> {
    readonly fields: Field[];
    readonly affected: number;
    /** The command tag, "INSERT 0 1". */
    readonly command: string;
}

export interface StatementOptions {
    read?: boolean;
    write?: boolean;
    idempotent?: boolean;
    unnamed?: boolean;
    /** A text that does not parse is the server's to judge; it runs on sessions only. */
    opaque?: boolean;
}

/** A statement with the name that metrics and the profiler use; null: its fingerprint. */
export class Statement {
    constructor(name: string | null, sql: string, options?: StatementOptions);
    readonly name: string;
}

/** What sql`…` makes: a text, and the values of its places. */
export interface Query {
    readonly text: string;
    readonly values: readonly unknown[];
}
export type Sql = string | Statement | Query;

/**
 * client.query(sql`SELECT title FROM contents WHERE id = ${id}`): what stands in ${} goes as a parameter, but for another sql`…`,
 * which becomes a part of it, and for sql.id("table", "column"), a name.
 */
export const sql: {
    (strings: TemplateStringsArray, ...values: unknown[]): Query;
    id(...parts: string[]): object;
};

export interface TemplateOptions {
    /** As the library reads durations and sizes: "1h", "5KB". */
    ttl?: string | number;
    size?: string | number;
    negative?: string | number;
    stale?: string | number;
    /** Patterns under which keys can be invalidated, "rec:recommendations:{userId}:*". */
    patterns?: string[];
}

export class Template {
    constructor(text: string, options?: TemplateOptions);
    readonly text: string;
    readonly params: string[];
    key(named: Record<string, unknown>): string;
    key(...values: unknown[]): string;
}

export type Key = string | Uint8Array;

export interface CacheOptions<T> extends CallOptions {
    /** Milliseconds; else the template's. */
    ttl?: number;
    tags?: string[] | ((value: T) => string[]);
}

/** What a loader of many keys answers, by key; what it leaves out is not there. */
export type Loaded<T> = ReadonlyMap<string, T | null | undefined> | Record<string, T | null | undefined>;

export interface ManyOptions<T> extends CallOptions {
    /** Milliseconds; else that of each key's template. */
    ttl?: number;
    tags?: string[] | ((value: T, key: string) => string[]);
}

export interface Targets {
    keys?: Key[];
    tags?: string[];
    patterns?: Array<string | { pattern: string; params: unknown[] }>;
}

export class Cache {
    private constructor();
    template(text: string | Template, options?: TemplateOptions): Template;
    /** The in-process level alone; undefined where it has none, null where the value is known to be absent. Each caller's own copy. */
    peek(key: Key): unknown;
    /**
     * The value; where there is none, one caller's loader makes it while all others wait. null: there is nothing.
     * `signal` and `timeout` end the whole call: the loader's own signal is aborted, and the next caller loads. A value
     * above `cache.value_max` (8 MB) is returned and not kept: each call loads it anew.
     */
    get<T>(
        key: Key,
        loader: (context: { signal: AbortSignal }) => T | Promise<T>,
        options?: CacheOptions<T>,
    ): Promise<T | null>;
    /**
     * The values of `keys`, in their order; null: there is nothing. The loader is called once for all keys that nobody has. A key that
     * another caller is loading is waited for, and asked of this loader by itself where he does not. What is stale stands in where
     * the loader fails. `signal` and `timeout` are those of the whole call.
     */
    getMany<T>(
        keys: readonly string[] | ReadonlySet<string>,
        loader: (missing: string[], context: { signal: AbortSignal }) => Loaded<T> | Promise<Loaded<T>>,
        options?: ManyOptions<T>,
    ): Promise<Map<string, T | null>>;
    query<Row = Record<string, any>>(
        key: Key,
        sql: Sql,
        values?: unknown[],
        options?: QueryOptions & { as?: 'rows' },
    ): Promise<Rows<Row>>;
    query<T = unknown>(
        key: Key,
        sql: Sql,
        values: unknown[] | undefined,
        options: QueryOptions & { as: 'cell' },
    ): Promise<T | null>;
    invalidate(targets: Targets, options?: CallOptions): Promise<void>;
    /**
     * Stores a value that nobody loads; what is under the key now, in every process, is invalidated. `ttl` in milliseconds, else
     * the template's. For values whose home is the cache: where it is the database, invalidate(), and let the next reader load.
     */
    set(key: Key, value: unknown, options?: CallOptions & { ttl?: number }): Promise<void>;
    /** What is under the key is fresh for `ttl` milliseconds from now (else for its template's). false: there is nothing. */
    touch(key: Key, options?: CallOptions & { ttl?: number }): Promise<boolean>;
    /** As invalidate({ keys: [key] }). */
    delete(key: Key, options?: CallOptions): Promise<void>;
    readonly hits: number;
    readonly misses: number;
    /** 0 to 1. */
    readonly hitRate: number;
    report(): Record<string, number>;
}

export interface Change {
    table: string;
    change: 'insert' | 'update' | 'delete' | 'truncate';
    /** Of a deleted row: what it had. */
    row?: Record<string, unknown>;
    /** What columns that an update changed had before. */
    was?: Record<string, unknown>;
}

export interface Explained {
    targets: Array<{ kind: string; text: string; [more: string]: unknown }>;
    [more: string]: unknown;
}

/** Which keys, patterns and tags a changed row makes wrong: client.rules('contents(id) -> rec:content:{id}:full'). */
interface Rules {
    /** What this change would touch; nothing is done. */
    explain(changed: Change): Explained;
    /** As Cache.invalidate(), of what the change touches. */
    invalidate(changed: Change, options?: CallOptions): Promise<void>;
}

/** It ends with the client. */
interface Feed {
    report(): { state: string; fault: string | null; [more: string]: unknown };
}

export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'FORCED_OPEN' | 'DISABLED' | 'METRICS_ONLY';

export interface BreakerReport {
    state: BreakerState;
    failureCount: number;
    nextResetTime: string | null;
}

export interface BreakerStats extends BreakerReport {
    /** Milliseconds. */
    nextAttempt: number;
    inFlight: number;
    successful: number;
    failed: number;
    ignored: number;
    rejected: number;
    changes: number;
    windowCalls: number;
    /** 0 to 1; null below breaker.minimum calls. */
    failureRate: number | null;
    slowRate: number | null;
}

export interface BreakerChange {
    change: number;
    state: BreakerState;
    previous: BreakerState;
    /** Changes before it that were not seen. */
    missed: number;
}

/** A monotonic clock that a test moves by hand. */
export class Clock {
    advance(ms: number): void;
}

/** A value, or what makes one of the error. */
export type Fallback<F> = F | ((error: Error) => F | Promise<F>);

export class Breaker {
    private constructor();
    /** Without a client; `settings` are configuration names, { 'breaker.failures': 3 }. */
    static create(settings?: Settings, options?: { name?: string; clock?: Clock }): Breaker;
    /** `fallback` answers failures and refusals; the caller's own errors and cancellations (AbortError) pass. */
    run<T, F = T>(work: () => T | Promise<T>, fallback?: Fallback<F>): Promise<T | F>;
    /** A permit, recorded or released exactly once; 0: the breaker is open. */
    acquire(): number;
    /** `elapsed` in milliseconds. */
    record(permit: number, outcome: 'success' | 'failure' | 'ignored', elapsed?: number): void;
    release(permit: number): void;
    force(state: BreakerState): void;
    reset(): void;
    /** From now on; ends with the signal or the client. Who waits for one does not keep the process. */
    changes(options?: { signal?: AbortSignal }): AsyncGenerator<BreakerChange, void, void>;
    readonly name: string;
    readonly state: BreakerState;
    readonly failures: number;
    readonly inFlight: number;
    /** Milliseconds until a probe is let through. */
    readonly nextAttempt: number;
    report(): BreakerReport;
    stats(): BreakerStats;
}

export interface Attempt {
    /** Aborted at the attempt's deadline, or by the caller's own signal. */
    readonly signal: AbortSignal;
    /** From 1 on. */
    readonly number: number;
    /** Milliseconds; undefined: no deadline. */
    readonly remaining?: number;
}

export interface PolicyOptions<F> {
    fallback?: Fallback<F>;
    signal?: AbortSignal;
    /** Whether an error may be retried; else those that say so, and all that are not the library's. */
    retry?: (error: any) => boolean;
}

export class Policy {
    private constructor();
    /** The last error; a refusal after an attempt has that attempt's error as its `cause`. */
    run<T, F = T>(work: (attempt: Attempt) => T | Promise<T>, options?: PolicyOptions<F>): Promise<T | F>;
    readonly name: string;
    stats(): Record<string, number>;
}

export interface Stats {
    count: number;
    errors: number;
    /** Milliseconds. */
    total: number;
    p50: number;
    p95: number;
    p99: number;
}

/** What costs what, what was slow, what should have been one statement, which index is missing. Fields: docs/profiler.md. */
export class Profiler {
    private constructor();
    run<T>(name: string, work: () => T | Promise<T>): Promise<T>;
    stats(name: string): Stats;
    /** Those with the greatest total time in front, `top` of each (0: all). */
    report(top?: number): Report;
    /** Of a statement that ran, by its name; nothing is run. */
    explain(name: string, options?: CallOptions): Promise<Plan>;
    /** Which indexes the recorded statements of a pool want. Nothing is made or dropped. */
    advise(options?: CallOptions & OnPool): Promise<Advice>;
    /** What the server knows itself: its statements, tables, transactions, locks; `lacks` says what it would not tell. */
    server(options?: CallOptions & OnPool): Promise<Record<string, any> & { lacks: string[] }>;
    /** Slow runs, N+1, changed plans, as they come. Who waits for one does not keep the process. */
    events(options?: { signal?: AbortSignal }): Source<ProfilerEvent>;
    /** Statements under a sampled trace, from the first item on: elements of OTLP's "spans". */
    spans(options?: { signal?: AbortSignal }): Source<{ event: number; missed: number; spans: Record<string, any>[] }>;
    slow(): Slow[];
    readonly slowMissed: number;
    readonly slowLimited: number;
}

/** Of a batch: the rows of each set, and what all of them affected. */
export interface Sets<Row = Record<string, any>> extends Array<Rows<Row>> {
    readonly affected: number;
}

/** What COPY takes: text or bytes, cut anywhere. A Node stream is such an iterable. */
export type CopySource =
    | string
    | Uint8Array
    | Iterable<string | Uint8Array>
    | AsyncIterable<string | Uint8Array>;

/** Opened by the first next(); given back at its end, when it is left early or aborted, and by the collector. */
export interface Source<T> extends AsyncIterableIterator<T> {
    next(): Promise<IteratorResult<T, undefined>>;
    return(value?: any): Promise<IteratorResult<T, undefined>>;
}

export interface SeatQueryOptions extends CallOptions {
    types?: Types;
}

/** What runs on a connection of one's own. */
interface Seated {
    query<Row = Record<string, any>>(
        sql: Sql,
        values?: unknown[],
        options?: SeatQueryOptions,
    ): Promise<Rows<Row>>;
    /** The statement once for each set of parameters, all of them or none. */
    batch<Row = Record<string, any>>(
        sql: Sql,
        sets: unknown[][],
        options?: SeatQueryOptions,
    ): Promise<Sets<Row>>;
    /** COPY … FROM STDIN; resolves to the number of rows. */
    copyFrom(sql: Sql, source: CopySource, options?: CallOptions): Promise<number>;
    /** COPY … TO STDOUT: chunks of whole rows. */
    copyTo(sql: Sql, options?: CallOptions): Source<Buffer>;
}

export interface TransactionOptions extends CallOptions {
    isolation?: 'serializable' | 'repeatable read' | 'read committed' | 'read uncommitted';
    readOnly?: boolean;
    deferrable?: boolean;
}

/** Until its function has answered. `signal` and `timeout` of the transaction hold for all that runs in it. */
export class Transaction {
    private constructor();
    /**
     * `work` in a savepoint: what it did is taken back when it throws, and the transaction may go on. They nest; one ends before
     * the next one of the same depth begins.
     */
    savepoint<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T>;
    /** What the commit invalidates: after it no read answers an old value. A rollback drops it. */
    invalidate(targets: Targets): void;
    /** Likewise what a changed row touches. */
    changed(rules: Rules, changed: Change): void;
}
export interface Transaction extends Seated {}

/** Goes back by release(), at the latest when nobody can reach it any more or the client ends. */
export class Session {
    private constructor();
    /** As Pool.transaction(), on this session, and once. */
    transaction<T>(work: (transaction: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
    release(): void;
}
export interface Session extends Seated {}

export type Message =
    | { channel: string; payload: string; pid: number; notice?: undefined }
    /** It hears from here on; `lost`: messages may have been missed before. */
    | { channel: string; notice: 'listening'; lost: boolean; payload?: undefined };

export type PoolEvent =
    | { event: number; missed: number; kind: 'waiting'; pool: string; waiting: number; connections: number; sessions: number;
        max: number }
    | { event: number; missed: number; kind: 'leak'; pool: string; heldMs: number; tag?: string; place?: string };

export interface Refusal {
    refusal: number;
    reason: 'refused' | 'wanted';
    missed: number;
}

export interface StreamOptions extends SeatQueryOptions {
    /** Rows that are fetched, and kept, at a time: 1,000. */
    pageSize?: number;
}

export interface PoolStats {
    active: number;
    idle: number;
    waiting: number;
    max: number;
}

export interface PoolHealth {
    status: 'healthy' | 'unhealthy';
    database: 'connected' | 'disconnected';
    error?: string;
    poolMetrics: Record<string, number>;
}

/** database, error and poolMetrics are the default pool's, where one is configured. */
export interface Health extends Partial<Omit<PoolHealth, 'status'>> {
    /** unhealthy: a pool has no database, answer 503. degraded: Redis, a breaker or a feed is ill, answer 200. */
    status: 'healthy' | 'degraded' | 'unhealthy';
    pools: Record<string, PoolHealth>;
    /** null: none is configured. */
    redis: { status: 'connected' | 'disconnected'; latencyMs?: number; error?: string } | null;
    breakers: (BreakerReport & { name: string })[];
    feeds: Record<string, any>[];
}

export class Pool {
    private constructor();
    /** The rows, however many there are, in one transaction that only reads. `signal` and `timeout` are the whole stream's. */
    stream<Row = Record<string, any>>(sql: Sql, values?: unknown[], options?: StreamOptions): Source<Row>;
    acquire(options?: CallOptions): Promise<Session>;
    /**
     * BEGIN, `work`, COMMIT; taken back when it throws. Where the server gave way to another transaction (serialization failure,
     * deadlock) all of it is made again, as pool.tx_attempts says: `work` must leave no traces elsewhere.
     */
    transaction<T>(work: (transaction: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
    /** What is sent to a channel by NOTIFY. Ends with the signal or the client; keeps the process until then. */
    listen(channel: string, options?: { signal?: AbortSignal }): Source<Message>;
    /** Callers that wait, sessions that are held for too long. Who waits for one does not keep the process. */
    events(options?: { signal?: AbortSignal }): Source<PoolEvent>;
    /** The server refused the password, or wants one: answer by setPassword(). Does not keep the process. */
    refusals(options?: { signal?: AbortSignal }): Source<Refusal>;
    /** Of the connections that are made from now on; null: what is configured, again. */
    setPassword(password: string | Uint8Array | null): void;
    /** Another pool.max from now on. */
    resize(max: number): void;
    health(options?: CallOptions): Promise<PoolHealth>;
    /** How many connections it should have, from what was seen in the last minutes. */
    advice(options?: CallOptions): Promise<Record<string, any>>;
    stats(): PoolStats;
}
export interface Pool extends Seated {}

export type Settings = Record<string, string | number | boolean | null | undefined>;

/**
 * Close it when its work is done, `await client.close()`: an open client keeps its connections and a thread. It does not keep
 * the process from exiting; one that the collector finds open is closed, with a ResourceWarning.
 */
export class Client {
    /** The library's configuration names, { 'pool.url': …, 'redis.url': …, 'pool.max': 20 }. */
    constructor(settings?: Settings, options?: ClientOptions);
    readonly cache: Cache;
    readonly profiler: Profiler;
    readonly closed: boolean;
    /** A configured pool, or the default one. */
    pool(name?: string): Pool;
    /* What pool() has, on the default one or the one that is named. */
    query<Row = Record<string, any>>(
        sql: Sql,
        values?: unknown[],
        options?: QueryOptions,
    ): Promise<Rows<Row>>;
    batch<Row = Record<string, any>>(sql: Sql, sets: unknown[][], options?: QueryOptions): Promise<Sets<Row>>;
    stream<Row = Record<string, any>>(
        sql: Sql,
        values?: unknown[],
        options?: StreamOptions & OnPool,
    ): Source<Row>;
    acquire(options?: CallOptions & OnPool): Promise<Session>;
    transaction<T>(
        work: (transaction: Transaction) => T | Promise<T>,
        options?: TransactionOptions & OnPool,
    ): Promise<T>;
    copyFrom(sql: Sql, source: CopySource, options?: CallOptions & OnPool): Promise<number>;
    copyTo(sql: Sql, options?: CallOptions & OnPool): Source<Buffer>;
    listen(channel: string, options?: { signal?: AbortSignal } & OnPool): Source<Message>;
    /**
     * `work()` as one unit of work: what the options say holds for all calls of this client inside it, however deep. Where there
     * are replicas, its reads see what it has written. A transaction is such a unit as well.
     */
    scope<T>(options: ScopeOptions, work: () => T | Promise<T>): Promise<T>;
    /** Over the cache, once its templates are declared; `source` stands for the text in messages. */
    rules(text: string, source?: string): Rules;
    /** The change feed, from where that pool connects: it reads what any transaction changes, and invalidates by the rules. */
    feed(rules: Rules, pool?: string): Feed;
    breaker(name: string): Breaker;
    policy(name: string): Policy;
    metrics(format?: 'prometheus' | 'openmetrics'): string;
    counter(name: string, help: string, labels?: Labels): Counter;
    gauge(name: string, help: string, labels?: Labels): Gauge;
    /** Of durations: the name ends in "_seconds". */
    histogram(name: string, help: string, labels?: Labels): Histogram;
    /** How all of it is, each part asked within a second. Of one pool: client.pool(name).health(). */
    health(options?: CallOptions): Promise<Health>;
    poolStats(name?: string): PoolStats;
    /**
     * No new work: what still waits for a connection ends with ClosedError, what was sent runs to its end, or is cancelled after
     * `timeout` (milliseconds). Resolves when all is freed.
     */
    close(options?: { timeout?: number }): Promise<void>;
}

export interface ScopeOptions extends CallOptions {
    /** "GET /orders": the profiler looks its statements over. */
    name?: string;
    /** Who calls; a leaked session tells. */
    tag?: string;
    /** A W3C traceparent. */
    trace?: string;
    reads?: 'primary' | 'replica';
    cache?: 'use' | 'read' | 'refresh' | 'bypass';
}

export interface ClientOptions {
    /** Also read DATABASE_URL, REDIS_URL and SUGARPERF_… from the environment. */
    env?: boolean;
    types?: Types;
}

export class SugarperfError extends Error {
    readonly code: string;
    readonly serverCode?: string;
    readonly retryable: boolean;
}
export class SqlError extends SugarperfError {
    readonly sqlstate: string;
    /**
     * What the server said, by the letters of its protocol: M message, D detail, H hint, t table, c column, n constraint, …
     * May hold values of rows and parameters: for the program, not for a log.
     */
    readonly fields?: Readonly<Record<string, string>>;
}
export class RedisError extends SugarperfError {
    readonly prefix: string;
}
export class AuthError extends SugarperfError {}
export class CancelledError extends SugarperfError {}
export class ClosedError extends SugarperfError {}
export class ConfigError extends SugarperfError {}
export class ForkedError extends SugarperfError {}
export class FullError extends SugarperfError {}
export class InternalError extends SugarperfError {}
export class InvalidError extends SugarperfError {}
export class LeaseLostError extends SugarperfError {}
export class LimitError extends SugarperfError {}
export class LostError extends SugarperfError {}
export class NoMemoryError extends SugarperfError {}
export class NotFoundError extends SugarperfError {}
export class OpenError extends SugarperfError {}
export class ProtocolError extends SugarperfError {}
export class SessionError extends SugarperfError {}
export class TimeoutError extends SugarperfError {}
export class UnavailableError extends SugarperfError {}
export class UnsupportedError extends SugarperfError {}
export const version: string;

declare const sugarperf: {
    Client: typeof Client;
    Statement: typeof Statement;
    Template: typeof Template;
    SugarperfError: typeof SugarperfError;
    version: string;
};
export default sugarperf;
