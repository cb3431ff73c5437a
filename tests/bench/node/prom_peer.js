// SPDX-License-Identifier: MIT
'use strict';
/* prom-client's page of as many series: 53 histograms of 19 lines; `--mode observe`: one value on a held handle. */
const { main } = require('./driver.js');
const { Histogram, Registry } = require('prom-client');

const BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SERIES = 53;
const BATCH = 1000;

main(async ({ mode }) => {
    const registry = new Registry();
    const histogram = new Histogram({ name: 'bench_duration_seconds', help: 'Made up.', labelNames: ['route'],
        buckets: BOUNDS, registers: [registry] });

    for (let i = 0; i < SERIES * 100; i++)
        histogram.observe({ route: `/route/${i % SERIES}` }, i / 10000);
    if (mode === 'observe') {
        const held = histogram.labels('/route/1');
        return {
            batch: BATCH,
            async step() {
                for (let i = 0; i < BATCH; i++)
                    held.observe(i / 10000);
            },
            close() {},
        };
    }
    /* Two at a time: what never waits would keep the timers from their turn (driver.js). */
    return {
        batch: 2,
        async step() {
            for (let i = 0; i < 2; i++)
                await registry.metrics();
        },
        close() {},
    };
});
