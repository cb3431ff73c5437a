// SPDX-License-Identifier: MIT
'use strict';
/*
 * What the server says beside the answers of a client's statements. Its session keeps it while somebody listens; it is told behind each
 * answer, before whoever waits for that.
 */
const native = require('../native.js');
const { call } = require('../errors.js');
const { aside, noticeOf } = require('./errors.js');

class Notices {
    #watch;
    #held = null;
    #emitter;
    #on = false;

    constructor(watch, emitter) {
        this.#watch = watch;
        this.#emitter = emitter;
    }

    /* Whether somebody listens. */
    get wanted() {
        return this.#emitter.listenerCount('notice') > 0;
    }

    /* `held`, its session, is about to be given something. */
    begin(held) {
        const { wanted } = this;

        this.#held = held;
        if (wanted !== this.#on)
            call('session_keep_notices', held.handle, wanted);
        this.#on = wanted;
    }

    /* The answer, behind what came with it. */
    before(answer) {
        return this.#on ? answer.finally(() => this.#tell()) : answer;
    }

    #tell() {
        const kept = this.#held.here && !this.#watch.ended ? native.session_notices(this.#held.handle) : null;

        if (kept === null)
            return;
        for (const fields of JSON.parse(native.value_data(kept).toString()))
            aside(() => this.#emitter.emit('notice', noticeOf(fields)));
    }
}

module.exports = { Notices };
