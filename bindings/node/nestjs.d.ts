// SPDX-License-Identifier: MIT
/** The library in a NestJS application. Peers: @nestjs/common, and @nestjs/terminus for the health indicator. */
import type { DynamicModule, FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { CallOptions, Key, OnPool, Settings, Targets, TemplateOptions, Types } from './index.js';

export interface SugarperfOptions {
    /** The library's configuration names. */
    settings?: Settings;
    /** Also DATABASE_URL, REDIS_URL and SUGARPERF_… of the environment, unless false. */
    env?: boolean;
    types?: Types;
    /** Milliseconds that the end waits for what still runs: 5,000. */
    closeTimeout?: number;
}

export interface ModuleOptions extends SugarperfOptions {
    /** Where the metrics are read: "metrics"; false: nowhere. */
    metrics?: string | false;
}

export interface AsyncOptions extends Pick<ModuleMetadata, 'imports'> {
    inject?: FactoryProvider['inject'];
    useFactory: (...args: any[]) => SugarperfOptions | Promise<SugarperfOptions>;
    metrics?: string | false;
}

/** Provides Client, Cache, Profiler and Pool of 'sugarperf', and SugarperfHealth, to the whole application. */
export class SugarperfModule {
    static forRoot(options?: ModuleOptions): DynamicModule;
    static forRootAsync(options: AsyncOptions): DynamicModule;
}

/** For Terminus: health.check([() => sugarperf.isHealthy('database')]). */
export class SugarperfHealth {
    isHealthy(key: string, options?: CallOptions & OnPool): Promise<Record<string, { status: 'up' | 'down' } & Record<string, any>>>;
}

export interface CachedOptions extends Omit<TemplateOptions, 'size'> {
    /** "rec:recommendations:{userId}:{limit}": the names are the method's arguments, in their order. */
    key: string;
    /** Other values for the names, made of the arguments. */
    args?: (...args: any[]) => unknown[];
    tags?: string[] | ((value: any) => string[]);
}

/** Around a method that answers a promise. */
export type AsyncMethodDecorator = <Method extends (...args: any[]) => Promise<any>>(
    target: object, property: string | symbol, descriptor: TypedPropertyDescriptor<Method>,
) => void;

/** The method's answer from the cache. It has been JSON: a Date is text. */
export function Cached(options: CachedOptions): AsyncMethodDecorator;
export interface InvalidatesTargets extends Omit<Targets, 'keys'> {
    /** Keys, or templates with what stands for their names. */
    keys?: Array<Key | { key: string; params: unknown[] }>;
}
type Chosen = InvalidatesTargets | void;

/** Once the method has answered, and before its caller hears, these are dropped. What could not be dropped fails the call. */
export function Invalidates(
    targets: InvalidatesTargets | ((value: any, ...args: any[]) => Chosen | Promise<Chosen>),
): AsyncMethodDecorator;
/** A unit of work by this name, else "Class.method". */
export function Profiled(name?: string): AsyncMethodDecorator;
/** Behind a circuit breaker by this name, else "Class.method"; breaker.<name>.… are its settings. */
export function CircuitBreaker(options?: {
    name?: string; fallback?: unknown | ((error: Error, ...args: any[]) => unknown);
}): AsyncMethodDecorator;
