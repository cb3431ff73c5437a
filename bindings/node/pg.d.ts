// SPDX-License-Identifier: MIT
/** In place of node-postgres: `import pg from 'sugarperf/pg'` where `import pg from 'pg'` was. */
/// <reference types="node" />
import { EventEmitter } from 'node:events';
import { Client as Sugarperf } from './index.js';

export type Format = 'text' | 'binary';
export type Parser = (text: string) => any;

export interface CustomTypes {
    getTypeParser(oid: number, format?: Format): Parser;
}
/** As node-postgres's types call it. */
export type CustomTypesConfig = CustomTypes;

/** In PEM form. */
export type Pem = string | Uint8Array | Array<string | Uint8Array>;

export interface SslConfig {
    /** true, unless false. */
    rejectUnauthorized?: boolean;
    ca?: Pem;
    cert?: Pem;
    key?: Pem;
    passphrase?: string;
}

export interface ClientConfig {
    user?: string;
    database?: string;
    /** A function is asked before the first connection, and again once what it gave is refused. */
    password?: string | ((config: unknown) => string | Promise<string>);
    host?: string;
    port?: number;
    connectionString?: string;
    application_name?: string;
    fallback_application_name?: string;
    options?: string;
    ssl?: boolean | 'no-verify' | SslConfig;
    /** Files: the authority's certificate, the client's own, and its key. */
    sslrootcert?: string;
    sslcert?: string;
    sslkey?: string;
    types?: CustomTypes;
    /** Milliseconds, as all of these; 0 or false: no limit. */
    statement_timeout?: number | false;
    query_timeout?: number | false;
    lock_timeout?: number | false;
    idle_in_transaction_session_timeout?: number | false;
    connectionTimeoutMillis?: number;
    /** true, unless false. */
    keepAlive?: boolean;
    /** In whole seconds; 0: the library's 15. */
    keepAliveInitialDelayMillis?: number;
    /** Where libpq knows it (17). */
    sslnegotiation?: 'postgres' | 'direct';
    /** Taken, and without effect: text is UTF-8. */
    client_encoding?: string;
}

export interface PoolConfig extends ClientConfig {
    max?: number;
    min?: number;
    idleTimeoutMillis?: number;
    maxUses?: number;
    maxLifetimeSeconds?: number;
    /** Taken, and without effect: idle connections keep no process, and nothing is logged. */
    allowExitOnIdle?: boolean;
    log?: (...messages: any[]) => void;
    /** A client of the library that is there already, and one of its pools; then the pool's settings are its. */
    sugarperf?: Sugarperf;
    pool?: string;
    /** A client has a connection of its own from connect() on, also for what only reads. */
    exclusive?: boolean;
    onConnect?: (client: PoolClient) => void | Promise<void>;
}

export interface QueryConfig<I = any[]> {
    text: string;
    values?: I;
    name?: string;
    types?: CustomTypes;
    rowMode?: 'array';
    /** extended: one statement, with or without values. */
    queryMode?: 'extended';
    query_timeout?: number | false;
}

export interface QueryArrayConfig<I = any[]> extends QueryConfig<I> {
    rowMode: 'array';
}

export interface FieldDef {
    name: string;
    tableID: number;
    columnID: number;
    dataTypeID: number;
    dataTypeSize: number;
    dataTypeModifier: number;
    format: string;
}

export interface QueryResultRow {
    [column: string]: any;
}

export interface QueryResult<R = any> {
    command: string;
    rowCount: number | null;
    oid: number | null;
    rows: R[];
    fields: FieldDef[];
}

export type QueryArrayResult<R extends any[] = any[]> = QueryResult<R>;

export interface Notification {
    processId: number;
    channel: string;
    payload?: string;
}

/** What the server says beside its answers. */
export interface NoticeMessage {
    readonly name: 'notice';
    readonly length: number;
    readonly message: string | undefined;
    readonly severity: string | undefined;
    readonly code: string | undefined;
    readonly detail: string | undefined;
    readonly hint: string | undefined;
    readonly position: string | undefined;
    readonly internalPosition: string | undefined;
    readonly internalQuery: string | undefined;
    readonly where: string | undefined;
    readonly schema: string | undefined;
    readonly table: string | undefined;
    readonly column: string | undefined;
    readonly dataType: string | undefined;
    readonly constraint: string | undefined;
    readonly file: string | undefined;
    readonly line: string | undefined;
    readonly routine: string | undefined;
}

/** What has submit(): a cursor or a stream of a package that was written for node-postgres. */
export interface Submittable {
    submit(connection: any): void | Error | null;
}

type Answer<R> = (error: Error, result: QueryResult<R>) => void;

