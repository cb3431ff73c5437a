// SPDX-License-Identifier: MIT
/*
 * The races of tests/integration/test_race.c on what npm offers: workers, each with a cache of its own, read, load, write and
 * invalidate the same rows over one Redis, while subscriptions are killed. A row's version only grows, so that what is
 * stale shows by itself. Prints what each peer did; judges nobody.
 *
 *     tests/support/servers.py exec --redis -- node race.mjs [seconds [peer…]]        (npm ci first)
 *
 * SUGARPERF_NODE is the folder of this library's binding, and SUGARPERF_BUILD its build; without them it is left out.
 */
import { Redis } from 'ioredis';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { peers } from './peers.mjs';

const WORKERS = 4, ROWS = 24, ACKS = 256, BOUND_MS = 1000, TRIES = 50, CALLERS = 200;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const now = () => Number(process.hrtime.bigint()) / 1e6;
const random = (n) => Math.floor(Math.random() * n);

/* Rows, their acknowledged invalidations and what is counted, in memory that all workers share. */
class World {
    constructor(shared = {
        rows: new SharedArrayBuffer(4 * ROWS), next: new SharedArrayBuffer(4 * ROWS),
        at: new SharedArrayBuffer(8 * ROWS * ACKS), version: new SharedArrayBuffer(4 * ROWS * ACKS),
        counts: new SharedArrayBuffer(4 * 8),
    }) {
        this.shared = shared;
        this.rows = new Int32Array(shared.rows);
        this.next = new Int32Array(shared.next);
        this.at = new Float64Array(shared.at);
        this.version = new Int32Array(shared.version);
        this.counts = new Int32Array(shared.counts);
    }

    acknowledge(row, version) {
        const place = row * ACKS + Atomics.add(this.next, row, 1) % ACKS;

        this.at[place] = now();
        Atomics.store(this.version, place, version);
    }

    /* The highest version whose invalidation was acknowledged by then. */
    ackedBy(row, time) {
        let highest = 0;

        for (let place = row * ACKS; place < (row + 1) * ACKS; place++) {
            const version = Atomics.load(this.version, place);

            if (version > highest && this.at[place] <= time)
                highest = version;
        }
        return highest;
    }
}

const COUNTS = { reads: 0, loads: 1, writes: 2, own: 3, bound: 4, end: 5, failed: 6, cold: 7 };

/* Invalidated while its loader runs: is what it loaded, which is old, found afterwards? */
async function dropDuringLoad(cache, byTag) {
    let stale = 0;

    for (let i = 0; i < TRIES; i++) {
        const key = `during:${byTag}:${i}:${process.pid}`, tag = `tag-${key}`;
        let version = 1, begun;
        const started = new Promise((done) => { begun = done; });
        const load = cache.get(key, [tag], async () => {
            const seen = version;

            begun();
            await sleep(20);
            return seen;
        });

        await started;
        version = 2;
        await (byTag ? cache.dropTag(tag) : cache.drop(key));
        await load;
        if (await cache.get(key, [tag], async () => version) < 2)
            stale++;
    }
    return stale;
}

class Process {
    constructor({ peer, port, until, shared, number }) {
        Object.assign(this, { peer, port, until, number, world: new World(shared), own: new Int32Array(ROWS) });
    }

    count(what, n = 1) {
        Atomics.add(this.world.counts, COUNTS[what], n);
    }

    read(row) {
        return this.cache.get(`race:${row}`, [`group-${row % 3}`], async () => {
            const version = Atomics.load(this.world.rows, row);

            this.count('loads');
            await sleep(random(40));
            return version;
        });
    }

    async check(row) {
        const own = this.own[row], need = this.world.ackedBy(row, now() - BOUND_MS);

        try {
            const version = await this.read(row);

            this.count('reads');
            if (version < need)
                this.count('bound');
            if (version < own)
                this.count('own');
        } catch {
            this.count('failed');
        }
    }

