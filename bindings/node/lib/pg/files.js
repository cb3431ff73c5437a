// SPDX-License-Identifier: MIT
'use strict';
/*
 * Certificates and keys that are given as text: libpq reads files, so each is one in memory, which nobody else may read. libpq looks
 * there for each connection, so they stay as long as the client.
 */
const { closeSync } = require('node:fs');
const native = require('../native.js');
const { makeError } = require('../errors.js');

function bytesOf(name, given) {
    if (Array.isArray(given))
        return Buffer.concat(given.flatMap((one) => [bytesOf(name, one), Buffer.from('\n')]));
    if (typeof given !== 'string' && !ArrayBuffer.isView(given))
        throw new TypeError(`${name} must be a string or a Buffer in PEM form, or an array of them`);
    return typeof given === 'string' ? Buffer.from(given) : Buffer.from(given.buffer, given.byteOffset, given.byteLength);
}

function close(descriptors) {
    for (const descriptor of descriptors.splice(0))
        closeSync(descriptor);
}

/* Of clients that nobody can reach any more. */
const lost = new FinalizationRegistry(close);

class Files {
    #descriptors = [];

    /* The name of a file of these bytes. */
    add(name, given) {
        const descriptor = native.file_of(bytesOf(name, given));

        if (descriptor < 0)
            throw makeError('SP_UNAVAILABLE', `${name}: no descriptor is left: raise the open-file limit`);
        this.#descriptors.push(descriptor);
        return `/proc/self/fd/${descriptor}`;
    }

    /* At the latest with `client`. */
    end(client) {
        if (this.#descriptors.length > 0)
            lost.register(client, this.#descriptors);
    }

    close() {
        close(this.#descriptors);
    }
}

module.exports = { Files };
