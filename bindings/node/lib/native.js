// SPDX-License-Identifier: MIT
'use strict';
/*
 * Finds and loads the addon: in the build tree that SUGARPERF_BUILD names, else in this package. An addon and a library
 * of different versions do not work together, so that is said at load.
 */
const path = require('node:path');
const { version } = require('../package.json');

const file = process.env.SUGARPERF_BUILD
    ? path.resolve(process.env.SUGARPERF_BUILD, 'bindings', 'node', 'sugarperf.node')
    : path.join(__dirname, '..', 'build', 'sugarperf.node');

function load() {
    try {
        return require(file);
    } catch (error) {
        throw new Error(`sugarperf: cannot load ${file} (${error.message.split('\n', 1)[0]}); ` +
            'install libsugarperf and this package with meson install, or set SUGARPERF_BUILD to a build folder');
    }
}

const native = load();

function check(what, found) {
    if (found !== version)
        throw new Error(`sugarperf: package ${version} does not fit ${what} ${found}; install the same version of both`);
}

check('its addon', native.built_for());
check('libsugarperf', native.version());

native.anchor();
module.exports = native;
