// SPDX-License-Identifier: MIT
'use strict';
/*
 * Parameters as an sp_params, through one sheet that is reused: the library copies what it needs before the call returns.
 */
const native = require('./native.js');
const { call, makeError } = require('./errors.js');
const { Sheet, check, settled, textOf } = require('./sheet.js');

const sheet = new Sheet(4096);
const params = native.params_new();

function loaded(end) {
    call('params_load', params, sheet.buffer.subarray(0, end));
    return params;
}

/* The values as an sp_params, valid until the next call; null for none. */
function load(values) {
    const end = sheet.params(0, settled(values));

    return end === 0 ? null : loaded(end);
}

/* Several sets of the same number of values: version 2, and how many sets there are. */
function loadSets(given) {
    if (!Array.isArray(given))
        throw new TypeError('sets must be an array of arrays of parameters');
    const sets = given.map(settled);
    const count = sets.length === 0 ? 0 : sets[0]?.length;
    let end = 8;

    sets.forEach((values, i) => {
        check(values);
        if (values.length !== count)
            throw makeError('SP_INVALID', `set ${i} has ${values.length} parameters, set 0 has ${count}`);
    });
    sheet.head(0, 2, count);
    sheet.u32(4, sets.length);
    for (const values of sets)
        end = sheet.values(end, values);
    return loaded(end);
}

module.exports = { load, loadSets, textOf };
