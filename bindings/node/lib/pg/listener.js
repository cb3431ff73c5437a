// SPDX-License-Identifier: MIT
'use strict';
/*
 * LISTEN of one client: messages come over the pool's own session for them, which is made again when it is lost. In a transaction
 * LISTEN and UNLISTEN hold once it is committed, as the server has it: what is to be heard then is subscribed to before, and mute.
 */

function ignore() {}

class Listener {
    #pool;
    #listens;
    #tell;
    #lost;
    #subscribed = new Map(); /* by channel: { stop, live, kept: messages since the transaction began to end } */
    #changes = []; /* of a transaction: { listen, channel } and savepoints, { mark } */

    /* `tell({ channel, payload, processId })`; `lost()`: messages may have been missed, whereupon it may unlisten(). */
    constructor({ pool, listens }, tell, lost) {
        this.#pool = pool;
        this.#listens = listens;
        this.#tell = tell;
        this.#lost = lost;
    }

    /* Resolves when it hears. */
    async listen(channel) {
        (await this.#subscribe(channel)).live = true;
    }

    /* null: to all. */
    unlisten(channel) {
        for (const name of [...this.#subscribed.keys()]) {
            if (channel === null || channel === name)
                this.#stop(name);
        }
    }

    /* Either, once the transaction is committed. */
    async change(listen, channel) {
        if (listen)
            await this.#subscribe(channel);
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

    /* The transaction is about to be committed: what is said from now on may be meant for it. */
    ending() {
        for (const one of this.#subscribed.values())
            one.kept ??= one.live ? null : [];
    }

    ended(committed) {
        const wanted = new Set([...this.#subscribed].filter(([, { live }]) => live).map(([channel]) => channel));

        for (const { mark, listen, channel } of committed ? this.#changes : []) {
            if (mark === undefined && listen)
                wanted.add(channel);
            else if (mark === undefined)
                channel === null ? wanted.clear() : wanted.delete(channel);
        }
        this.#changes = [];
        for (const [channel, one] of this.#subscribed) {
            if (wanted.has(channel))
                this.#open(one);
            else
                this.#stop(channel);
        }
    }

    #open(one) {
        const kept = one.kept ?? [];

        one.live = true;
        one.kept = null;
        kept.forEach((message) => this.#tell(message));
    }

    #stop(channel) {
        this.#subscribed.get(channel).stop.abort();
        this.#subscribed.delete(channel);
    }

    async #subscribe(channel) {
        const there = this.#subscribed.get(channel);
        if (there !== undefined)
            return there;
        this.#listens();
        const one = { stop: new AbortController(), live: false, kept: null };
        const messages = this.#pool.listen(channel, { signal: one.stop.signal });

        this.#subscribed.set(channel, one);
        try {
            await messages.next();
        } catch (error) {
            this.#subscribed.delete(channel);
            throw error;
        }
        this.#follow(messages, one).catch(ignore);
        return one;
    }

    async #follow(messages, one) {
        for await (const { channel, payload, pid, notice, lost } of messages) {
            if (notice === undefined)
                this.#hear(one, { name: 'notification', length: payload.length, processId: pid, channel, payload });
            else if (lost)
                this.#lost();
        }
    }

    #hear(one, message) {
        if (one.live)
            this.#tell(message);
        else
            one.kept?.push(message);
    }
}

module.exports = { Listener };
