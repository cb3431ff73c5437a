// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const sugarperf = require('..');

test('the types accept what works and refuse what does not', () => {
    const tsc = require.resolve('typescript/bin/tsc');
    try {
        execFileSync(process.execPath, [tsc, '-p', path.join(__dirname, 'tsconfig.json')], { encoding: 'utf8' });
    } catch (error) {
        assert.fail(error.stdout);
    }
});

test('the types know every export', () => {
    const text = fs.readFileSync(path.join(__dirname, '..', 'index.d.ts'), 'utf8');
    const declared = [...text.matchAll(/^export (?:class|const) (\w+)/gm)].map((match) => match[1]);
    assert.deepEqual(declared.sort(), Object.keys(sugarperf).sort());
});
