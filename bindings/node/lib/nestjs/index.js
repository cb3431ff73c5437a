// SPDX-License-Identifier: MIT
'use strict';
/* The library in a NestJS application: one client for all of it, decorators, health, metrics, and an end in order. */
const { Inject, Injectable, Module } = require('@nestjs/common');
const { Client } = require('../client.js');
const { Pool } = require('../pool.js');
const { Profiler } = require('../profiler.js');
const { Cache } = require('../cache.js');
const { Cached, CircuitBreaker, Invalidates, Profiled } = require('./decorators.js');
const given = require('../given.js');
const { SugarperfHealth } = require('./health.js');
const { metricsAt } = require('./metrics.js');

const OPTIONS = Symbol('sugarperf options');

/* Closes the client when the application has ended, so that what others still do at their own end goes through. */
class SugarperfEnd {
    #client;
    #options;

    constructor(client, options) {
        this.#client = client;
        this.#options = options;
    }

    async onApplicationShutdown() {
        await this.#client.close({ timeout: this.#options.closeTimeout ?? 5000 });
    }
}

Injectable()(SugarperfEnd);
Inject(Client)(SugarperfEnd, undefined, 0);
Inject(OPTIONS)(SugarperfEnd, undefined, 1);

const ROOT = ['settings', 'env', 'types', 'closeTimeout', 'metrics'];
const ASYNC = ['imports', 'inject', 'useFactory', 'metrics'];

function clientOf(options) {
    const { settings, env = true, types } = given.options(options, ROOT);
    return new Client(settings, { env, types });
}

/* null: there is no database. */
function poolOf(client) {
    try {
        return client.pool();
    } catch (error) {
        if (error.code === 'SP_NOT_FOUND')
            return null;
        throw error;
    }
}

const service = (provide, of) => ({ provide, useFactory: of, inject: [Client] });

/* The tokens are the library's own classes: a constructor that asks for a Client, a Cache, … gets the application's. */
function moduleOf(options, { metrics = 'metrics', imports = [] }) {
    const services = [
        { provide: Client, useFactory: clientOf, inject: [OPTIONS] },
        service(Cache, (client) => client.cache), service(Profiler, (client) => client.profiler), service(Pool, poolOf),
        SugarperfHealth,
    ];

    return {
        module: SugarperfModule, global: true, imports, controllers: metrics === false ? [] : [metricsAt(metrics)],
        providers: [{ provide: OPTIONS, ...options }, ...services, SugarperfEnd], exports: [Client, Cache, Profiler, Pool, SugarperfHealth],
    };
}

class SugarperfModule {
    /*
     * Options: settings (the library's names), env (true: also from the environment), types, closeTimeout (milliseconds); metrics (a
     * path, or false).
     */
    static forRoot(options = {}) {
        return moduleOf({ useValue: options }, given.options(options, ROOT));
    }

    /* { imports, inject, useFactory, metrics }: `useFactory` answers the options of forRoot(). */
    static forRootAsync(options) {
        const { inject = [], useFactory, ...rest } = given.options(options, ASYNC);

        given.function('useFactory', useFactory);
        return moduleOf({ useFactory, inject }, rest);
    }
}

Module({})(SugarperfModule);

module.exports = { Cached, CircuitBreaker, Invalidates, Profiled, SugarperfHealth, SugarperfModule };
