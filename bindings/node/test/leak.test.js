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

for (const face of ['client', 'pg']) {
    test(`what a statement needed is dead when the young generation is collected: ${face}`, async () => {
        const { code, stdout, stderr } = await script('garbage.js', [face]);

        assert.equal(code, 0, stderr);
        /* A chain of dead Maps kept 450 and 940 bytes of each; collections took four times as long. */
        assert.ok(Number(stdout) < 100, `${stdout.trim()} bytes of each operation grew old`);
    });
}
