// SPDX-License-Identifier: MIT
'use strict';
/* LISTEN of one client: messages come over the pool's own session for them, which is made again when it is lost. */

function ignore() {}

class Listener {
    #pool;
    #listens;
    #tell;
    #lost;
    #stops = new Map();

    /* `tell({ channel, payload, processId })`; `lost()`: messages may have been missed, whereupon it may unlisten(). */
    constructor({ pool, listens }, tell, lost) {
        this.#pool = pool;
        this.#listens = listens;
        this.#tell = tell;
        this.#lost = lost;
    }

    /* Resolves when it hears. */
    async listen(channel) {
        if (this.#stops.has(channel))
            return;
        this.#listens();
        const stop = new AbortController();
        const messages = this.#pool.listen(channel, { signal: stop.signal });

        this.#stops.set(channel, stop);
        try {
            await messages.next();
        } catch (error) {
            this.#stops.delete(channel);
            throw error;
        }
        this.#follow(messages).catch(ignore);
    }

    async #follow(messages) {
        for await (const { channel, payload, pid, notice, lost } of messages) {
            if (notice === undefined)
                this.#tell({ name: 'notification', length: payload.length, processId: pid, channel, payload });
            else if (lost)
                this.#lost();
        }
    }

    /* null: to all. */
    unlisten(channel) {
        for (const [name, stop] of this.#stops) {
            if (channel !== null && channel !== name)
                continue;
            this.#stops.delete(name);
            stop.abort();
        }
    }
}

module.exports = { Listener };