    async reader() {
        while (now() < this.until) {
            await this.check(random(ROWS));
            await sleep(random(4));
        }
    }

    async writer() {
        while (now() < this.until - 500) {
            const row = random(ROWS), version = Atomics.add(this.world.rows, row, 1) + 1;

            await sleep(random(20));
            try {
                await this.cache.drop(`race:${row}`);
                this.world.acknowledge(row, version);
                this.own[row] = Math.max(this.own[row], version);
                this.count('writes');
            } catch {
                this.count('failed');
            }
            await this.check(row);
            await sleep(random(60));
        }
    }

    async end() {
        await sleep(BOUND_MS + 200);
        for (let row = 0; row < ROWS; row++) {
            if (await this.read(row) < this.world.rows[row])
                this.count('end');
        }
    }

    async coldKey() {
        const calls = Array.from({ length: CALLERS }, () => this.cache.get('cold', [], async () => {
            this.count('cold');
            await sleep(100);
            return 1;
        }));

        await Promise.all(calls);
    }

    async run() {
        this.cache = await peers[this.peer](this.port);
        await sleep(300);
        await this.coldKey();
        const during = this.number ? {} : {
            key: await dropDuringLoad(this.cache, false),
            tag: this.cache.dropTag ? await dropDuringLoad(this.cache, true) : null,
        };
        await Promise.all([this.reader(), this.reader(), this.reader(), this.writer(), this.writer()]);
        await this.end();
        await this.cache.end();
        return during;
    }
}

/* Subscriptions die until the writers are done. */
async function harm(redis, until) {
    let kills = 0;

    while (now() < until - 500) {
        await sleep(random(500));
        await redis.client('KILL', 'TYPE', 'pubsub');
        kills++;
    }
    return kills;
}

function start(data) {
    return new Promise((done, fail) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: data });

        worker.on('message', done);
        worker.on('error', fail);
    });
}

async function race(peer, port, seconds) {
    const redis = new Redis({ host: '127.0.0.1', port });
    const world = new World(), until = now() + 6000 + seconds * 1000;

    await redis.flushall();
    const workers = Array.from({ length: WORKERS }, (_, number) =>
        start({ peer, port, until, number, shared: world.shared }));
    const kills = await harm(redis, until);
    const [first, ...others] = await Promise.all(workers);
    const failed = [first, ...others].find((found) => found.error);

    if (failed)
        throw new Error(failed.error);
    const count = (what) => world.counts[COUNTS[what]];

    redis.disconnect();
    return {
        peer,
        'stale after a delete during its load': `${first.key} of ${TRIES}`,
        'stale after a tag\'s delete during its load': first.tag === null ? 'no tags' : `${first.tag} of ${TRIES}`,
        [`loads of one cold key, ${WORKERS} × ${CALLERS} callers`]: count('cold'),
        reads: count('reads'),
        writes: count('writes'),
        'subscriptions killed': kills,
        'own writes not read': count('own'),
        [`older than ${BOUND_MS} ms`]: count('bound'),
        'stale when all is quiet': `${count('end')} of ${WORKERS * ROWS}`,
        'failed calls': count('failed'),
    };
}

async function main([seconds = '5', ...names]) {
    const port = Number(new URL(process.env.REDIS_URL).port);
    const known = Object.keys(peers).filter((name) => name !== 'sugarperf' || process.env.SUGARPERF_NODE);

    for (const name of names.length ? names : known) {
        const result = await race(name, port, Number(seconds));

        for (const [what, value] of Object.entries(result))
            console.log(`${what.padEnd(48)} ${value}`);
        console.log();
    }
    process.exit(0);
}

if (isMainThread) {
    await main(process.argv.slice(2));
} else {
    process.on('uncaughtException', () => {});
    /* What a killed connection throws on the side is the peer's own affair; what ends the run is told. */
    await new Process(workerData).run().then((found) => parentPort.postMessage(found),
                                             (error) => parentPort.postMessage({ error: error.stack }));
}
