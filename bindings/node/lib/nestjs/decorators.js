// SPDX-License-Identifier: MIT
'use strict';
/*
 * What a method is to have around it. The client is the one of the application that made the object: Nest hands it to each
 * instance, as a property that the decorators ask for.
 */
const { Inject } = require('@nestjs/common');
const { Client } = require('../client.js');
const { makeError } = require('../errors.js');
const { Template } = require('../key.js');

const CLIENT = Symbol('sugarperf');
const GIVEN = Symbol('sugarperf client');

/* A decorator: `around(client, work, args, name)` in place of the method, which it calls by work(). */
function method(around) {
    return (target, property, descriptor) => {
        const own = descriptor?.value;
        const name = `${target.constructor.name}.${String(property)}`;

        if (typeof own !== 'function')
            throw new TypeError(`${name} is no method`);
        descriptor.value = copyMetadata(own, async function (...args) {
            return around(clientOf(this, name), () => own.apply(this, args), args, name);
        });
        if (!(CLIENT in target))
            receive(target);
        return descriptor;
    };
}

/* Its objects get the client of their application, to which what they cache is declared: what others have is none of its concern. */
function receive(target) {
    Inject(Client)(target, CLIENT);
    Object.defineProperty(target, CLIENT, {
        configurable: true,
        get() {
            return this[GIVEN];
        },
        set(client) {
            Object.defineProperty(this, GIVEN, { value: client, configurable: true, writable: true });
            for (const template of cachedBy(this))
                declare(client, template);
        },
    });
}

function clientOf(object, name) {
    const client = object?.[CLIENT];

    if (!client)
        throw new TypeError(`${name}: its object was not made by an application that imports SugarperfModule`);
    return client;
}

/* What `make(client)` made, once for each client. */
function perClient(make) {
    const made = new WeakMap();

    return (client, ...rest) => {
        if (!made.has(client))
            made.set(client, make(client, ...rest));
        return made.get(client);
    };
}

/* What other decorators left at the method (routes, guards) stays at what stands in its place. */
function copyMetadata(from, to) {
    for (const key of Reflect.getMetadataKeys?.(from) ?? [])
        Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
    Object.defineProperty(to, 'name', { value: from.name, configurable: true });
    return to;
}

/* What the methods of a class cache, by its prototype. */
const cached = new WeakMap();
const declared = new WeakMap();

function cachedBy(object) {
    const found = [];

    for (let at = Object.getPrototypeOf(object); at !== null; at = Object.getPrototypeOf(at))
        found.push(...cached.get(at) ?? []);
    return found;
}

/* Once for a client. With its objects, which is before anything is asked: a declaration empties what is in process. */
function declare(client, template) {
    if (!declared.has(client))
        declared.set(client, new Set());
    if (declared.get(client).has(template))
        return;
    client.cache.template(template);
    declared.get(client).add(template);
}

/* What stands for the names of the key: the arguments in their order, or fields of the only one. A default cannot be seen from here. */
function namedIn(template, args, name) {
    const { length } = template.params;

    if (args.length < length && (args.length !== 1 || typeof args[0] !== 'object'))
        throw makeError('SP_INVALID', `${name}: its key ${template.text} has {${template.params[args.length]}}, which the call leaves out; ` +
            'where it has a default, say it in @Cached: args: (…) => […]');
    return args.slice(0, length);
}

/*
 * The method's answer from the cache. `key` is a template whose {names} are the method's arguments in their order, or those that
 * `args(...)` makes of them. Options: ttl, stale, negative and patterns as a template's; tags (an array, or a function of the
 * value). What comes from the cache has been JSON: a Date is text.
 */
function Cached({ key, args: pick, tags, ...options }) {
    const template = new Template(key, options);
    const decorate = method((client, work, args, name) => {
        const values = pick === undefined ? namedIn(template, args, name) : pick(...args);

        return client.cache.get(template.key(...values), work, { tags });
    });

    return (target, property, descriptor) => {
        const made = decorate(target, property, descriptor);

        cached.set(target, [...cached.get(target) ?? [], template]);
        return made;
    };
}

const templates = new Map();

/* A key as it is, or { key, params }: a template and what stands for its names. */
function keyOf(given) {
    if (given?.key === undefined)
        return given;
    if (!templates.has(given.key))
        templates.set(given.key, new Template(given.key));
    return templates.get(given.key).key(...given.params ?? []);
}

/*
 * Once the method has answered, what it made old is dropped, before its caller hears. `targets`: { keys, tags, patterns } as
 * cache.invalidate() takes them, or a function of the method's answer and its arguments; a key may be { key, params } as well.
 */
function Invalidates(targets) {
    return method(async (client, work, args) => {
        const value = await work();
        const chosen = typeof targets === 'function' ? await targets(value, ...args) : targets;

        if (chosen)
            await client.cache.invalidate({ ...chosen, keys: (chosen.keys ?? []).map(keyOf) });
        return value;
    });
}

/* A unit of work by this name, else Class.method: its time, and whether it asks the same again and again. */
function Profiled(named) {
    return method((client, work, args, name) =>
        client.scope({ name: named ?? name }, () => client.profiler.run(named ?? name, work)));
}

/* Behind a breaker of this name, else Class.method. `fallback`: a value, or a function of the error and the arguments. */
function CircuitBreaker({ name: named, fallback } = {}) {
    const breakerOf = perClient((client, name) => client.breaker(named ?? name));

    return method((client, work, args, name) => {
        const answer = typeof fallback === 'function' ? (error) => fallback(error, ...args) : fallback;

        return breakerOf(client, name).run(work, answer);
    });
}

module.exports = { Cached, CircuitBreaker, Invalidates, Profiled };
