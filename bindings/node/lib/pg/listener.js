// SPDX-License-Identifier: MIT
'use strict';
/*
 * LISTEN of one client: messages come over the pool's own session for them, which is made again when it is lost; those of all its
 * channels by one listener, as their order is the server's. In a transaction LISTEN and UNLISTEN hold once it is committed, as the
 * server has it: what is to be heard then is subscribed to before, and mute.
 */
const native = require('../native.js');
const { call, makeError } = require('../errors.js');
const { Held } = require('../held.js');
const { aside } = require('./errors.js');

/* Upon these it tries again by itself. */
const MENDED = ['SP_SQL', 'SP_AUTH'];

class Listener {
    #base;
    #tell;
    #lost;
    #held = null; /* the library's, while there are channels */
    #channels = new Map(); /* by name: { live, heard: its notice came, opened: a promise of that, resolve, reject } */
    #kept = null; /* messages since a transaction with changes began to end, in their order */
    #changes = []; /* of a transaction: { listen, channel } and savepoints, { mark } */

    /* `tell({ channel, payload, processId })`; `lost()`: messages may have been missed, whereupon it may unlisten(). */
    constructor(base, tell, lost) {
        this.#base = base;
        this.#tell = tell;
        this.#lost = lost;
    }

    /* Resolves when it hears. */
    listen(channel) {
        return this.#subscribe(channel, true);
    }

    /* null: to all. */
    unlisten(channel) {
        for (const name of [...this.#channels.keys()]) {
            if (channel === null || channel === name)
                this.#leave(name);
        }
    }

    /* Either, once the transaction is committed. */
    async change(listen, channel) {
        if (listen)
            await this.#subscribe(channel, false);
        this.#changes.push({ listen, channel });
    }

    savepoint(mark) {
        this.#changes.push({ mark });
    }

    release(mark) {
        const at = this.#changes.findLastIndex((change) => change.mark === mark);

        if (at >= 0)
            this.#changes.splice(at, 1);
    }

    rollbackTo(mark) {
        const at = this.#changes.findLastIndex((change) => change.mark === mark);

        if (at >= 0)
            this.#changes.length = at + 1;
    }

    /* The transaction is about to be committed: whether what is said from now on is meant for it is known when it has ended. */
    ending() {
        if (this.#changes.length > 0)
            this.#kept ??= [];
    }

    ended(committed) {
        const wanted = new Set([...this.#channels].filter(([, { live }]) => live).map(([channel]) => channel));
        const kept = this.#kept ?? [];

        for (const { mark, listen, channel } of committed ? this.#changes : []) {
            if (mark === undefined && listen)
                wanted.add(channel);
            else if (mark === undefined)
                channel === null ? wanted.clear() : wanted.delete(channel);
        }
        this.#changes = [];
        this.#kept = null;
        for (const [channel, one] of this.#channels) {
            one.live = wanted.has(channel);
            if (!one.live)
                this.#leave(channel);
        }
        kept.filter(({ channel }) => wanted.has(channel)).forEach((message) => this.#say(message));
    }

    async #subscribe(channel, live) {
        let one = this.#channels.get(channel);

        if (one === undefined) {
            one = { live, heard: false };
            one.opened = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
            this.#add(channel);
            this.#channels.set(channel, one);
        }
        await one.opened;
    }

    #add(channel) {
        const { watch, handle, listens } = this.#base;

        watch.check();
        if (this.#held !== null) {
            call('listener_add', this.#held.handle, channel);
            return;
        }
        listens();
        const listener = call('pool_listen', handle, channel);

        this.#held = new Held(watch, listener, call('watch_keep', watch.native, listener));
        this.#follow(this.#held);
    }

    #leave(channel, error = makeError('SP_CLOSED', `"${channel}" is not listened to any more`)) {
        this.#channels.get(channel).reject(error);
        this.#channels.delete(channel);
        if (this.#channels.size === 0) {
            this.#held.release();
            this.#held = null;
        } else if (!this.#base.watch.ended) {
            native.listener_remove(this.#held.handle, channel);
        }
    }

    async #follow(held) {
        const { watch } = this.#base;
        const options = { ctx: watch.listening };

        while (held === this.#held) {
            const said = await watch.submit('listener_next_async', (ctx) => [held.handle, ctx], options).catch((error) => ({ error }));

            if (held === this.#held)
                this.#hear(said);
        }
    }

    #hear({ channel, payload, pid, notice, lost, error }) {
        const one = this.#channels.get(channel);

        if (error !== undefined)
            this.#failed(error);
        else if (one !== undefined && notice !== undefined)
            this.#opened(one, lost);
        else if (one?.heard)
            this.#message(one, { name: 'notification', length: payload.length, processId: pid, channel, payload });
    }

    #opened(one, lost) {
        one.heard = true;
        one.resolve();
        if (lost)
            this.#lost();
    }

    #message(one, message) {
        if (this.#kept !== null)
            this.#kept.push(message);
        else if (one.live)
            this.#say(message);
    }

    #say(message) {
        aside(() => this.#tell(message));
    }

    /* Who waits is told; what was heard before may be again, but messages are missed. */
    #failed(error) {
        const again = MENDED.includes(error.code);
        const heard = [...this.#channels.values()].some((one) => one.heard);

        for (const [channel, one] of this.#channels) {
            if (!again || !one.heard)
                this.#leave(channel, error);
        }
        if (heard && error.code !== 'SP_CLOSED' && error.code !== 'SP_CANCELLED')
            this.#lost();
    }
}

module.exports = { Listener };
