// SPDX-License-Identifier: MIT
'use strict';
/* One side in Node: arguments, concurrent callers, warm-up, time and the one JSON line that bench.py reads. */
const { monitorEventLoopDelay, performance } = require('node:perf_hooks');

const SAMPLES = 1 << 20;

/* --name value … */
function parse(words) {
    const options = { callers: 1, items: 1000, seconds: 1, warmup: 0.3 };

    for (let i = 0; i < words.length; i += 2) {
        const name = words[i].replace(/^--/, '');
        options[name] = name in options ? Number(words[i + 1]) : words[i + 1];
    }
    return options;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/* Milliseconds of the last operations, as many as fit. */
class Times {
    constructor() {
        this.count = 0;
        /* Filled: it is resident from the beginning. */
        this.samples = new Float64Array(SAMPLES).fill(-1);
    }

    add(ms) {
        this.samples[this.count++ % SAMPLES] = ms;
    }

    quantile(q) {
        const sorted = this.samples.slice(0, Math.min(this.count, SAMPLES)).sort();

        return sorted.length ? sorted[Math.min(Math.floor(q * sorted.length), sorted.length - 1)] : 0;
    }
}

/* What else may be counted (--count): each begins with the measured time and answers at its end. */
const counters = {
    /* p99 in microseconds, by a timer of 1 ms. */
    delay() {
        const delays = monitorEventLoopDelay({ resolution: 1 });

        delays.enable();
        return () => delays.percentile(99) / 1000;
    },
    /* Bytes by which what is resident has grown, at least one: what is shrinking is flat, too. */
    memory() {
        const before = process.memoryUsage.rss();

        return () => Math.max(1, process.memoryUsage.rss() - before);
    },
    none: () => () => undefined,
};

/* `open(options)` yields { step(item), close(), batch }; step is awaited by each of the callers in turn, and does `batch` (1). */
async function run(open) {
    const options = parse(process.argv.slice(2));
    const counter = counters[options.count ?? 'none'];
    const { step, close, batch = 1 } = await open(options);
    const times = new Times();
    let measuring = false;
    let going = true;

    async function caller() {
        while (going) {
            const start = performance.now();
            await step(1 + Math.floor(Math.random() * options.items));
            if (measuring)
                times.add(performance.now() - start);
            /* What never waits would keep the timers from their turn. */
            if (batch > 1)
                await new Promise(setImmediate);
        }
    }

    await Promise.all(Array.from({ length: options.callers }, () => step(1)));
    const callers = Promise.all(Array.from({ length: options.callers }, caller));
    await Promise.race([pause(options.warmup), callers]);
    process.stdout.write('start\n');
    const begin = performance.now();
    const before = process.cpuUsage();
    const counted = counter();
    measuring = true;
    await Promise.race([pause(options.seconds), callers]);
    measuring = going = false;
    const count = counted();
    const used = process.cpuUsage(before);
    const seconds = (performance.now() - begin) / 1000;
    process.stdout.write('stop\n');
    await callers;
    await close();
    process.stdout.write(JSON.stringify({
        ops: times.count * batch, seconds, p50_us: times.quantile(0.5) * 1000 / batch,
        p99_us: times.quantile(0.99) * 1000 / batch,
        user_cpu: used.user / 1e6, sys_cpu: used.system / 1e6, count,
    }) + '\n');
}

/* Runs the side; a failure is one line and a status. */
function main(open) {
    run(open).catch((error) => {
        process.stderr.write(`${error.message.split('\n', 1)[0]}\n`, () => process.exit(1));
    });
}

module.exports = { main };
