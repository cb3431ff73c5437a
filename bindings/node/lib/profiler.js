// SPDX-License-Identifier: MIT
'use strict';
/* What named work costs, and the slow log. Statements of the client are recorded by themselves. */
const native = require('./native.js');

const MS = 1e6;

class Profiler {
    #client;
    #handle;

    constructor(client, handle) {
        this.#client = client;
        this.#handle = handle;
    }

    /* Runs `work` and records it under `name`. */
    async run(name, work) {
        this.#client.check();
        const start = native.profiler_start(this.#handle);
        let status = native.SP_OK;

        try {
            return await work();
        } catch (error) {
            status = native[error?.code] ?? native.SP_INTERNAL;
            throw error;
        } finally {
            if (!this.#client.closed)
                native.profiler_finish(this.#handle, name, start, status);
        }
    }

    /* Milliseconds; zeros for an unknown name. */
    stats(name) {
        this.#client.check();
        const quantile = (q) => native.profiler_quantile_ns(this.#handle, name, q) / MS;

        return {
            count: native.profiler_count(this.#handle, name),
            errors: native.profiler_errors(this.#handle, name),
            total: native.profiler_total_ns(this.#handle, name) / MS,
            p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99),
        };
    }

    /* Empties the slow log: [{ name, text, duration, wait }], oldest first. */
    slow() {
        this.#client.check();
        const entries = [];

        for (let slow; (slow = native.profiler_slow(this.#handle)) !== null;) {
            entries.push({
                name: native.slow_name(slow), text: native.slow_text(slow),
                duration: native.slow_duration_ns(slow) / MS, wait: native.slow_wait_ns(slow) / MS,
            });
        }
        return entries;
    }

    get slowMissed() {
        this.#client.check();
        return native.profiler_slow_missed(this.#handle);
    }
}

module.exports = { Profiler };
