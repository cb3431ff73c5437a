// SPDX-License-Identifier: MIT
'use strict';
/* Circuit breaker around any asynchronous call. */
const native = require('./native.js');
const { SugarperfError, OpenError } = require('./errors.js').classes;
const { adopt, call, makeError } = require('./errors.js');
const { configOf } = require('./config.js');
const given = require('./given.js');
const { Watch } = require('./watch.js');

const STATUS = new Map();
const STATES = ['CLOSED', 'OPEN', 'HALF_OPEN', 'FORCED_OPEN', 'DISABLED', 'METRICS_ONLY'];
const OUTCOMES = new Map([
    ['success', native.SP_OUTCOME_SUCCESS], ['failure', native.SP_OUTCOME_FAILURE], ['ignored', native.SP_OUTCOME_IGNORED],
]);

function statusOf(code) {
    if (!STATUS.has(code))
        STATUS.set(code, native[code] ?? native.SP_INTERNAL);
    return STATUS.get(code);
}

/* A cancellation of the caller's, as fetch() and Node tell it; one that a deadline made is a time-out. */
function aborted(error) {
    return error?.name === 'AbortError' && error.cause?.name !== 'TimeoutError';
}

/* An error that is not the library's is the dependency's failure, and so is one that throws when it is looked at. */
function outcomeOf(error) {
    try {
        if (error instanceof SugarperfError)
            return native.breaker_classify(statusOf(error.code), error.serverCode ?? '');
        return aborted(error) ? native.SP_OUTCOME_IGNORED : native.SP_OUTCOME_FAILURE;
    } catch {
        return native.SP_OUTCOME_FAILURE;
    }
}

/* Whether a fallback stands in: for a refusal or a failure, not for the caller's own errors. */
function answers(error) {
    try {
        if (error instanceof SugarperfError)
            return native.breaker_falls_back(statusOf(error.code), error.serverCode ?? '');
    } catch {
        return true;
    }
    return outcomeOf(error) === native.SP_OUTCOME_FAILURE;
}

/* Under load refusals are many, and where they come from is no riddle: without a stack they cost a tenth. */
function openError(message) {
    const limit = Error.stackTraceLimit;

    Error.stackTraceLimit = 0;
    try {
        return new OpenError(message, 'SP_OPEN', '', true);
    } finally {
        Error.stackTraceLimit = limit;
    }
}

/* `fallback` answers: a function of the error, or a value. */
function answer(fallback, error) {
    return typeof fallback === 'function' ? fallback(error()) : fallback;
}

/* What breakers without a client are watched with. */
let alone;

/* A monotonic clock that a test moves by hand. */
class Clock {
    constructor() {
        this.handle = native.clock_new();
    }

    advance(ms) {
        native.clock_advance(this.handle, given.whole('ms', ms));
    }
}

const CREATE = ['name', 'clock'];
const CHANGES = ['signal'];

class Breaker {
    #handle;
    #watch;
    #name;
    #refusal;
    #client; /* lives as long */

    constructor(handle, watch = null, client = null) {
        if (!(handle instanceof native.breaker))
            throw new TypeError('a Breaker is made by client.breaker() or Breaker.create()');
        this.#handle = handle;
        this.#watch = watch;
        this.#client = client;
        this.#name = native.breaker_name(handle);
        this.#refusal = `circuit breaker "${this.#name}" is open`;
    }

    /*
     * A breaker without a client. `settings` are the library's configuration names, { 'breaker.failures': 3 }; `name`
     * selects breaker.<name>.…; `clock`, a Clock, takes the place of the system's.
     */
    static create(settings = {}, options = {}) {
        const { name = null, clock = null } = given.options(options, CREATE);

        if (clock !== null && !(clock instanceof Clock))
            throw new TypeError('clock must be a Clock');
        const breaker = new Breaker(call('breaker_new', configOf(settings), name, clock?.handle ?? null));

        breaker.clock = clock; /* lives as long */
        return breaker;
    }

    /*
     * Calls `work` while the breaker lets calls through, else throws OpenError. `fallback`, a value or a function of the
     * error, answers instead of every failure and refusal; errors that are the caller's own (a unique violation, a
     * cancellation) pass.
     */
    async run(work, fallback) {
        given.function('work', work);
        const permit = this.acquire();

        if (permit === 0) {
            if (fallback !== undefined)
                return answer(fallback, () => openError(this.#refusal));
            /* A promise that is rejected before anybody waits for it is kept as one that nobody handles, which costs more than all else. */
            await undefined;
            throw openError(this.#refusal);
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
        native.breaker_record(this.#handle, permit, outcomeOf(error), (performance.now() - start) * 1e6);
        if (fallback !== undefined && answers(error))
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
        if (!OUTCOMES.has(outcome))
            throw makeError('SP_INVALID', `record(): unknown outcome ${String(outcome)}`);
        native.breaker_record(this.#handle, permit, OUTCOMES.get(outcome), given.milliseconds('elapsed', elapsed) * 1e6);
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
            throw makeError('SP_INVALID', `force(): unknown state ${String(state)}`);
        call('breaker_force', this.#handle, STATES.indexOf(state));
    }

    /* CLOSED (or the state of breaker.mode), with nothing held against it. */
    reset() {
        native.breaker_reset(this.#handle);
    }

    /*
     * The changes of state from now on, as they come: { change, state, previous, missed }. Ends with the signal or the
     * client. Who waits for one does not keep the process.
     */
    changes(options) {
        const { signal } = given.options(options, CHANGES);

        given.signal(signal);
        return this.#changes(native.breaker_changes(this.#handle), signal);
    }

    async *#changes(seen, signal) {
        const watch = this.#watch ?? (alone ??= new Watch(null));

        for (;;) {
            let change;

            try {
                change = await watch.listen('breaker_watch', (ctx) => [this.#handle, ctx, seen], signal);
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

module.exports = { Breaker, Clock, aborted, answer, answers, openError, outcomeOf };
