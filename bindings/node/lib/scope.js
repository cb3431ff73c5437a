// SPDX-License-Identifier: MIT
'use strict';
/*
 * What holds for all calls that a function makes, however deep, until it has answered: one context of the library's above them,
 * carried by AsyncLocalStorage. Without scopes nothing is carried.
 */
const { AsyncLocalStorage } = require('node:async_hooks');
const { Unit } = require('./unit.js');

const OPTIONS = ['name', 'signal', 'timeout', 'tag', 'trace', 'reads', 'cache'];

let storage = null;

/* The innermost unit of this client's around the call; undefined: none. */
function unitOf(watch) {
    for (let scope = storage?.getStore(); scope !== undefined; scope = scope.outer) {
        if (scope.watch === watch)
            return scope.unit;
    }
    return undefined;
}

/* Whether a scope around the call says what it may take from the cache: then the library is asked, also for what is in process. */
function asksCache(watch) {
    return watch.choosy && unitOf(watch)?.choosy === true;
}

/* `work()` with `unit` above its calls. */
function within(watch, unit, work) {
    storage ??= new AsyncLocalStorage();
    watch.scoped = true;
    return storage.run({ watch, unit, outer: storage.getStore() }, work);
}

async function run(watch, { name, ...options }, work) {
    const unit = new Unit(watch.above, { unit: 'own', scope: name, ...options });

    watch.choosy ||= unit.choosy;
    try {
        return await within(watch, unit, work);
    } finally {
        unit.end();
    }
}

module.exports = { OPTIONS, asksCache, run, unitOf, within };
