// SPDX-License-Identifier: MIT
/** What the profiler and a service's own metrics answer. */

export interface Slow {
    name: string;
    text: string;
    /** Milliseconds: in all, and of it until it was sent, until its answer began, until that had come. */
    duration: number;
    wait: number;
    execute: number;
    fetch: number;
    rows: number;
    /** "SP_OK", "SP_TIMEOUT", … */
    status: string;
    sqlstate: string;
    /** Of the scope that it ran in; "" for none, as in what follows. */
    tag: string;
    trace: string;
    scope: string;
    plan: string;
}

/** One of the profiler's events; further members by its kind: docs/profiler.md. */
export interface ProfilerEvent extends Record<string, any> {
    event: number;
    missed: number;
    kind: 'slow' | 'n+1' | 'repeat' | 'plan';
    name: string;
    fingerprint: string;
}

export interface Report {
    statements: (Record<string, any> & { name: string; fingerprint: string; text: string; count: number; errors: number; totalMs: number })[];
    work: (Record<string, any> & { name: string; count: number; errors: number; totalMs: number })[];
    findings: (Record<string, any> & { kind: 'n+1' | 'repeat'; place: string; name: string; instead: string })[];
}

export interface Plan {
    name: string;
    fingerprint: string;
    text: string;
    /** "Limit > Sort > Seq Scan on contents" */
    plan: string;
    cost: number;
    rows: number;
}

export interface Advice extends Record<string, any> {
    pool: string;
    /** Whether the planner was asked; else the indexes are guesses. */
    hypopg: boolean;
    indexes: (Record<string, any> & { ddl: string })[];
    statements: Record<string, any>[];
    idle: (Record<string, any> & { index: string; fault: 'unused' | 'duplicate' | 'redundant' | 'invalid' })[];
}

/** Series of a service's own, on the page of client.metrics(): take one once and keep it. They end with the client. */
export interface Counter {
    /** 1 by default; a counter never falls. */
    add(count?: number): void;
    readonly value: number;
}
export interface Gauge {
    set(value: number): void;
    add(change: number): void;
    readonly value: number;
}
export interface Histogram {
    /** A duration in milliseconds. */
    record(ms: number): void;
    readonly count: number;
    /** Milliseconds; `q` from 0 to 1. */
    quantile(q: number): number;
}
export type Labels = Record<string, string | number | boolean>;
