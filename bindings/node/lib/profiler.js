// SPDX-License-Identifier: MIT
'use strict';
/*
 * What statements and named work cost, which of it was slow, what should have been one statement, and which index is missing.
 * Statements of the client are recorded by themselves; fields of what is told: docs/profiler.md.
 */
const native = require('./native.js');
const given = require('./given.js');
const { call } = require('./errors.js');
const { newsOf } = require('./news.js');

const MS = 1e6;
const LIMITS = ['signal', 'timeout'];
const POOL = ['pool', ...LIMITS];
const ENDS = ['signal'];

class Profiler {
    #client;
    #watch;
    #handle;

    constructor(client, watch, handle) {
        if (!(handle instanceof native.profiler))
            throw new TypeError('a Profiler is its client\'s: client.profiler');
        this.#client = client;
        this.#watch = watch;
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

    /* { statements, work, findings }: those with the greatest total time in front, `top` of each (0: all). */
    report(top = 0) {
        this.#client.check();
        return JSON.parse(native.value_data(call('profiler_report', this.#handle, top)).toString());
    }

    async #ask(name, about, { pool, ...limits }) {
        this.#client.check();
        return this.#watch.submit(name, (ctx) => [this.#handle, ctx, about ?? pool ?? null], limits);
    }

    /* The plan of a statement that ran, by its name: { name, fingerprint, text, plan, cost, rows }. Nothing is run. */
    async explain(name, options) {
        return this.#ask('profiler_explain_async', name, given.options(options, LIMITS));
    }

    /* Which indexes the recorded statements of a pool want: { indexes: [{ ddl, … }], statements, idle }. Nothing is made or dropped. */
    async advise(options) {
        return this.#ask('profiler_advise_async', null, given.options(options, POOL));
    }

    /* What the server of a pool knows itself: { statements, tables, transactions, locks, … }; `lacks` says what it would not tell. */
    async server(options) {
        return this.#ask('profiler_server_async', null, given.options(options, POOL));
    }

    /*
     * What somebody should hear of, as it comes: { kind: 'slow' | 'n+1' | 'repeat' | 'plan', … }. Ends with the signal or the
     * client; who waits for one does not keep the process.
     */
    events(options) {
        const { signal } = given.options(options, ENDS);

        this.#client.check();
        return newsOf(this.#client, this.#watch, 'profiler_watch_async', this.#handle, 'event', signal);
    }

    /*
     * Statements under a sampled `trace`, from the first item on, many at once: { spans: […], missed }, the elements of OTLP's
     * "spans". As events().
     */
    spans(options) {
        const { signal } = given.options(options, ENDS);

        this.#client.check();
        return newsOf(this.#client, this.#watch, 'profiler_spans_async', this.#handle, 'event', signal);
    }

    /* Empties the slow log, oldest first; times in milliseconds. */
    slow() {
        this.#client.check();
        const entries = [];

        for (let slow; (slow = native.profiler_slow(this.#handle)) !== null;)
            entries.push(entryOf(slow));
        return entries;
    }

    /* Entries that fell out of the ring unread. */
    get slowMissed() {
        this.#client.check();
        return native.profiler_slow_missed(this.#handle);
    }

    /* Slow runs that made no entry, because more than profiler.slow_rate came in a second. */
    get slowLimited() {
        this.#client.check();
        return native.profiler_slow_limited(this.#handle);
    }
}

function entryOf(slow) {
    return {
        name: native.slow_name(slow), text: native.slow_text(slow),
        duration: native.slow_duration_ns(slow) / MS, wait: native.slow_wait_ns(slow) / MS,
        execute: native.slow_execute_ns(slow) / MS, fetch: native.slow_fetch_ns(slow) / MS,
        rows: native.slow_rows(slow), status: native.status_name(native.slow_status(slow)),
        sqlstate: native.slow_code(slow), tag: native.slow_tag(slow), trace: native.slow_trace(slow),
        scope: native.slow_scope(slow), plan: native.slow_plan(slow),
    };
}

module.exports = { Profiler };
