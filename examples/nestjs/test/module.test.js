// SPDX-License-Identifier: MIT
'use strict';
/* sugarperf/nestjs itself: what its decorators do to a method, what it provides, and how it ends with the application. */
require('reflect-metadata');
const { randomUUID } = require('node:crypto');
const test = require('node:test');
const assert = require('node:assert/strict');
const { Controller, Get, Inject, Injectable, Module, Param, Scope } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { HealthCheck, HealthCheckService, TerminusModule } = require('@nestjs/terminus');
const { Cache, Client, ConfigError, OpenError, Pool, Profiler } = require('sugarperf');
const { Answers } = require('sugarperf/testing');
const { Cached, CircuitBreaker, Invalidates, Profiled, SugarperfHealth, SugarperfModule } = require('sugarperf/nestjs');

const QUIET = { logger: false, abortOnError: false };
/* Nobody answers at this port. */
const NOWHERE = 'postgresql://nobody@127.0.0.1:1/nothing';

/* What TypeScript makes of decorators at a class and at its methods. */
function decorate(Class, own, methods = {}) {
    for (const [name, decorators] of Object.entries(methods)) {
        const made = Reflect.decorate(decorators, Class.prototype, name, Object.getOwnPropertyDescriptor(Class.prototype, name));
        Object.defineProperty(Class.prototype, name, made);
    }
    return Reflect.decorate(own, Class);
}

function moduleOf(given) {
    class App {}

    Module(given)(App);
    return App;
}

/* An application with these providers. */
async function start(t, providers, { sugarperf = SugarperfModule.forRoot({ env: false }), ...more } = {}) {
    const app = await NestFactory.create(moduleOf({ imports: [sugarperf, ...more.imports ?? []], providers, controllers: more.controllers }), QUIET);

    await app.init();
    t.after(() => app.close());
    return app;
}

/* Counts its calls; each test has an entity of its own. */
function serviceOf(methods, Base = Object) {
    class Service extends Base {
        calls = 0;

        async value(id, limit) {
            this.calls++;
            if (id === 'bad')
                throw new Error('bad');
            return { id, limit, calls: this.calls };
        }

        async change(id) {
            if (id === 'bad')
                throw new Error('bad');
            return `${id} changed`;
        }
    }
    return decorate(Service, [Injectable()], methods);
}

const entity = () => `e${randomUUID().replaceAll('-', '')}`;

test('@Cached: the method is asked once for each key', async (t) => {
    const name = entity();
    const Service = serviceOf({ value: [Cached({ key: `nest:${name}:{id}:{limit}`, ttl: '1h', tags: (value) => [`t-${value.id}`] })] });
    const app = await start(t, [Service]);
    const service = app.get(Service);

    assert.deepEqual(await service.value('a', 1), { id: 'a', limit: 1, calls: 1 });
    assert.deepEqual(await service.value('a', 1), { id: 'a', limit: 1, calls: 1 });
    assert.equal((await service.value('a', 2)).calls, 2);
    assert.equal(app.get(Cache).peek(`nest:${name}:a:2`).calls, 2);
    await app.get(Cache).invalidate({ tags: ['t-a'] });
    assert.equal((await service.value('a', 1)).calls, 3);
    await assert.rejects(service.value('bad', 1), /bad/);
    assert.equal(service.calls, 4);
    await Promise.all(Array.from({ length: 20 }, () => service.value('many', 1)));
    assert.equal(service.calls, 5);
});

test('@Cached: a key that lacks a part is refused; an object gives them by name, args() as it likes', async (t) => {
    const name = entity();
    const One = serviceOf({ value: [Cached({ key: `nest:${name}:{id}:{limit}` })] });
    const Two = serviceOf({ value: [Cached({ key: `nest:${name}two:{id}:full`, args: ({ user }) => [user.id] })] });
    const app = await start(t, [One, Two]);

    await assert.rejects(app.get(One).value('a'), { code: 'SP_INVALID', message: /^Service\.value: its key .* has \{limit\}, which the call leaves out/ });
    assert.equal(app.get(One).calls, 0);
    await app.get(One).value({ id: 'a', limit: 3 });
    assert.equal(app.get(Cache).peek(`nest:${name}:a:3`).calls, 1);
    await app.get(Two).value({ user: { id: 7 } });
    assert.equal(app.get(Cache).peek(`nest:${name}two:7:full`).calls, 1);
});

