// SPDX-License-Identifier: MIT
/** For a service's own unit tests: a client whose statements are answered by the test, without any server. */
import { Breaker, Client, Clock, Settings, Sql, SugarperfError } from './index.js';

/** Rows; of copyFrom(), whose only value is the text, also their number; of copyTo(): pieces of the text. */
export type Found = Array<object | string> | number;
export type Answer = Found | Error | ((...values: any[]) => Found | Promise<Found>);

/** Cache, invalidation, decorators, policies and the profiler are the library's own, in this process. */
export class Answers {
    /** By a statement's name, or its text where it is plain text. `settings`: of the clients and breakers. */
    constructor(answers: Record<string, Answer>, settings?: Settings);
    /** May be changed as the test goes on. */
    answers: Record<string, Answer>;
    /** What was asked, in order: name or text, and values. */
    asked: Array<[string, unknown[]]>;
    /** Breakers, and what the cache keeps, go by it. */
    readonly clock: Clock;
    client(): Client;
    /** As NOTIFY: to all that listen. */
    notify(channel: string, payload?: string): void;
    breaker(name: string): Breaker;
    answer(sql: Sql, values?: unknown[]): Promise<object[]>;
}

/** An error of the library's, for an answer: failure('SP_TIMEOUT'), failure('SP_SQL', 'duplicate key', '23505'). */
export function failure(code: string, message?: string, serverCode?: string): SugarperfError;
