// SPDX-License-Identifier: MIT
'use strict';
/*
 * Both forms under the same requests, by turns: how many a second, and how long they took.
 * --contents N --seconds S --callers N --rounds N
 */
const { performance } = require('node:perf_hooks');
const { build, prepare, start } = require('./service.js');

function options(words) {
    const given = { contents: 2000, seconds: 2, callers: 16, rounds: 3 };

    for (let i = 0; i < words.length; i += 2)
        given[words[i].replace(/^--/, '')] = Number(words[i + 1]);
    return given;
}

/* Some users ask more often than others. */
const user = () => 1 + Math.floor(50 * Math.random() ** 2);

async function load(side, { seconds, callers }, times) {
    const end = performance.now() + seconds * 1000;

    await Promise.all(Array.from({ length: callers }, async () => {
        while (performance.now() < end) {
            const begin = performance.now();
            const { status } = await side.ask(`/recommendations/user-${user()}?limit=10`);

            if (status !== 200)
                throw new Error(`status ${status}`);
            times.push(performance.now() - begin);
        }
    }));
}

function told(name, times, update, { seconds, rounds, contents }) {
    const at = (quantile) => times[Math.floor(times.length * quantile)].toFixed(1);

    times.sort((one, two) => one - two);
    return `${name}: ${(times.length / seconds / rounds).toFixed(0)} lists/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ` +
        `scores of ${contents} contents ${update.toFixed(0)} ms`;
}

async function scores(side) {
    const begin = performance.now();

    await side.ask('/admin/scores', {});
    return performance.now() - begin;
}

async function main() {
    const given = options(process.argv.slice(2));

    build();
    const data = await prepare(given.contents);
    const sides = [];

    for (const name of ['before', 'after'])
        sides.push({ name, side: await start(name), times: [] });
    for (const one of sides)
        one.update = await scores(one.side);
    for (let round = 0; round < given.rounds; round++) {
        for (const { side, times } of sides)
            await load(side, given, times);
    }
    for (const { name, times, update, side } of sides) {
        console.log(told(name, times, update, given));
        await side.close();
    }
    await data.drop();
}

main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});