test('@Invalidates: after the method, by its answer and arguments; nothing when it failed', async (t) => {
    const name = entity();
    const key = `nest:${name}:{id}:{limit}`;
    const Service = serviceOf({
        value: [Cached({ key, tags: [name], patterns: [`nest:${name}:{id}:*`] })],
        change: [Invalidates((answer, id) => id === 'none' ? undefined : {
            keys: [{ key, params: [id, 1] }], patterns: answer === 'b changed' ? [{ pattern: `nest:${name}:{id}:*`, params: [id] }] : [],
        })],
    });
    const Other = serviceOf({ change: [Invalidates({ tags: [name] })] });
    const app = await start(t, [Service, Other]);
    const service = app.get(Service);
    const fill = async () => (await Promise.all([service.value('a', 1), service.value('a', 2), service.value('b', 2)])).map((value) => value.calls);

    assert.deepEqual(await fill(), [1, 2, 3]);
    assert.equal(await service.change('a'), 'a changed');
    assert.deepEqual(await fill(), [4, 2, 3]);
    await service.change('b');
    assert.deepEqual(await fill(), [4, 2, 5]);
    await assert.rejects(service.change('bad'), /bad/);
    await service.change('none');
    assert.deepEqual(await fill(), [4, 2, 5]);
    await app.get(Other).change('x');
    assert.deepEqual(await fill(), [6, 7, 8]);
});

test('@Profiled: by the method\'s name or another; a statement that is asked again and again is found', async (t) => {
    class Asking {
        constructor(client) {
            this.client = client;
        }

        async ask() {
            for (let i = 0; i < 10; i++)
                await this.client.query('SELECT relname FROM pg_class WHERE oid = $1', [i]);
        }
    }
    Inject(Client)(Asking, undefined, 0);
    decorate(Asking, [Injectable()], { ask: [Profiled()] });
    const Service = serviceOf({ value: [Profiled('nest-value')] });
    const app = await start(t, [Asking, Service], { sugarperf: SugarperfModule.forRoot() });

    await app.get(Asking).ask();
    /* Its unit of work ends with its last statement, which the library may still have in hand. */
    while (!/^sugarperf_profiler_findings\{kind="n\+1"\} 1$/m.test(app.get(Client).metrics()))
        await new Promise(setImmediate);
    await app.get(Service).value('a');
    await assert.rejects(app.get(Service).value('bad'), /bad/);
    assert.equal(app.get(Profiler).stats('Asking.ask').count, 1);
    assert.deepEqual([app.get(Profiler).stats('nest-value').count, app.get(Profiler).stats('nest-value').errors], [2, 1]);
});

test('@CircuitBreaker: errors pass until it opens; a fallback answers in their place', async (t) => {
    const One = serviceOf({ value: [CircuitBreaker()] });
    const Two = serviceOf({ value: [CircuitBreaker({ name: 'two', fallback: (error, id) => `${error.message} ${id}` })] });
    const Three = serviceOf({ value: [CircuitBreaker({ name: 'three', fallback: 3 })] });
    const app = await start(t, [One, Two, Three],
        { sugarperf: SugarperfModule.forRoot({ env: false, settings: { 'breaker.failures': 2, 'breaker.two.failures': 1 } }) });

    for (let i = 0; i < 2; i++)
        await assert.rejects(app.get(One).value('bad'), /^Error: bad$/);
    await assert.rejects(app.get(One).value('good'), OpenError);
    assert.equal(app.get(Client).breaker('Service.value').state, 'OPEN');
    assert.equal(await app.get(Two).value('bad'), 'bad bad');
    assert.equal(await app.get(Two).value('good'), 'circuit breaker "two" is open good');
    assert.equal(await app.get(Three).value('bad'), 3);
});

