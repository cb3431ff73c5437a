// SPDX-License-Identifier: MIT
'use strict';
/* GET /metrics, or wherever the module is told: what Prometheus reads, in OpenMetrics where it asks for that. */
const { Controller, Get, Headers, Inject, Res } = require('@nestjs/common');
const { Client } = require('../client.js');

const TYPES = {
    prometheus: 'text/plain; version=0.0.4; charset=utf-8',
    openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

function metricsAt(path) {
    class SugarperfMetrics {
        constructor(client) {
            this.client = client;
        }

        read(accept, response) {
            const format = accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus';

            response.header('Content-Type', TYPES[format]);
            return this.client.metrics(format);
        }
    }
    const made = SugarperfMetrics.prototype;

    Get()(made, 'read', Object.getOwnPropertyDescriptor(made, 'read'));
    Headers('accept')(made, 'read', 0);
    Res({ passthrough: true })(made, 'read', 1);
    Controller(path)(SugarperfMetrics);
    Inject(Client)(SugarperfMetrics, undefined, 0);
    return SugarperfMetrics;
}

module.exports = { metricsAt };
