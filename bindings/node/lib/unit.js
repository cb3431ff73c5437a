// SPDX-License-Identifier: MIT
'use strict';
/*
 * The context of several operations that belong together: one deadline, one AbortSignal, one cancellation. What is said of a
 * call inside it holds as well.
 */
const native = require('./native.js');
const { call } = require('./errors.js');
const given = require('./given.js');
const { onAbort } = require('./signal.js');

class Unit {
    #cancel = null;
    #above;
    #own;

    /* `above`: another unit, or what else has a context. Options: signal, and what a context may be told. */
    constructor(above, { signal, ...said }, cancelled) {
        given.signal(signal);
        this.#above = above;
        this.#own = native.ctx_new(above.ctx);
        this.signal = signal;
        this.choosy = said.cache !== undefined || above.choosy === true;
        for (const [name, value] of Object.entries(said)) {
            if (value !== undefined && value !== null)
                call('ctx_set', this.#own, name, name === 'timeout' ? given.duration(value) : String(value));
        }
        if (!signal)
            return;
        this.#cancel = () => {
            this.cancel();
            cancelled?.();
        };
        onAbort(signal, this.#cancel);
    }

    /* What comes after its end belongs to what is above. */
    get ctx() {
        return this.#own ?? this.#above.ctx;
    }

    cancel() {
        if (this.#own !== null)
            native.ctx_cancel(this.#own);
    }

    /* Nothing of it runs any more: it ends now, not when the collector comes. */
    end() {
        if (this.#cancel !== null)
            this.signal.removeEventListener('abort', this.#cancel);
        this.#cancel = null;
        if (this.#own !== null)
            native.ctx_end(this.#own);
        this.#own = null;
    }
}

module.exports = { Unit };
