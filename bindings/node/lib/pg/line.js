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
const { AsyncResource } = require('node:async_hooks');
const native = require('../native.js');
const params = require('../params.js');
const { makeError } = require('../errors.js');
const { Unit } = require('../unit.js');
const { share } = require('./base.js');
const { Result } = require('./result.js');
const { freshOf, runOf } = require('./text.js');

const IDLE = 'I', OPEN = 'T', FAILED = 'E';

function gone() {
    return makeError('SP_CLOSED', 'the session was given back');
}

class Line {
    #base;
    #held;
    #take;
    #refused = null; /* why it got no session: of those that were given meanwhile none takes effect */
    #behind = 0; /* so many */
    #whole = false; /* a submittable has it, which may never be done */
    #ending = false; /* nothing is begun any more that may never be done */
    #after = null; /* who waits for its end */
    #freed = false;
    #idle;
    #jobs = [];
    #running = 0;
    #alone = false;
    #lost;
    #altered = false; /* something that is prepared may have another answer now */
    #unit;

    /*
     * `held`: its session, or null: take(timeout) resolves to one when it is needed; `listener`: of LISTEN and UNLISTEN; `notices`: the
     * session's; `idle()`: nothing is left to do; `lost(error)`: by its error its connection is gone.
     */
    constructor(base, held, take, { listener, notices, idle, lost }) {
        this.#base = base;
        this.watch = base.watch;
        this.#held = held;
        this.#take = take;
        this.#idle = idle;
        this.#lost = lost;
        this.listener = listener;
        this.notices = notices;
        this.status = IDLE;
    }

    get handle() {
        if (!this.#held?.here)
            throw gone();
        return this.#held.handle;
    }

    get busy() {
        return this.#running > 0 || this.#jobs.length > 0;
    }

    /* `work()` resolves or rejects in its turn, as part of what its caller is part of; `alone`: with nothing beside it. */
    add(alone, work) {
        return new Promise((resolve, reject) => {
            this.#jobs.push({ alone, work: this.watch.scoped && this.busy ? AsyncResource.bind(work) : work, resolve, reject });
            this.#advance();
        });
    }

    #advance() {
        while (this.#jobs.length > 0 && !this.#alone && !(this.#lone && this.#running > 0)) {
            const alone = this.#lone;
            const { work, resolve, reject } = this.#jobs.shift();

            if (this.#refused !== null && this.#behind-- === 0)
                this.#refused = null;
            this.#running++;
            this.#alone = alone;
            work().then(resolve, reject).then(() => this.#over(alone));
        }
    }

    /* Whether the next one has nothing beside it: without a session no other way keeps the order. */
    get #lone() {
        return this.#jobs[0].alone || this.#held === null;
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
        return this.#held === null;
    }

    /* `work(sat)` has the session for itself, and begins at once where nothing is before it; `sat`: when there is one. */
    whole(work) {
        return this.add(true, async () => {
            if (this.#ending)
                throw gone();
            this.#whole = true;
            const sat = this.#held === null ? this.#sit() : undefined;

            try {
                await work(sat);
            } finally {
                /* It may be done before. */
                await sat?.catch(() => {});
                this.#whole = false;
            }
        });
    }

    /* From now on it has a session. Resolves to the options of who needs it, with the time that is left. */
    async #sit(options) {
        const timeout = options?.timeout ?? this.#base.patience, begun = Date.now();

        if (this.#refused !== null)
            throw this.#refused;
        try {
            this.#held = await this.#take(timeout);
        } catch (error) {
            this.#refused = error;
            this.#behind = this.#jobs.length;
            throw error;
        }
        if (this.#freed) {
            this.#held.release();
            throw gone();
        }
        return timeout === undefined ? options : { ...options, timeout: `${Math.max(1, Number.parseInt(timeout, 10) - (Date.now() - begun))}ms` };
    }

    async #unheld(run, values, options) {
        if (this.#refused !== null)
            throw this.#refused;
        if (run.listen !== undefined || run.parts?.length === 0)
            return this.#run(run, values, options);
        if (!this.notices.wanted) {
            if (run.roams && this.#jobs.length === 0)
                return share(this.#base, run, values, options);
            /* There is nothing that it could end. */
            if (run.deed === 'commit' || run.deed === 'rollback')
                return Result.of(run.command);
        }
        return this.#run(run, values, await this.#sit(options));
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
        const alone = run.parts !== undefined || run.listen !== undefined || this.notices.wanted;

        return this.add(alone, () => (this.#held === null ? this.#unheld(run, values, options) : this.#run(run, values, options)));
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
        if (this.status !== IDLE && !this.#ending)
            await this.listener.change(listen, channel);
        else if (listen && !this.#ending)
            await this.listener.listen(channel);
        else
            this.listener.unlisten(channel);
        return Result.of(listen ? 'LISTEN' : 'UNLISTEN');
    }

    /* Resolves when what was added before is done. */
    async drained() {
        this.#ending = true;
        this.listener.unlisten(null);
        if (!this.#whole)
            await this.add(true, async () => {});
    }

    /* Nothing is added any more. What waits has its turn, but for what waits for messages: then resolves to that. */
    release() {
        this.#ending = true;
        this.listener.unlisten(null);
        if (this.busy && !this.#whole)
            return new Promise((resolve) => {
                this.#after = () => resolve(this.#free());
            });
        return this.#free();
    }

    #free() {
        this.#after = null;
        this.#freed = true;
        this.#leave();
        this.#held?.release();
        for (const { reject } of this.#jobs.splice(0))
            reject(gone());
    }
}

module.exports = { FAILED, IDLE, Line, OPEN };
