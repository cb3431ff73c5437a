// SPDX-License-Identifier: MIT
'use strict';
/* What the library tells from time to time, as an async iterator. Who waits for it does not keep the process. */
const { Source } = require('./source.js');

/*
 * `name` of the addon on `handle`, called again and again with the number of the last one, which each has as its member `number`.
 * Ends with the signal or the client.
 */
function newsOf(client, watch, name, handle, number, signal) {
    return new Source(watch, async (unit) => {
        let seen = 0;

        return {
            async read() {
                if (client.closed)
                    return undefined;
                const news = await watch.submit(name, (ctx) => [handle, ctx, seen], { idle: true }, unit);

                seen = news[number];
                return [news];
            },
            release() {},
        };
    }, { signal, parent: { ctx: watch.listening }, quiet: true });
}

module.exports = { newsOf };
