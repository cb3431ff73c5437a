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

function whole(what, given) {
    if (!Number.isSafeInteger(given) || given < 0)
        throw new TypeError(`${what} must be a whole number of milliseconds`);
    return given;
}

/* As the library reads a time: what is left of a deadline has fractions, and is rounded up. */
function duration(given) {
    return String(typeof given === 'number' ? Math.ceil(given) : given);
}

const NONE = Object.freeze({});

/* Options by these names; none where nothing was given. What is misspelt must not quietly be the default. */
function options(given, names, what = 'option') {
    if (given === undefined || given === null)
        return NONE;
    if (typeof given !== 'object')
        throw new TypeError(`${what}s must be an object`);
    for (const name of Object.keys(given)) {
        if (!names.includes(name))
            throw new TypeError(`there is no ${what} "${name}": ${names.join(', ')}`);
    }
    return given;
}

function signal(given) {
    if (given !== undefined && given !== null && typeof given.addEventListener !== 'function')
        throw new TypeError('signal must be an AbortSignal');
}

module.exports = { duration, function: aFunction, milliseconds, options, signal, whole };
