// SPDX-License-Identifier: MIT
'use strict';
const { Breaker } = require('../../../bindings/node');
const { main } = require('./driver.js');

const BATCH = 200;
const work = () => 1;

/* What an awaited call costs without a breaker. */
const floor = { run: async (call) => call() };

main(async ({ mode }) => {
    const breaker = mode === 'floor' ? floor : Breaker.create({ 'breaker.failure_rate': 50 });

    if (mode === 'reject')
        breaker.force('OPEN');
    return {
        batch: BATCH,
        async step() {
            for (let i = 0; i < BATCH; i++)
                await breaker.run(work, 0);
        },
        close() {},
    };
});
