// SPDX-License-Identifier: MIT
'use strict';
/*
 * What runs on one session, in the order in which it was given. Statements are sent without waiting for those before them: the
 * server answers them one by one all the same. What needs the session for itself (several statements, a cursor, COPY) waits until
 * all before it have been answered, and holds up what comes behind.
 *
 * One that a pool has lent needs no session before something asks for it. Until then what only reads goes over shared connections, one
 * at a time, so that the order is the same.
 */
const native = require('../native.js');
const params = require('../params.js');
const { makeError } = require('../errors.js');
const { Unit } = require('../unit.js');
const { share } = require('./base.js');
const { Result } = require('./result.js');
const { freshOf, runOf } = require('./text.js');

const IDLE = 'I', OPEN = 'T', FAILED = 'E';

class Line {
    #base;
    #held;
    #take; /* null: it has a session, or is about to */
    #refused = null; /* why it got none */
    #after = null; /* who waits for its end */
    #idle;
    #jobs = [];
    #running = 0;
    #alone = false;
    #lost;
    #altered = false; /* something that is prepared may have another answer now */
    #unit;

    /*
     * `held`: its session, or null: take() resolves to one when it is needed; `listener`: of LISTEN and UNLISTEN; `notices`: the
     * session's; `idle()`: nothing is left to do; `lost(error)`: by its error its connection is gone.
     */
    constructor(base, held, take, { listener, notices, idle, lost }) {
        this.#base = base;
        this.watch = base.watch;
        this.#held = held;
        this.#take = held === null ? take : null;
        this.#idle = idle;
        this.#lost = lost;
        this.listener = listener;
        this.notices = notices;
        this.status = IDLE;
    }

    get handle() {
        if (this.#refused !== null)
            throw this.#refused;
        if (!this.#held?.here)
            throw makeError('SP_CLOSED', 'the session was given back');
        return this.#held.handle;
    }

    get busy() {
        return this.#running > 0 || this.#jobs.length > 0;
    }

    /* `work()` resolves or rejects in its turn; `alone`: with nothing beside it. */
    add(alone, work) {
        return new Promise((resolve, reject) => {
            this.#jobs.push({ alone, work, resolve, reject });
            this.#advance();
        });
    }

    #advance() {
        while (this.#jobs.length > 0 && !this.#alone && !(this.#jobs[0].alone && this.#running > 0)) {
            const { alone, work, resolve, reject } = this.#jobs.shift();

            this.#running++;
            this.#alone = alone;
            work().then(resolve, reject).then(() => this.#over(alone));
        }
    }

    #over(alone) {
        this.#running--;
        if (alone)
            this.#alone = false;
        this.#advance();
        if (this.busy)
            return;
        this.#after?.();
        this.#idle();
    }

    /* Whether it goes without a session so far. */
    get loose() {
        return this.#take !== null;
    }

    /* What is added from now on has a session. */
    settle() {
        const take = this.#take;

        this.#take = null;
        if (take !== null)
            this.add(true, () => this.#sit(take)).catch(() => {});
    }

    async #sit(take) {
        try {
            this.#held = await take();
        } catch (error) {
            this.#refused = error;
            throw error;
        }
    }

    async #roam(run, values, options) {
        try {
            return await share(this.#base, run, values, options);
        } catch (error) {
            if (error.code !== 'SP_SESSION')
                throw error;
        }
        const take = this.#take;

        this.#take = null;
        if (take !== null)
            await this.#sit(take);
        return this.#run(run, values, options);
    }

    /* Of the library's, on this session. */
    submit(name, args, options) {
        const { handle } = this;

        this.notices.begin(this.#held);
        return this.notices.before(this.watch.submit(name, (ctx) => [handle, ctx, ...args()], options, this.#unit));
    }

    /*
     * Resolves to a Result, or an array of them where the text holds several statements. What notices come with is known of one
     * statement at a time.
     */
    query(text, values, options) {
        const run = runOf(text);

        if (this.loose && run.roams && !this.busy && !this.notices.wanted)
            return this.add(true, () => this.#roam(run, values, options));
        this.settle();
        const alone = run.parts !== undefined || run.listen !== undefined || this.notices.wanted;

        return this.add(alone, () => this.#run(run, values, options));
    }

    /* query() for who has the line alone: at once. */
    now(text, values, options) {
        return this.#run(runOf(text), values, options);
    }

    async #run(run, values, options) {
        if (run.listen !== undefined)
            return this.#listen(run);
        if (run.parts?.length === 0)
            return new Result();
        if (run.parts !== undefined && !(values?.length > 0) && !options?.extended)
            return this.#script(run.parts, options);
        return this.#one(run, values, options);
    }

    async #one(run, values, options) {
        if (run.ends && !run.back)
            this.listener.ending();
        if (run.deed !== undefined && this.#deedable(run))
            return this.#deed(run, options);
        this.#altered ||= run.alters === true;
        /* What is said of a text comes when it is parsed. */
        const fresh = this.#altered || this.notices.wanted;
        const statement = fresh && run.parts === undefined ? freshOf(run) : run.statement;

        try {
            const result = await this.submit('session_query_async', () => [statement, params.load(values)], options);

            this.#ran(run, result.command);
            return result;
        } catch (error) {
            if (run.ends && !run.back && error.fields !== undefined)
                this.#gone();
            else
                this.#unsure(run.ends && !run.back);
            this.#failed(error);
            throw error;
        }
    }

    #failed(error) {
        if (error.code === 'SP_LOST' || error.code === 'SP_UNAVAILABLE' || error.fields?.V === 'FATAL')
            this.#lost(error);
    }

    #ran(run, command) {
        if (command === 'BEGIN' || command === 'START')
            this.status = OPEN;
        else if (run.ends && !run.back)
            this.#ended(command === 'COMMIT', run.chained);
        else if (run.inside)
            this.#inside(run);
        if (this.status === IDLE && this.#running <= 1)
            this.#leave();
    }

    #ended(committed, chained = false) {
        this.status = chained ? OPEN : IDLE;
        this.listener.ended(committed);
    }

    /* Whatever it says, the end of a transaction that failed has ended it. */
    #gone() {
        this.#ended(false);
        if (this.#running <= 1)
            this.#leave();
    }

    /* `ending`: the end of a transaction, of which nobody knows. */
    #unsure(ending) {
        if (ending)
            this.listener.ended(false);
        if (this.status === OPEN)
            this.status = FAILED;
    }

    #inside({ back, savepoint }) {
        if (back) {
            this.status = OPEN;
            this.listener.rollbackTo(savepoint.name);
        } else if (savepoint?.released) {
            this.listener.release(savepoint.name);
        } else {
            this.listener.savepoint(savepoint?.name);
        }
    }

    /* Where the transaction stands is known only while nothing is on its way. */
    #deedable(run) {
        return this.#running === 1 && (run.deed === 'begin' ? this.status === IDLE : this.status !== IDLE);
    }

