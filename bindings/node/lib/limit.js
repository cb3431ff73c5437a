// SPDX-License-Identifier: MIT
'use strict';
/* What work runs under: a signal that is aborted at its deadline, or by the caller's own signal. */
const { makeError } = require('./errors.js');
const { onAbort } = require('./signal.js');

/* setTimeout() takes no more. */
const LONGEST = 0x7fffffff;

class Limit {
    #controller = new AbortController();
    #outer;
    #timer;
    #stop;

    /* `remaining` in milliseconds; below 0: no deadline. */
    constructor(remaining, outer) {
        this.#outer = outer;
        this.#stop = () => this.#end(makeError('SP_CANCELLED', 'the caller cancelled', '', false, { cause: outer.reason }));
        if (outer)
            onAbort(outer, this.#stop);
        if (remaining >= 0 && remaining <= LONGEST)
            this.#timer = setTimeout(() => this.#end(makeError('SP_TIMEOUT', 'the deadline passed')), remaining);
    }

    get signal() {
        return this.#controller.signal;
    }

    #end(reason) {
        this.#controller.abort(reason);
    }

    /* The work, or the end of its time, whichever comes first. Once. */
    async race(work) {
        const { signal } = this;
        let late;
        const ended = new Promise((_, reject) => {
            late = () => reject(signal.reason);
            signal.addEventListener('abort', late, { once: true });
        });

        /* Work that aborts its own signal and throws at once leaves nobody to hear of the end. */
        ended.catch(() => {});
        try {
            signal.throwIfAborted();
            return await Promise.race([work(), ended]);
        } finally {
            signal.removeEventListener('abort', late);
            this.#outer?.removeEventListener('abort', this.#stop);
            clearTimeout(this.#timer);
        }
    }
}

module.exports = { Limit };
