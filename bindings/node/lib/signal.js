// SPDX-License-Identifier: MIT
'use strict';
/* What is to happen when a caller's AbortSignal is aborted. */
const events = require('node:events');

/* Of one that nobody has set a limit for, Node (20) says that it is none of its kind. */
function limitOf(signal) {
    try {
        return events.getMaxListeners(signal);
    } catch {
        return events.defaultMaxListeners;
    }
}

/* Calls that share a signal, a request's, may be many at once: that is no leak to be warned of. A limit that was set is left. */
function unlimited(signal) {
    const { defaultMaxListeners: usual } = events;

    if (signal instanceof AbortSignal && events.getEventListeners(signal, 'abort').length === usual && limitOf(signal) === usual)
        events.setMaxListeners(0, signal);
}

/* `listener` once it is aborted, at once where it is. */
function onAbort(signal, listener) {
    if (signal.aborted) {
        listener();
        return;
    }
    unlimited(signal);
    signal.addEventListener('abort', listener, { once: true });
}

module.exports = { onAbort };
