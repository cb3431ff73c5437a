// SPDX-License-Identifier: MIT
'use strict';
/* What life.test.js runs in processes of their own: node life.js <scene>. */
const v8 = require('node:v8');
const vm = require('node:vm');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { Client } = require('..');
const { fresh, settings } = require('./support.js');

const scene = isMainThread ? process.argv[2] : workerData;
const client = new Client(settings());

function worker() {
    return new Worker(__filename, { workerData: scene });
}

const scenes = {
    /* An open client does not hold the process. */
    async idle() {
        console.log((await client.query('SELECT 1 AS one'))[0].one);
    },
    /* Nor does who waits for a change. */
    async watch() {
        client.breaker('watched').changes().next().then(() => console.log('changed'));
        console.log('waiting');
    },
    /* process.exit() while queries and a loader are under way. */
    async exit() {
        client.query('SELECT pg_sleep(30)').catch(() => {});
        client.cache.get(`life:${process.pid}`, () => new Promise(() => {})).catch(() => {});
        await client.transaction(async (session) => {
            await session.query('SELECT 1');
            process.exit(7);
        });
    },
    async workers() {
        if (!isMainThread) {
            const rows = await Promise.all(Array.from({ length: 32 }, (_, i) => client.query('SELECT $1::int4 AS n', [i])));
            parentPort.postMessage(rows.reduce((sum, [row]) => sum + row.n, 0));
            return;
        }
        const codes = await Promise.all([1, 2, 3, 4].map(() => new Promise((resolve) => {
            let sum;
            worker().on('message', (value) => { sum = value; }).on('exit', (code) => resolve([code, sum]));
        })));
        console.log(JSON.stringify(codes));
    },
    async terminate() {
        if (!isMainThread) {
            client.transaction((session) => session.query('SELECT pg_sleep(30)')).catch(() => {});
            client.cache.get(`life:${process.pid}:t`, () => new Promise(() => {})).catch(() => {});
            await client.query('SELECT 1');
            parentPort.postMessage('ready');
            setInterval(() => {}, 1000);
            return;
        }
        const thread = worker();
        await new Promise((resolve) => thread.once('message', resolve));
        await thread.terminate();
        console.log((await client.query('SELECT 2 AS two'))[0].two);
    },
    /* Nobody closed it, nobody can reach it: the collector closes it once what was under way is done. */
    async collect() {
        v8.setFlagsFromString('--expose-gc');
        const gc = vm.runInNewContext('gc');
        const name = fresh('lost');
        const warnings = [];

        process.on('warning', (warning) => warnings.push(`${warning.name}: ${warning.message.split(':', 1)[0]}`));
        let finished = (() => {
            const other = new Client(settings({ 'pool.application_name': name }));
            return other.query('SELECT pg_sleep(0.1)');
        })();
        gc();
        const rows = (await finished).length;
        finished = null;
        for (;;) {
            gc();
            await new Promise((resolve) => setImmediate(resolve));
            const left = await client.query('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [name]);
            if (warnings.length > 0 && left.length === 0)
                break;
        }
        console.log(rows, warnings.join());
    },
    /* A breaker keeps its client. */
    async keep() {
        v8.setFlagsFromString('--expose-gc');
        const gc = vm.runInNewContext('gc');
        const breaker = (() => new Client(settings()).breaker('kept'))();

        for (let i = 0; i < 20; i++) {
            gc();
            await new Promise((resolve) => setImmediate(resolve));
        }
        const changes = breaker.changes();
        const change = changes.next();
        const hold = setInterval(() => {}, 1000);
        breaker.force('OPEN');
        console.log((await change).value.state);
        clearInterval(hold);
    },
    /* Closing while much is under way settles every promise. */
    async close() {
        const answers = Array.from({ length: 100 }, () => client.query('SELECT pg_sleep(0.02)').then(() => 'done', (e) => e.code));
        await client.query('SELECT 1');
        await client.close();
        const known = (await Promise.all(answers)).filter((answer) => ['done', 'SP_CLOSED'].includes(answer));
        console.log(known.length);
    },
};

scenes[scene]();