test('decorators stand on each other, on routes, on base classes and on request-scoped providers', async (t) => {
    const name = entity();

    class Base {
        base(id) {
            return `base ${id} ${++this.calls}`;
        }
    }
    decorate(Base, [], { base: [Cached({ key: `nest:${name}base:{id}:full` })] });
    const Service = serviceOf({ value: [CircuitBreaker(), Profiled(), Cached({ key: `nest:${name}:{id}:full` })] }, Base);

    class Scoped {
        constructor(service) {
            this.service = service;
        }

        async value(id) {
            return this.service.value(id);
        }
    }
    Inject(Service)(Scoped, undefined, 0);
    decorate(Scoped, [Injectable({ scope: Scope.REQUEST })], { value: [Profiled('nest-scoped')] });

    class Routes {
        constructor(scoped) {
            this.scoped = scoped;
        }

        async get(id) {
            return this.scoped.value(id);
        }
    }
    Inject(Scoped)(Routes, undefined, 0);
    Param('id')(Routes.prototype, 'get', 0);
    decorate(Routes, [Controller('things')], { get: [Cached({ key: `nest:${name}route:{id}:full` }), Get(':id')] });

    const app = await start(t, [Service, Scoped], { controllers: [Routes] });
    const service = app.get(Service);

    assert.deepEqual([await service.base(1), await service.base(1), service.calls], ['base 1 1', 'base 1 1', 1]);
    await app.listen(0, '127.0.0.1');
    for (let i = 0; i < 2; i++)
        assert.deepEqual(await (await fetch(`${await app.getUrl()}/things/7`)).json(), { id: '7', calls: 2 });
    assert.equal(app.get(Profiler).stats('nest-scoped').count, 1);
});

test('what cannot work says so', async (t) => {
    const Service = serviceOf({ value: [Cached({ key: 'nest:x:{id}:full' })] });

    await assert.rejects(new Service().value('a'), /Service\.value: its object was not made by an application that imports SugarperfModule/);
    assert.throws(() => Cached({ key: 'nest:x:{id}:full' })({ constructor: { name: 'Some' } }, 'field', undefined), /Some\.field is no method/);
    await assert.rejects(start(t, [], { sugarperf: SugarperfModule.forRoot({ settings: { 'pool.maximum': 1 } }) }), ConfigError);
    assert.throws(() => SugarperfModule.forRoot({ setings: {} }), /there is no option "setings"/);
    assert.throws(() => SugarperfModule.forRootAsync({ inject: [] }), /useFactory must be a function/);
    assert.throws(() => Cached({ key: 'nest:x:{id' }), { code: 'SP_INVALID' });
    assert.throws(() => Cached({ key: 'nest:x:{id}:full', tll: '1h' }), { code: 'SP_INVALID' });
});

test('two applications have a client each', async (t) => {
    const name = entity();
    const Service = serviceOf({ value: [Cached({ key: `nest:${name}:{id}:full` })] });
    const [one, two] = [await start(t, [Service]), await start(t, [Service])];

    assert.equal((await one.get(Service).value('a')).calls, 1);
    assert.equal((await two.get(Service).value('a')).calls, 1);
    assert.notEqual(one.get(Client), two.get(Client));
    assert.deepEqual([one.get(Service).calls, two.get(Service).calls], [1, 1]);
});

test('an application knows of what its own providers cache, not of what others in the process do', async (t) => {
    const name = entity();
    const key = `nest:${name}:{id}:full`;
    /* Of one application each: what they say of the same keys does not agree. */
    const One = serviceOf({ value: [Cached({ key, ttl: '1h' })] });
    const Two = serviceOf({ value: [Cached({ key, ttl: '2h', patterns: [`nest:${name}:*`] })] });
    const [one, two] = [await start(t, [One]), await start(t, [Two])];

    for (const [app, Service] of [[one, One], [two, Two]]) {
        assert.equal((await app.get(Service).value('a')).calls, 1);
        assert.equal((await app.get(Service).value('a')).calls, 1);
    }
    await assert.rejects(start(t, [One, Two]), { code: 'SP_INVALID' });
});

test('forRootAsync() takes what another module provides', async (t) => {
    const Options = moduleOf({ providers: [{ provide: 'MAX', useValue: 3 }], exports: ['MAX'] });
    const sugarperf = SugarperfModule.forRootAsync({
        imports: [Options], inject: ['MAX'], metrics: 'internal/metrics',
        useFactory: async (max) => ({ env: false, settings: { 'pool.url': process.env.DATABASE_URL, 'pool.max': max } }),
    });
    const app = await start(t, [], { sugarperf });

    assert.equal(app.get(Pool).stats().max, 3);
    assert.deepEqual((await app.get(Pool).query('SELECT 1 AS one'))[0], { one: 1 });
    await app.listen(0, '127.0.0.1');
    assert.equal((await fetch(`${await app.getUrl()}/internal/metrics`)).status, 200);
    assert.equal((await fetch(`${await app.getUrl()}/metrics`)).status, 404);
});

