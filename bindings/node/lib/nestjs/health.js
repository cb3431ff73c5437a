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

    /* The database of a pool, after a SELECT 1 within its own deadline, and how the pool fares. */
    async isHealthy(key, options) {
        const { status, ...more } = await this.#client.health(options);
        const told = { [key]: { status: status === 'healthy' ? 'up' : 'down', ...more } };

        if (status !== 'healthy')
            throw new Down(key, told);
        return told;
    }
}

Injectable()(SugarperfHealth);
Inject(Client)(SugarperfHealth, undefined, 0);

module.exports = { SugarperfHealth };
