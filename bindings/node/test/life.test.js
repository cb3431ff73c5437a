// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { script } = require('./support.js');

async function scene(name, stdout, code = 0) {
    const run = await script('life.js', [name]);
    assert.deepEqual({ code: run.code, stdout: run.stdout.trim(), killed: run.killed },
        { code, stdout, killed: false }, run.stderr);
}

test('the process exits by itself with a client open', () => scene('idle', '1'));
test('waiting for a change of a breaker does not hold the process', () => scene('watch', 'waiting'));
test('process.exit() works in the middle of everything', () => scene('exit', '', 7));
test('worker threads have clients of their own', () =>
    scene('workers', JSON.stringify(Array(4).fill([0, 496]))));
test('a worker that is terminated leaves the others alone', () => scene('terminate', '2'));
test('a client that is lost is closed, with a warning', () => scene('collect', '1 ResourceWarning: a Client was never closed'));
test('what belongs to a client keeps it', () => scene('keep', 'OPEN'));
test('close settles every promise', () => scene('close', '100'));

test('a library of another version is refused at load', async () => {
    const other = path.join(process.env.SUGARPERF_BUILD, 'bindings', 'libother-version.so');
    assert.ok(fs.existsSync(other), `${other} is not built`);
    const run = await script('load.js', [], { LD_PRELOAD: other });
    assert.equal(run.stdout.trim(),
        'sugarperf: package 0.1.0 does not fit libsugarperf 9.9.9; install the same version of both');
});

test('the build may be named from where the program runs', async () => {
    const run = await script('load.js', [], { SUGARPERF_BUILD: path.relative('', process.env.SUGARPERF_BUILD) || '.' });
    assert.deepEqual([run.code, run.stdout.trim()], [0, 'loaded']);
});

test('a missing addon is one clear line', async () => {
    const run = await script('load.js', [], { SUGARPERF_BUILD: '/nonexistent' });
    assert.match(run.stdout, /^sugarperf: cannot load .*install libsugarperf .*meson install.*SUGARPERF_BUILD/);
    assert.equal(run.stdout.trim().split('\n').length, 1);
});
