// SPDX-License-Identifier: MIT
'use strict';
/*
 * The same with packages of npm (--peer), in process alone. They hand out the one object that they hold, but where the name
 * says that each caller has its own.
 */
const { main } = require('./driver.js');
const { fill, step } = require('./l1_values.js');

const PEERS = {
    async 'lru-cache'(items) {
        const { LRUCache } = require('lru-cache');
        const cache = new LRUCache({ max: 2 * items, ttl: 3600000 });

        return { put: (key, value) => cache.set(key, value), hit: (key) => cache.get(key), awaited: false };
    },

    async 'lru-cache, JSON'(items) {
        const { LRUCache } = require('lru-cache');
        const cache = new LRUCache({ max: 2 * items, ttl: 3600000 });

        return { put: (key, value) => cache.set(key, JSON.stringify(value)), hit: (key) => JSON.parse(cache.get(key)), awaited: false };
    },

    async bentocache(items) {
        const { BentoCache, bentostore } = await import('bentocache');
        const { memoryDriver } = await import('bentocache/drivers/memory');
        const store = bentostore().useL1Layer(memoryDriver({ maxItems: 2 * items, serialize: false }));
        const cache = new BentoCache({ default: 'bench', stores: { bench: store } });

        return { put: (key, value) => cache.set({ key, value, ttl: '1h' }), hit: (key) => cache.get({ key }), awaited: true,
            close: () => cache.disconnectAll() };
    },

    async cacheable() {
        const { Cacheable } = await import('cacheable');
        const cache = new Cacheable({ ttl: 3600000 });

        return { put: (key, value) => cache.set(key, value), hit: (key) => cache.get(key), awaited: true,
            close: () => cache.disconnect() };
    },

    async 'cache-manager'() {
        const { createCache } = await import('cache-manager');
        const cache = createCache({ ttl: 3600000 });

        return { put: (key, value) => cache.set(key, value), hit: (key) => cache.get(key), awaited: true,
            close: () => cache.disconnect() };
    },
};

main(async ({ items, peer }) => {
    const { put, hit, awaited, close = () => {} } = await PEERS[peer](items);

    await fill(items, put);
    return { ...step(items, hit, awaited), close };
});
