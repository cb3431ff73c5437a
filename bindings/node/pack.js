// SPDX-License-Identifier: MIT
'use strict';
/*
 * Before npm pack: the licence, the guide, and the addon with the library inside, of the build tree that SUGARPERF_BUILD names,
 * else of build/; it must load and be of this version. --clean: after it, they are taken away.
 */
const fs = require('node:fs');
const path = require('node:path');
const { version } = require('./package.json');

const root = path.join(__dirname, '..', '..');
const tree = process.env.SUGARPERF_BUILD ?? path.join(root, 'build');
const built = path.join(tree, 'bindings', 'node', 'sugarperf-packed.node');
const folder = path.join(__dirname, 'build');
const addon = path.join(folder, 'sugarperf.node');
const texts = { LICENSE: path.join(root, 'LICENSE'), 'README.md': path.join(root, 'docs', 'node.md') };

function clean() {
    fs.rmSync(folder, { recursive: true, force: true });
    for (const name of Object.keys(texts))
        fs.rmSync(path.join(__dirname, name), { force: true });
}

function fill() {
    if (!fs.existsSync(built))
        throw new Error(`${built} is not there: ./run setup builds it, or name the build tree in SUGARPERF_BUILD`);
    fs.mkdirSync(folder, { recursive: true });
    fs.copyFileSync(built, addon);
    for (const [name, from] of Object.entries(texts))
        fs.copyFileSync(from, path.join(__dirname, name));
    const found = require(addon).version();
    if (found !== version)
        throw new Error(`the library is ${found}, the package ${version}: build it anew`);
}

try {
    if (process.argv.includes('--clean'))
        clean();
    else
        fill();
} catch (error) {
    clean();
    console.error(`pack: ${error.message}`);
    process.exitCode = 1;
}
