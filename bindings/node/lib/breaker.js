// SPDX-License-Identifier: MIT
'use strict';
/* Circuit breaker around any asynchronous call. */
const native = require('./native.js');
const { SugarperfError, OpenError } = require('./errors.js').classes;
const { adopt, call, makeError } = require('./errors.js');
const { configOf } = require('./config.js');

const STATUS = new Map();
const STATES = ['CLOSED', 'OPEN', 'HALF_OPEN', 'FORCED_OPEN', 'DISABLED', 'METRICS_ONLY'];
const OUTCOMES = {
    success: native.SP_OUTCOME_SUCCESS, failure: native.SP_OUTCOME_FAILURE, ignored: native.SP_OUTCOME_IGNORED,
};

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

/* Under load refusals are many, and where they come from is no riddle: without a stack they cost a tenth. */
function openError(name) {
    const limit = Error.stackTraceLimit;

    Error.stackTraceLimit = 0;
    try {
        return new OpenError(`circuit breaker "${name}" is open`, 'SP_OPEN', '', true);
    } finally {
        Error.stackTraceLimit = limit;
    }
}

/* `fallback` answers: a function of the error, or a value. */
function answer(fallback, error) {
    return typeof fallback === 'function' ? fallback(error()) : fallback;
}

/* A monotonic clock that a test moves by hand. */
class Clock {
    constructor() {
        this.handle = native.clock_new();
    }

    advance(ms) {
        native.clock_advance(this.handle, ms);
    }
}

class Breaker {
    #handle;
    #watch;
    #name;
    #client; /* lives as long */

    constructor(handle, watch = null, client = null) {
        this.#handle = handle;
        this.#watch = watch;
        this.#client = client;
        this.#name = native.breaker_name(handle);
    }

    /*
     * A breaker without a client. `settings` are the library's configuration names, { 'breaker.failures': 3 }; `name`
     * selects breaker.<name>.…; `clock`, a Clock, takes the place of the system's.
     */
    static create(settings = {}, { name = null, clock = null } = {}) {
        const breaker = new Breaker(call('breaker_new', configOf(settings), name, clock?.handle ?? null));

        breaker.clock = clock; /* lives as long */
        return breaker;
    }

    /*
     * Calls `work` while the breaker lets calls through, else throws OpenError. `fallback`, a value or a function of the
     * error, answers instead of every failure; errors that are the caller's own (a unique violation, a cancellation) pass.
     */
    async run(work, fallback) {
        const permit = this.acquire();

        if (permit === 0) {
            if (fallback === undefined)
                throw openError(this.#name);
            return answer(fallback, () => openError(this.#name));
        }
        const start = performance.now();
        let value;

        try {
            value = work();
            /* What is there already needs no turn of the loop. */
            if (typeof value?.then === 'function')
                value = await value;
        } catch (error) {
            return this.#failed(error, permit, start, fallback);
        }
        native.breaker_record(this.#handle, permit, native.SP_OUTCOME_SUCCESS, (performance.now() - start) * 1e6);
        return value;
    }

    #failed(error, permit, start, fallback) {
        const outcome = outcomeOf(error);

        native.breaker_record(this.#handle, permit, outcome, (performance.now() - start) * 1e6);
        if (fallback !== undefined && outcome === native.SP_OUTCOME_FAILURE)
            return answer(fallback, () => error);
        throw error;
    }

    /* A permit to make one call, which is recorded or released exactly once; 0: the breaker is open. */
    acquire() {
        try {
            return native.breaker_acquire(this.#handle);
        } catch (thrown) {
            throw adopt(thrown);
        }
    }

    /* `outcome`: 'success', 'failure' or 'ignored'; `elapsed` in milliseconds. */
    record(permit, outcome, elapsed = 0) {
        if (OUTCOMES[outcome] === undefined)
            throw makeError('SP_INVALID', `record(): unknown outcome ${outcome}`);
        native.breaker_record(this.#handle, permit, OUTCOMES[outcome], elapsed * 1e6);
    }

    /* For calls that were cancelled or never made. */
    release(permit) {
        native.breaker_release(this.#handle, permit);
    }

    get name() {
        return this.#name;
    }

    /* 'CLOSED', 'OPEN', 'HALF_OPEN', 'FORCED_OPEN', 'DISABLED' or 'METRICS_ONLY'. */
    get state() {
        return STATES[native.breaker_state(this.#handle)];
    }

    get failures() {
        return native.breaker_failures(this.#handle);
    }

    /* Permits of the present state whose result is still to come. */
    get inFlight() {
        return native.breaker_in_flight(this.#handle);
    }

    /* Milliseconds until a probe is let through. */
    get nextAttempt() {
        return native.breaker_next_attempt(this.#handle);
    }

    /* Puts it into a state by hand. */
    force(state) {
        if (!STATES.includes(state))
            throw makeError('SP_INVALID', `force(): unknown state ${state}`);
        call('breaker_force', this.#handle, STATES.indexOf(state));
    }

    /* CLOSED (or the state of breaker.mode), with nothing held against it. */
    reset() {
        native.breaker_reset(this.#handle);
    }

    /*
     * The changes of state from now on, as they come: { change, state, previous, missed }. Ends with the signal or the
     * client. For breakers of a client.
     */
    async *changes({ signal } = {}) {
        if (this.#watch === null)
            throw makeError('SP_INVALID', 'changes(): the breaker belongs to no client');
        let seen = native.breaker_changes(this.#handle);

        for (;;) {
            let change;

            try {
                change = await this.#watch.listen('breaker_watch', (ctx) => [this.#handle, ctx, seen], signal);
            } catch (error) {
                if (error.code === 'SP_CANCELLED' || error.code === 'SP_CLOSED')
                    return;
                throw error;
            }
            seen = change.change;
            yield change;
        }
    }

    report() {
        return JSON.parse(native.value_data(call('breaker_report', this.#handle)).toString());
    }

    /* report(), and all counts and rates. */
    stats() {
        return JSON.parse(native.value_data(call('breaker_stats', this.#handle)).toString());
    }
}

module.exports = { Breaker, Clock, outcomeOf, answer };
