// SPDX-License-Identifier: MIT
'use strict';
const native = require('./native.js');
const { call } = require('./errors.js');

/* Settings by the library's configuration names. */
function configOf(settings, env = false) {
    const config = native.config_new();

    for (const [name, value] of Object.entries(settings ?? {})) {
        if (value !== undefined && value !== null)
            call('config_set', config, name, String(value));
    }
    if (env)
        call('config_env', config);
    return config;
}

module.exports = { configOf };
