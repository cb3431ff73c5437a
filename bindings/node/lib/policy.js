// SPDX-License-Identifier: MIT
'use strict';
/* Deadline, retries, breaker, rate and concurrency around any asynchronous call, as policy.<name>.… says. */
const native = require('./native.js');
const { SugarperfError } = require('./errors.js').classes;
const { call } = require('./errors.js');
const { Limit } = require('./limit.js');
const { answer, outcomeOf } = require('./breaker.js');

class Attempt extends Limit {
    constructor(number, remaining, outer) {
        super(remaining, outer);
        this.number = number;
        /* Milliseconds; undefined: no deadline. */
        this.remaining = remaining < 0 ? undefined : remaining;
    }
}

class Policy {
    #client;
    #watch;
    #handle;

    constructor(client, watch, handle) {
        this.#client = client;
        this.#watch = watch;
        this.#handle = handle;
    }

    /*
     * `work({ signal, number, remaining })` until it succeeds or the policy gives up; the last error is thrown. Options:
     * fallback (a value or a function of the error, instead of every failure and refusal), signal, retry (whether an
     * error may be retried; else those that say so, and all that are not the library's).
     */
    async run(work, { fallback, signal, retry = retryable } = {}) {
        this.#client.check();
        const ctx = native.ctx_new(this.#watch.root);
        const made = call('call_new', this.#handle, ctx);
        const cancel = () => native.ctx_cancel(ctx);

        if (signal?.aborted)
            cancel();
        signal?.addEventListener('abort', cancel, { once: true });
        try {
            return await this.#attempts(made, work, signal, retry);
        } catch (error) {
            if (fallback === undefined || !answers(error))
                throw error;
            return answer(fallback, () => error);
        } finally {
            signal?.removeEventListener('abort', cancel);
            native.call_free(made);
        }
    }

    async #attempts(made, work, signal, retry) {
        for (;;) {
            this.#client.check();
            await this.#watch.submit('call_enter_async', () => [made]);
            const attempt = new Attempt(native.call_attempts(made), native.ctx_remaining(native.call_ctx(made)), signal);

            try {
                const value = await attempt.race(() => work(attempt));
                native.call_leave(made, native.SP_OUTCOME_SUCCESS, false);
                return value;
            } catch (error) {
                if (!native.call_leave(made, outcomeOf(error), !signal?.aborted && Boolean(retry(error))))
                    throw error;
            }
        }
    }

    get name() {
        return native.policy_name(this.#handle);
    }

    stats() {
        return JSON.parse(native.value_data(call('policy_stats', this.#handle)).toString());
    }
}

function retryable(error) {
    return error instanceof SugarperfError ? error.retryable || error.code === 'SP_TIMEOUT' : true;
}

/* A refusal, or a failure; not the caller's own errors. */
function answers(error) {
    return error.code === 'SP_OPEN' || error.code === 'SP_FULL' || outcomeOf(error) === native.SP_OUTCOME_FAILURE;
}

module.exports = { Policy };
