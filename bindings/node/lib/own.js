// SPDX-License-Identifier: MIT
'use strict';
/*
 * What a service counts itself, on the page of client.metrics(): client.counter(), gauge(), histogram() give one series, to be kept.
 * What comes once the client is closed counts nowhere.
 */
const native = require('./native.js');
const given = require('./given.js');
const params = require('./params.js');
const { call } = require('./errors.js');

const MS = 1e6;

/* { method: 'card' } as the library wants it: name, value, … */
function labelsOf(labels = {}) {
    if (typeof labels !== 'object' || labels === null)
        throw new TypeError('labels must be an object');
    return params.load(Object.entries(labels).flatMap(([name, value]) => [name, String(value)]));
}

class Series {
    #client;
    #handle;

    constructor(client, metrics, kind, name, help, labels) {
        client.check();
        this.#client = client;
        this.#handle = call(`metrics_${kind}`, metrics, name, help, labelsOf(labels));
    }

    /* `name` of the addon on it; 0 where there is no client any more. */
    call(name, ...args) {
        return this.#client.closed ? 0 : native[name](this.#handle, ...args);
    }
}

class Counter {
    #series;

    constructor(client, metrics, ...wanted) {
        this.#series = new Series(client, metrics, 'counter', ...wanted);
    }

    add(count = 1) {
        if (!Number.isSafeInteger(count) || count < 0)
            throw new TypeError('count must be a whole number, 0 or more');
        this.#series.call('counter_add', count);
    }

    get value() {
        return this.#series.call('counter_value');
    }
}

class Gauge {
    #series;

    constructor(client, metrics, ...wanted) {
        this.#series = new Series(client, metrics, 'gauge', ...wanted);
    }

    set(value) {
        this.#series.call('gauge_set', value);
    }

    add(change) {
        this.#series.call('gauge_add', change);
    }

    get value() {
        return this.#series.call('gauge_value');
    }
}

class Histogram {
    #series;

    constructor(client, metrics, ...wanted) {
        this.#series = new Series(client, metrics, 'histogram', ...wanted);
    }

    /* A duration in milliseconds; on the page they are seconds, as the metric's name says. */
    record(ms) {
        this.#series.call('histogram_record', Math.round(given.milliseconds('ms', ms) * MS));
    }

    get count() {
        return this.#series.call('histogram_count');
    }

    /* Milliseconds; `q` from 0 to 1. */
    quantile(q) {
        return this.#series.call('histogram_quantile_ns', q) / MS;
    }
}

module.exports = { Counter, Gauge, Histogram };
