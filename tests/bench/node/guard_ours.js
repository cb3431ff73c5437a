// SPDX-License-Identifier: MIT
'use strict';
/* --mode record, reject or floor; --way: what a refusal ends as, a fallback value, one of a function, an error, or a policy's value. */
const { Breaker, Client } = require('../../../bindings/node');
const { main } = require('./driver.js');

const BATCH = 200;
const work = () => 1;
const caught = () => 0;
const WAYS = {
    value: (breaker) => breaker.run(work, 0),
    function: (breaker) => breaker.run(work, caught),
    error: (breaker) => breaker.run(work).catch(caught),
};

/* What an awaited call costs without a breaker. */
const floor = { run: async (call) => call() };

function made(mode, way) {
    if (mode === 'floor')
        return { call: () => floor.run(work), close() {} };
    if (way === 'policy') {
        const client = new Client({ 'policy.bench.breaker': 'bench' });
        const policy = client.policy('bench');

        client.breaker('bench').force('OPEN');
        return { call: () => policy.run(work, { fallback: 0 }), close: () => client.close() };
    }
    const breaker = Breaker.create({ 'breaker.failure_rate': 50 });

    if (mode === 'reject')
        breaker.force('OPEN');
    return { call: () => WAYS[way](breaker), close() {} };
}

main(async ({ mode, way = 'value' }) => {
    const { call, close } = made(mode, way);

    return {
        batch: BATCH,
        async step() {
            for (let i = 0; i < BATCH; i++)
                await call();
        },
        close,
    };
});