interface Queryable {
    query<T extends Submittable>(submittable: T): T;
    query<R extends any[] = any[], I = any[]>(query: QueryArrayConfig<I>, values?: I): Promise<QueryArrayResult<R>>;
    query<R = any, I = any[]>(query: string | QueryConfig<I>, values?: I): Promise<QueryResult<R>>;
    query<R = any, I = any[]>(query: string | QueryConfig<I>, answer: Answer<R>): void;
    query<R = any, I = any[]>(query: string | QueryConfig<I>, values: I, answer: Answer<R>): void;
}

export class Query extends EventEmitter implements Submittable {
    constructor(config: string | QueryConfig, values?: any[], answer?: Answer<any>);
    submit(connection: any): Error | null;
}

export class ClientBase extends EventEmitter {
    constructor(config?: string | ClientConfig);
    readonly host: string;
    readonly port: number;
    readonly user?: string;
    readonly database?: string;
    readonly processID: number | null;
    connect(): Promise<this>;
    connect(done: (error?: Error | null) => void): void;
    escapeIdentifier(name: string): string;
    escapeLiteral(value: string): string;
    setTypeParser(oid: number, format: Format | Parser, parse?: Parser): void;
    getTypeParser(oid: number, format?: Format): Parser;
    /** Idle, in a transaction, or in one that failed; null before it is connected. */
    getTransactionStatus(): 'I' | 'T' | 'E' | null;
    ref(): void;
    unref(): void;
}
export interface ClientBase extends Queryable {
    on(event: 'notification', told: (message: Notification) => void): this;
    on(event: 'notice', told: (notice: NoticeMessage) => void): this;
    on(event: 'error', told: (error: Error) => void): this;
    on(event: 'drain' | 'connect' | 'end', told: () => void): this;
    on(event: string | symbol, told: (...args: any[]) => void): this;
}

export class Client extends ClientBase {
    end(): Promise<void>;
    end(done: (error?: Error | null) => void): void;
}

export interface PoolClient extends ClientBase {
    release(error?: Error | boolean): void;
    end(): Promise<void>;
    end(done: (error?: Error | null) => void): void;
}

export class Pool extends EventEmitter {
    constructor(config?: PoolConfig);
    readonly totalCount: number;
    readonly idleCount: number;
    readonly waitingCount: number;
    readonly ending: boolean;
    readonly ended: boolean;
    readonly options: PoolConfig & { max: number; min: number; maxUses: number; idleTimeoutMillis: number | null };
    /** The library's client underneath: profiler, metrics, breakers. */
    readonly sugarperf: Sugarperf;
    connect(): Promise<PoolClient>;
    connect(done: (error: Error | undefined, client: PoolClient | undefined, release: (error?: any) => void) => void): void;
    end(): Promise<void>;
    end(done: () => void): void;
    [Symbol.asyncDispose](): Promise<void>;
}
export interface Pool extends Queryable {
    on(event: 'connect' | 'acquire' | 'remove', told: (client: PoolClient) => void): this;
    on(event: 'release', told: (error: Error | boolean | undefined, client: PoolClient) => void): this;
    on(event: 'error', told: (error: Error, client: PoolClient) => void): this;
    on(event: string | symbol, told: (...args: any[]) => void): this;
}

export class DatabaseError extends Error {
    readonly length: number;
    readonly severity?: string;
    readonly code?: string;
    readonly detail?: string;
    readonly hint?: string;
    readonly position?: string;
    readonly internalPosition?: string;
    readonly internalQuery?: string;
    readonly where?: string;
    readonly schema?: string;
    readonly table?: string;
    readonly column?: string;
    readonly dataType?: string;
    readonly constraint?: string;
    readonly file?: string;
    readonly line?: string;
    readonly routine?: string;
}

export class Result<R = any> implements QueryResult<R> {
    command: string;
    rowCount: number | null;
    oid: number | null;
    rows: R[];
    fields: FieldDef[];
}

export class TypeOverrides implements CustomTypes {
    constructor(types?: CustomTypes);
    setTypeParser(oid: number, format: Format | Parser, parse?: Parser): void;
    getTypeParser(oid: number, format?: Format): Parser;
}

export const types: CustomTypes & {
    builtins: Readonly<Record<string, number>>;
    setTypeParser(oid: number, format: Format | Parser, parse?: Parser): void;
};
export const defaults: Record<string, any> & { parseInt8: boolean };
export function escapeIdentifier(name: string): string;
export function escapeLiteral(value: string): string;

declare const pg: {
    Client: typeof Client;
    Pool: typeof Pool;
    Query: typeof Query;
    DatabaseError: typeof DatabaseError;
    Result: typeof Result;
    TypeOverrides: typeof TypeOverrides;
    types: typeof types;
    defaults: typeof defaults;
    escapeIdentifier: typeof escapeIdentifier;
    escapeLiteral: typeof escapeLiteral;
};
export default pg;
