// SPDX-License-Identifier: MIT
'use strict';
/* Deadline, retries, breaker, rate and concurrency around any asynchronous call, as policy.<name>.… says. */
const native = require('./native.js');
const { SugarperfError } = require('./errors.js').classes;
const { because, call } = require('./errors.js');
const given = require('./given.js');
const { Limit } = require('./limit.js');
const { onAbort } = require('./signal.js');
const { aborted, answer, answers, openError, outcomeOf } = require('./breaker.js');

const RUN = ['fallback', 'signal', 'retry'];

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
    #refusal;

    constructor(client, watch, handle) {
        if (!(handle instanceof native.policy))
            throw new TypeError('a Policy is made by client.policy()');
        this.#client = client;
        this.#watch = watch;
        this.#handle = handle;
        this.#refusal = `policy "${native.policy_name(handle)}": ${native.status_text(native.SP_OPEN)}`;
    }

    /*
     * `work({ signal, number, remaining })` until it succeeds or the policy gives up; the last error is thrown. Options:
     * fallback (a value or a function of the error, instead of every failure and refusal), signal, retry (whether an
     * error may be retried; else those that say so, and all that are not the library's). A refusal after an attempt has
     * that attempt's error as its cause.
     */
    async run(work, options = {}) {
        const { fallback, signal, retry = retryable } = given.options(options, RUN);

        given.function('work', work);
        given.function('retry', retry);
        given.signal(signal);
        this.#client.check();
        if (native.policy_refuses(this.#handle)) {
            if (fallback !== undefined)
                return answer(fallback, () => openError(this.#refusal));
            await undefined; /* as in Breaker.run() */
            throw openError(this.#refusal);
        }
        const ctx = native.ctx_new(this.#watch.above.ctx);
        const made = call('call_new', this.#handle, ctx);
        const cancel = () => native.ctx_cancel(ctx);

        if (signal)
            onAbort(signal, cancel);
        try {
            return await this.#attempts(made, work, signal, retry);
        } catch (error) {
            if (fallback === undefined || !answers(error))
                throw error;
            return answer(fallback, () => error);
        } finally {
            signal?.removeEventListener('abort', cancel);
            native.call_free(made);
            native.ctx_end(ctx);
        }
    }

    async #enter(made, signal, failed) {
        try {
            await this.#watch.submit('call_enter_async', () => [made]);
        } catch (refused) {
            throw because(this.#watch.explain(refused, signal), failed);
        }
    }

    async #attempts(made, work, signal, retry) {
        for (let failed; ;) {
            await this.#enter(made, signal, failed);
            const attempt = new Attempt(native.call_attempts(made), native.ctx_remaining(native.call_ctx(made)), signal);

            try {
                const value = await attempt.race(() => work(attempt));
                native.call_leave(made, native.SP_OUTCOME_SUCCESS, false);
                return value;
            } catch (error) {
                const cut = attempt.signal.aborted && error === attempt.signal.reason;
                const again = () => Boolean(retry(error)) || (cut && retry === retryable);

                if (!leave(made, error, () => !signal?.aborted && again()))
                    throw error;
                failed = error;
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

/* What a statement of which the time was over may have done is its own to tell. */
function retryable(error) {
    return error instanceof SugarperfError ? error.retryable : !aborted(error);
}

/* The attempt is over, also where asking whether there may be another one throws. true: there is another one. */
function leave(made, error, asked) {
    let again = false;

    try {
        again = asked();
    } finally {
        again = native.call_leave(made, outcomeOf(error), again);
    }
    return again;
}

module.exports = { Policy };