test('metrics as they are asked for; none where they are not wanted', async (t) => {
    const app = await start(t, []);
    const without = await start(t, [], { sugarperf: SugarperfModule.forRoot({ env: false, metrics: false }) });
    const read = async (accept) => {
        const answer = await fetch(`${await app.getUrl()}/metrics`, { headers: { accept } });
        return [answer.headers.get('content-type'), await answer.text()];
    };

    await Promise.all([app.listen(0, '127.0.0.1'), without.listen(0, '127.0.0.1')]);
    const [type, text] = await read('text/plain');
    assert.match(type, /^text\/plain;.* version=0\.0\.4/);
    assert.match(text, /^# TYPE sugarperf_/m);
    const [openType, open] = await read('application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
    assert.match(openType, /^application\/openmetrics-text;.* version=1\.0\.0/);
    assert.match(open, /# EOF\n$/);
    assert.equal((await fetch(`${await without.getUrl()}/metrics`)).status, 404);
});

test('a database that is away: the application starts, its health is down, Terminus answers 503', async (t) => {
    class Health {
        constructor(health, sugarperf) {
            this.health = health;
            this.sugarperf = sugarperf;
        }

        check() {
            return this.health.check([() => this.sugarperf.isHealthy('database')]);
        }
    }
    Inject(HealthCheckService)(Health, undefined, 0);
    Inject(SugarperfHealth)(Health, undefined, 1);
    decorate(Health, [Controller('health')], { check: [HealthCheck(), Get()] });
    const sugarperf = SugarperfModule.forRoot({ env: false, settings: { 'pool.url': NOWHERE, 'pool.acquire_timeout': '200ms' } });
    const app = await start(t, [], { sugarperf, imports: [TerminusModule.forRoot({ logger: false })], controllers: [Health] });

    await app.listen(0, '127.0.0.1');
    const answer = await fetch(`${await app.getUrl()}/health`);
    const body = await answer.json();
    assert.deepEqual([answer.status, body.status, body.error.database.status], [503, 'error', 'down']);
});

test('in a service\'s own tests the client is the kit\'s', async () => {
    const name = entity();
    const answers = new Answers({ 'SELECT 1': [{ one: 1 }] });

    class Service {
        constructor(client) {
            this.client = client;
        }

        async one(id) {
            return (await this.client.query('SELECT 1'))[0].one + id;
        }
    }
    Inject(Client)(Service, undefined, 0);
    decorate(Service, [Injectable()], { one: [Cached({ key: `nest:${name}:{id}:full`, ttl: '1h' })] });
    const app = await NestFactory.createApplicationContext(moduleOf({ providers: [{ provide: Client, useValue: answers.client() }, Service] }), QUIET);

    assert.deepEqual([await app.get(Service).one(1), await app.get(Service).one(1), answers.asked.length], [2, 2, 1]);
    answers.clock.advance(7_200_000);
    assert.deepEqual([await app.get(Service).one(1), answers.asked.length], [2, 2]);
    await app.get(Client).close();
    await app.close();
});

test('without a database Pool is null', async (t) => {
    const app = await start(t, []);

    assert.equal(app.get(Pool), null);
});

test('the end: what is asked in beforeApplicationShutdown goes through, then the client closes', async () => {
    const seen = [];

    class Last {
        constructor(client) {
            this.client = client;
        }

        async beforeApplicationShutdown() {
            seen.push((await this.client.query('SELECT 1 AS one'))[0].one);
        }
    }
    Inject(Client)(Last, undefined, 0);
    const made = moduleOf({ imports: [SugarperfModule.forRoot()], providers: [decorate(Last, [Injectable()])] });
    const app = await NestFactory.createApplicationContext(made, QUIET);
    const client = app.get(Client);

    await app.close();
    assert.deepEqual([seen, client.closed], [[1], true]);
});
