// SPDX-License-Identifier: MIT
/*
 * Each peer behind the same few calls: get(key, tags, loader), drop(key), dropTag(tag) where it has tags, end(). As its own
 * documentation sets it up: in process in front of Redis, and with its bus between processes where the package has one.
 */
import { createRequire } from 'node:module';

const HOUR = 3600000;

async function bentocache(port) {
    const { BentoCache, bentostore } = await import('bentocache');
    const { memoryDriver } = await import('bentocache/drivers/memory');
    const { redisBusDriver, redisDriver } = await import('bentocache/drivers/redis');
    const connection = { host: '127.0.0.1', port };
    const store = bentostore()
        .useL1Layer(memoryDriver({ maxSize: '10mb' }))
        .useL2Layer(redisDriver({ connection }))
        .useBus(redisBusDriver({ connection }));
    const cache = new BentoCache({ default: 'race', stores: { race: store } });

    return {
        get: (key, tags, loader) => cache.getOrSet({ key, tags, ttl: HOUR, factory: loader }),
        drop: (key) => cache.delete({ key }),
        dropTag: (tag) => cache.deleteByTag({ tags: [tag] }),
        end: () => cache.disconnectAll(),
    };
}

async function cacheable(port) {
    const { Cacheable } = await import('cacheable');
    const { default: KeyvRedis } = await import('@keyv/redis');
    const cache = new Cacheable({ secondary: new KeyvRedis(`redis://127.0.0.1:${port}`), ttl: HOUR });

    return {
        get: (key, tags, loader) => cache.getOrSet(key, loader, { ttl: HOUR }),
        drop: (key) => cache.delete(key),
        end: () => cache.disconnect(),
    };
}

/* SUGARPERF_NODE: where the binding lies. */
async function sugarperf(port) {
    const { Client } = createRequire(import.meta.url)(process.env.SUGARPERF_NODE);
    const client = new Client({ 'redis.url': `redis://127.0.0.1:${port}` });

    return {
        get: (key, tags, loader) => client.cache.get(key, loader, { tags, ttl: HOUR }),
        drop: (key) => client.cache.invalidate({ keys: [key] }),
        dropTag: (tag) => client.cache.invalidate({ tags: [tag] }),
        end: () => client.close(),
    };
}

export const peers = { sugarperf, bentocache, cacheable };
