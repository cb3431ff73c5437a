// SPDX-License-Identifier: MIT
'use strict';
/* Arguments as they were given, checked where the library would not see what is wrong with them. */

/* `given` must be a function. */
function aFunction(what, given) {
    if (typeof given !== 'function')
        throw new TypeError(`${what} must be a function`);
}

function milliseconds(what, given) {
    if (typeof given !== 'number' || !Number.isSafeInteger(Math.round(given * 1e6)) || given < 0)
        throw new TypeError(`${what} must be a number of milliseconds`);
    return given;
}

function signal(given) {
    if (given !== undefined && given !== null && typeof given.addEventListener !== 'function')
        throw new TypeError('signal must be an AbortSignal');
}

module.exports = { function: aFunction, milliseconds, signal };
