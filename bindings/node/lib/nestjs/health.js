// SPDX-License-Identifier: MIT
'use strict';
/* A health indicator as Terminus calls one: { [key]: { status: 'up', … } }, or an error that says what is down. */
const { Inject, Injectable } = require('@nestjs/common');
const { Client } = require('../client.js');

class Down extends Error {
    constructor(key, causes) {
        super(`${key} is down`);
        this.isHealthCheckError = true;
        this.causes = causes;
    }
}

class SugarperfHealth {
    #client;

    constructor(client) {
        this.#client = client;
    }

    /*
     * All of the client's, or the database of one `pool` alone. What is degraded is up: without its cache or behind a breaker a
     * service still serves.
     */
    async isHealthy(key, options) {
        const { pool, ...limits } = options ?? {};
        const asked = pool === undefined ? this.#client : this.#client.pool(pool);
        const { status, ...more } = await asked.health(limits);
        const told = { [key]: { status: status === 'unhealthy' ? 'down' : 'up', ...more } };

        if (status === 'unhealthy')
            throw new Down(key, told);
        return told;
    }
}

Injectable()(SugarperfHealth);
Inject(Client)(SugarperfHealth, undefined, 0);

module.exports = { SugarperfHealth };
