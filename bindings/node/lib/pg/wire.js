// SPDX-License-Identifier: MIT
'use strict';
/*
 * What a submittable sees of a client: the calls and messages of the protocol that pg-cursor, pg-query-stream and pg-copy-streams
 * use, so that they work as they are. A submittable has the session for itself until it is done.
 */
const { EventEmitter } = require('node:events');
const { Duplex } = require('node:stream');
const copying = require('./copying.js');
const { DatabaseError, pgError } = require('./errors.js');
const { identity } = require('../rows.js');
const { Portal } = require('./portal.js');
const { decode } = require('./result.js');
const { prepareValue } = require('./values.js');

const COPY = /^\s*copy\b/i;
const COPY_OUT = /\bto\s+stdout\b/i;
const ERROR = 0x45;
const plain = { getTypeParser: () => identity };
const RAW = { decode: (bytes, offset) => decode(bytes, offset, plain, 'array') };

function ignore() {}

class Wire extends EventEmitter {
    #lineOf;
    #submittable = null;
    #done = null;
    #turn = Promise.resolve();
    #text = '';
    #portal = null;
    #copy = null;
    #messages = new copying.Messages();
    #more = ignore;

    constructor(lineOf) {
        super();
        this.#lineOf = lineOf;
        this.parsedStatements = {};
        this.submittedNamedStatements = {};
        this.stream = new Duplex({
            autoDestroy: false, emitClose: false, read: () => this.#more(),
            write: (piece, encoding, then) => this.#written(piece, then),
        });
        /* Whoever reads the messages puts itself in its place. */
        this.stream.on('data', ignore);
    }

    /* Resolves when it is done, however. Its first step waits for `sat`. */
    run(submittable, sat) {
        sat?.catch(ignore);
        this.#turn = this.#turn.catch(ignore).then(() => sat);
        this.#turn.catch(ignore);
        return new Promise((resolve) => {
            this.#submittable = submittable;
            this.#done = resolve;
            const refused = submittable.submit(this);

            if (refused)
                this.#failed(refused);
        });
    }

    #step(work) {
        const submittable = this.#submittable;

        this.#turn = this.#turn.then(async () => {
            if (submittable !== null && submittable === this.#submittable)
                await work(submittable);
        }).catch((error) => this.#failed(error));
    }

    async #failed(error) {
        const submittable = this.#submittable;
        const shift = this.#portal?.shift ?? 0;

        this.#submittable = null;
        await this.#portal?.close().catch(ignore);
        this.#copy?.release();
        submittable?.handleError(pgError(error, undefined, shift), this);
        /* To the server's word that it is ready there is some way: who was told may wait for it. */
        setImmediate(() => {
            this.emit('readyForQuery');
            this.#over();
        });
    }

    #ready(submittable) {
        this.#submittable = null;
        this.emit('readyForQuery');
        submittable.handleReadyForQuery(this);
        this.#over();
    }

    #over() {
        this.#copy?.release();
        this.#portal = this.#copy = null;
        this.#messages.clear();
        this.#done?.();
        this.#done = null;
    }

    parse({ text }) {
        this.#text = text;
    }

    bind({ values, valueMapper = prepareValue }) {
        this.#portal = new Portal(this.#lineOf(), this.#text, values?.map((value) => valueMapper(value)));
    }

    describe() {
        this.#step(async (submittable) => {
            const fields = await this.#portal.open();

            if (fields.length === 0) {
                this.emit('noData');
                return;
            }
            this.emit('rowDescription', { fields });
            submittable.handleRowDescription({ fields });
        });
    }

    execute({ rows: count = 0 }) {
        this.#step(async (submittable) => {
            const { rows, over, command } = await this.#portal.fetch(count);

            for (const fields of rows)
                submittable.handleDataRow({ fields });
            if (over)
                submittable.handleCommandComplete({ text: command }, this);
            else
                submittable.handlePortalSuspended(this);
        });
    }

    flush() {}

    /* Who is at its end already (a cursor whose statement failed) waits for the answer all the same. */
    close() {
        if (this.#done === null)
            setImmediate(() => this.emit('readyForQuery'));
    }

    sync() {
        this.#step(async (submittable) => {
            await this.#portal?.close();
            this.#ready(submittable);
        });
    }

    /* The simple protocol: COPY, or a text without values. */
    query(text) {
        this.#step((submittable) => {
            if (!COPY.test(text))
                return this.#plain(text, submittable);
            return COPY_OUT.test(text) ? this.#out(text, submittable) : this.#in(text, submittable);
        });
    }

    async #plain(text, submittable) {
        for (const result of [await this.#lineOf().now(text, undefined, RAW)].flat()) {
            if (result.fields.length > 0)
                submittable.handleRowDescription({ fields: result.fields });
            for (const fields of result.rows)
                submittable.handleDataRow({ fields });
            submittable.handleCommandComplete({ text: `${result.command} ${result.rowCount ?? ''}` }, this);
        }
        this.#ready(submittable);
    }

    /* Waits while whoever reads has enough. */
    #push(bytes) {
        return new Promise((resolve) => {
            this.#more = ignore;
            if (this.stream.push(bytes))
                resolve();
            else
                this.#more = resolve;
        });
    }

    async #out(text, submittable) {
        try {
            this.#copy = await copying.begin(this.#lineOf(), text);
            await this.#push(copying.message(copying.OUT, Buffer.alloc(3)));
            for (let data; (data = await this.#copy.read()) !== undefined;)
                await this.#push(copying.message(copying.DATA, data));
            const count = await this.#copy.end();

            /* Whoever is at the end of the stream knows the count. */
            submittable.handleCommandComplete({ text: `COPY ${count}` }, this);
            await this.#push(copying.message(copying.DONE));
            await this.#left();
            this.#ready(submittable);
        } catch (error) {
            this.stream.push(copying.message(ERROR));
            await this.#left();
            throw error;
        }
    }

    /* Whoever reads the messages has seen the last one, and has let go of the stream. */
    #left() {
        const { stream } = this;

        return new Promise((resolve) => {
            /* Then what stood there before is put back. */
            function back(event) {
                if (event !== 'data')
                    return;
                stream.off('newListener', back);
                setImmediate(resolve);
            }
            if (stream.listenerCount('data') > 0)
                resolve();
            else
                stream.on('newListener', back);
        });
    }

    async #in(text, submittable) {
        this.#copy = await copying.begin(this.#lineOf(), text);
        submittable.handleCopyInResponse(this);
    }

    #written(piece, then) {
        this.#messages.add(piece);
        this.#step(async (submittable) => {
            for (let found; (found = this.#messages.next()) !== undefined;) {
                if (found.letter === copying.DATA)
                    await this.#copy.write(found.body);
                else if (found.letter === copying.DONE)
                    await this.#copied(submittable);
            }
        });
        this.#turn.then(() => then());
    }

    async #copied(submittable) {
        submittable.handleCommandComplete({ text: `COPY ${await this.#copy.end()}` }, this);
        this.#copy.release();
        this.#ready(submittable);
    }

    sendCopyFail(why) {
        const error = new DatabaseError(`COPY from stdin failed: ${why}`);

        error.severity = 'ERROR';
        error.code = '57014';
        this.#step(async () => {
            throw error;
        });
    }

    ref() {}

    unref() {}

    end() {
        this.emit('end');
    }
}

module.exports = { Wire };