    /* A transaction is a unit of work of its own. BEGIN goes with its first statement. */
    async #deed(run, options) {
        if (run.deed === 'begin') {
            this.#unit = new Unit(this.watch.above, { unit: 'own', reads: 'primary' });
            this.status = OPEN;
            await this.submit('session_begin_async', () => [null], options);
            return Result.of(run.command);
        }
        let committed = false;

        try {
            await this.submit(`session_${run.deed}_async`, () => [], options);
            committed = run.deed === 'commit';
            return Result.of(run.command);
        } catch (error) {
            /* A statement in it had failed, so nothing took effect: to the server that is an answer. */
            if (error.serverCode !== '25P02') {
                this.#failed(error);
                throw error;
            }
            return Result.of('ROLLBACK');
        } finally {
            this.#ended(committed);
            this.#leave();
        }
    }

    #leave() {
        this.#unit?.end();
        this.#unit = undefined;
    }

    /*
     * As the server has a text of several statements: what is in no transaction is in one of the text's own, up to a COMMIT in it or
     * its end; a BEGIN in it makes that the caller's.
     */
    async #script(parts, options) {
        const own = { open: false };
        const results = [];

        try {
            for (const part of parts)
                results.push(await this.#part(part, own, options));
        } catch (error) {
            if (own.open)
                await this.#one(runOf('ROLLBACK')).catch(() => {});
            throw error;
        }
        if (own.open)
            await this.#one(runOf('COMMIT'), undefined, options);
        return results;
    }

    async #part(part, own, options) {
        const free = this.status === IDLE;

        if (own.open && part.deed === 'begin') {
            own.open = false;
            return Result.of(part.command);
        }
        if (free && !part.begins && !part.ends && !part.inside) {
            await this.#one(runOf('BEGIN'), undefined, options);
            own.open = true;
        } else if (own.open && part.inside) {
            /* SAVEPOINT is refused there. */
            await this.#one(runOf('ROLLBACK'));
        }
        if (part.ends || part.begins || part.inside)
            own.open = false;
        return this.#run(part, undefined, options);
    }

    /* Where a transaction failed the server says so of any statement. */
    async #listen({ listen, channel }) {
        if (this.status === FAILED)
            await this.#one(runOf('SELECT 1'));
        if (this.status !== IDLE)
            await this.listener.change(listen, channel);
        else if (listen)
            await this.listener.listen(channel);
        else
            this.listener.unlisten(channel);
        return Result.of(listen ? 'LISTEN' : 'UNLISTEN');
    }

    /* Nothing is added any more. What waits for a session has its turn: then resolves to that. */
    release() {
        if (this.busy && this.#held === null)
            return new Promise((resolve) => {
                this.#after = () => resolve(this.#free());
            });
        return this.#free();
    }

    #free() {
        this.#after = null;
        this.#leave();
        this.listener.unlisten(null);
        this.#held?.release();
    }
}

module.exports = { FAILED, IDLE, Line, OPEN };
