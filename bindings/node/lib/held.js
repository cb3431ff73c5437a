// SPDX-License-Identifier: MIT
'use strict';
/*
 * Something of the library's that is to be given back: a session, a stream, a COPY, a listener, a lease. Its face gives it back;
 * one that nobody can reach any more is given back by the collector; the client's end gives back the rest.
 */
const native = require('./native.js');

const lost = new FinalizationRegistry((held) => held.release());

class Held {
    #watch;
    #handle;
    #slot;

    constructor(watch, handle, slot) {
        this.#watch = watch;
        this.#slot = slot;
        this.#handle = handle;
    }

    /* Throws ClosedError once the client ends: what it leads to was freed then. */
    get handle() {
        this.#watch.check();
        return this.#handle;
    }

    get here() {
        return this.#slot >= 0;
    }

    /* With `face`, which nothing of this leads to. */
    follow(face) {
        lost.register(face, this, this);
        return this;
    }

    /* A second time does nothing. */
    release() {
        if (this.#slot >= 0)
            native.watch_release(this.#watch.native, this.#slot);
        this.#gone();
    }

    /* Many look-ups: their leases go back at once. Whether what is stale stands in. */
    giveUp() {
        return this.#slot >= 0 && native.watch_give_up(this.#watch.native, this.#slot) === 1;
    }

    /* It was used up. */
    forget() {
        if (this.#slot >= 0)
            native.watch_forget(this.#watch.native, this.#slot);
        this.#gone();
    }

    #gone() {
        this.#slot = -1;
        this.#handle = null;
        lost.unregister(this);
    }
}

module.exports = { Held };
