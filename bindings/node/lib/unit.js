// SPDX-License-Identifier: MIT
'use strict';
/*
 * The context of several operations that belong together: one deadline, one AbortSignal, one cancellation. What is said of a
 * call inside it holds as well.
 */
const native = require('./native.js');
const { call } = require('./errors.js');
const given = require('./given.js');

class Unit {
    #cancel = null;

    /* Options: signal, and what a context may be told. */
    constructor(parent, { signal, ...said }, cancelled) {
        given.signal(signal);
        this.ctx = native.ctx_new(parent);
        this.signal = signal;
        for (const [name, value] of Object.entries(said)) {
            if (value !== undefined)
                call('ctx_set', this.ctx, name, String(value));
        }
        if (!signal)
            return;
        this.#cancel = () => {
            native.ctx_cancel(this.ctx);
            cancelled?.();
        };
        if (signal.aborted)
            this.#cancel();
        else
            signal.addEventListener('abort', this.#cancel, { once: true });
    }

    cancel() {
        native.ctx_cancel(this.ctx);
    }

    /* Nothing of it runs any more. */
    end() {
        if (this.#cancel !== null)
            this.signal.removeEventListener('abort', this.#cancel);
        this.#cancel = null;
    }
}

module.exports = { Unit };
