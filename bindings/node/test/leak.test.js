// SPDX-License-Identifier: MIT
'use strict';
/* Nothing is left of operations that ended, whichever way: SP_LEAK_OPERATIONS of them (100,000), 64 at a time. */
const test = require('node:test');
const assert = require('node:assert/strict');
const { script } = require('./support.js');

test('memory, descriptors and sessions do not grow with operations, and the process ends by itself', async () => {
    const { code, stdout, stderr } = await script('leak.js', [], {}, 270000);

    assert.equal(code, 0, stderr);
    assert.match(stdout, /^\d+ operations, flat\n$/);
});
