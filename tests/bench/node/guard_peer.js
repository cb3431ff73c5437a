// SPDX-License-Identifier: MIT
'use strict';
/* The same with opossum or cockatiel (--peer): a window of failures, a fallback that answers. */
const { main } = require('./driver.js');

const BATCH = 200;
const work = async () => 1;

function opossum(reject) {
    const CircuitBreaker = require('opossum');
    const breaker = new CircuitBreaker(work, { timeout: false, errorThresholdPercentage: 50, resetTimeout: 60000 });

    breaker.fallback(() => 0);
    if (reject)
        breaker.open();
    return { call: () => breaker.fire(), close: () => breaker.shutdown() };
}

function cockatiel(reject) {
    const { circuitBreaker, fallback, handleAll, wrap, CountBreaker } = require('cockatiel');
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: 60000,
        breaker: new CountBreaker({ threshold: 0.5, size: 100 }) });
    const policy = wrap(fallback(handleAll, 0), breaker);

    if (reject)
        breaker.isolate();
    return { call: () => policy.execute(work), close() {} };
}

main(async ({ mode, peer }) => {
    const { call, close } = (peer === 'opossum' ? opossum : cockatiel)(mode === 'reject');

    return {
        batch: BATCH,
        async step() {
            for (let i = 0; i < BATCH; i++)
                await call();
        },
        close,
    };
});
