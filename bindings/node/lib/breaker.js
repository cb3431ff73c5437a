// SPDX-License-Identifier: MIT
'use strict';
/* Circuit breaker around any asynchronous call. */
const native = require('./native.js');
const { SugarperfError } = require('./errors.js').classes;
const { call } = require('./errors.js');

const STATUS = new Map();

function statusOf(code) {
    if (!STATUS.has(code))
        STATUS.set(code, native[code] ?? native.SP_INTERNAL);
    return STATUS.get(code);
}

/* An error that is not the library's is the dependency's failure. */
function outcomeOf(error) {
    return error instanceof SugarperfError
        ? native.breaker_classify(statusOf(error.code), error.serverCode ?? '')
        : native.SP_OUTCOME_FAILURE;
}

class Breaker {
    #handle;

    constructor(handle) {
        this.#handle = handle;
    }

    /*
     * Calls `work` while the breaker lets calls through, else throws OpenError. `fallback(error)` answers instead of
     * every failure; errors that are the caller's own (a unique violation, a cancellation) pass.
     */
    async run(work, fallback) {
        let permit, value;

        try {
            permit = call('breaker_acquire', this.#handle);
        } catch (error) {
            if (fallback)
                return fallback(error);
            throw error;
        }
        const start = process.hrtime.bigint();
        try {
            value = await work();
        } catch (error) {
            return this.#failed(error, permit, start, fallback);
        }
        this.#record(permit, native.SP_OUTCOME_SUCCESS, start);
        return value;
    }

    #failed(error, permit, start, fallback) {
        const outcome = outcomeOf(error);

        this.#record(permit, outcome, start);
        if (fallback && outcome === native.SP_OUTCOME_FAILURE)
            return fallback(error);
        throw error;
    }

    #record(permit, outcome, start) {
        native.breaker_record(this.#handle, permit, outcome, Number(process.hrtime.bigint() - start));
    }

    get name() {
        return native.breaker_name(this.#handle);
    }

    /* 'CLOSED', 'OPEN' or 'HALF_OPEN'. */
    get state() {
        return native.breaker_state_name(native.breaker_state(this.#handle));
    }

    get failures() {
        return native.breaker_failures(this.#handle);
    }

    /* Milliseconds until a probe is let through. */
    get nextAttempt() {
        return native.breaker_next_attempt(this.#handle);
    }

    report() {
        return JSON.parse(native.value_data(call('breaker_report', this.#handle)).toString());
    }
}

module.exports = { Breaker };
