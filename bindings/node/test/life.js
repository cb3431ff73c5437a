// SPDX-License-Identifier: MIT
'use strict';
/* What life.test.js runs in processes of their own: node life.js <scene>. */
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { Client } = require('..');
const { settings } = require('./support.js');

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
