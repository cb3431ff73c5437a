// SPDX-License-Identifier: MIT
'use strict';
/*
 * Promises over the completion queue: an operation is submitted with a tag; the addon calls drain() while the queue is
 * readable; a batch settles what its tags name. The event loop is held only while something is pending that ends of itself.
 */
const native = require('./native.js');
const codec = require('./codec.js');
const params = require('./params.js');
const rows = require('./rows.js');
const { adopt, asked, call, errorOfStatus, makeError, tell } = require('./errors.js');
const given = require('./given.js');
const { Held } = require('./held.js');
const { Outbox } = require('./outbox.js');
const scope = require('./scope.js');
const { Pending } = require('./pending.js');
const { onAbort } = require('./signal.js');

const BATCH = 64;
const CELLS = 6;
const KIND = { NONE: 0, ERROR: 1, RESULT: 2, VALUE: 3, LOOKUP: 4, HANDLE: 5, LOOKUPS: 6 };
/* Batches a wake-up: the rest of the loop gets its turn under load; the fd stays readable. */
const ROUNDS = 16;
/* Sessions that are taken in a row without it. */
const BORROWS = 64;

/* Code, message, and what the server said: a letter and a text each. */
function errorAt(bytes, status, offset, length, retryable) {
    const [serverCode, message, ...said] = bytes.utf8Slice(offset, offset + length).split('\0');
    const error = errorOfStatus(status, message, serverCode, retryable);

    said.pop();
    return said.length === 0 ? error : tell(error, Object.fromEntries(said.map((field) => [field[0], field.slice(1)])));
}

/* undefined: it is none of what this package can read. */
function readable(kind, bytes, offset, length, types) {
    try {
        return codec.decode(kind, bytes, offset, length, types);
    } catch {
        return undefined;
    }
}

/* Of the promise that was made last: an executor of its own would be a closure and a context more for each. */
const seized = { resolve: undefined, reject: undefined };

function seize(resolve, reject) {
    seized.resolve = resolve;
    seized.reject = reject;
}

function twice() {
    throw new Error('sugarperf: an operation was answered twice');
}

class Watch {
    /* `client` null: of what belongs to none. */
    constructor(client, types) {
        this.client = client;
        this.types = types;
        this.root = native.ctx_new(null);
        this.base = { ctx: this.root };
        this.listening = native.ctx_new(this.root); /* of what waits for events, without end */
        this.queue = native.queue_new(0);
        this.pending = new Pending();
        this.holding = 0; /* of the pending ones */
        this.lost = false;
        this.borrowed = 0; /* sessions, since the event loop had its turn here */
        this.ended = false; /* its client is freed, or will be */
        this.scoped = false; /* calls may be inside a scope */
        this.choosy = false; /* and inside one that says what it may take from caches */
        this.cells = new Float64Array(1 + BATCH * CELLS);
        this.bytes = Buffer.allocUnsafeSlow(256 * 1024);
        this.handles = [];
        this.native = native.watch_new(client, this.queue, this.root, () => this.drain(), this.cells, this.bytes,
            this.handles);
        this.outbox = new Outbox(this.native, () => this.refused());
    }

    /*
     * Throws ClosedError once the client ends: what the addon was given of it may be freed already. Every call that names such a
     * thing comes by here, or by Client.check().
     */
    check() {
        if (this.ended)
            throw makeError('SP_CLOSED', 'the client is closed');
    }

    /* The unit above a call that is made here. */
    get above() {
        return (this.scoped && scope.unitOf(this)) || this.base;
    }

    /* A context for the calls that share a deadline; undefined: they need none of their own. */
    context(timeout) {
        if (timeout === undefined || timeout === null)
            return undefined;
        const ctx = native.ctx_new(this.above.ctx);

        call('ctx_set', ctx, 'timeout', given.duration(timeout));
        return ctx;
    }

    /*
     * Calls `name` of the addon with args, queue and tag. `options`: signal, timeout or ctx, types, decode (of a result), sets (of
     * a batch), idle (holds nothing); `unit`: what it belongs to.
     */
    submit(name, args, options, unit = this.scoped ? scope.unitOf(this) : undefined) {
        return new Promise((resolve, reject) => {
            const operation = {
                resolve, reject, types: options?.types ?? this.types, ctx: options?.ctx ?? unit?.ctx ?? this.root,
                forget: null, idle: options?.idle === true, sets: options?.sets === true, decode: options?.decode,
                signal: options?.signal ?? unit?.signal,
            };
            const tag = this.pending.add(operation);

            try {
                this.check();
                if (options?.signal || options?.timeout !== undefined)
                    this.limit(operation, options, operation.ctx);
                this.flush();
                native[name](...args(operation.ctx), this.queue, tag);
            } catch (thrown) {
                this.pending.take(tag);
                operation.forget?.();
                reject(this.explain(adopt(thrown), operation.signal));
                return;
            }
            if (!operation.idle)
                this.hold();
        }).catch(asked);
    }

    /* A session of the pool as a Held; what may end early, or has to wait, goes the way of all calls. */
    async acquire(pool, options, unit = this.scoped ? scope.unitOf(this) : undefined) {
        const plain = !options?.signal && options?.timeout === undefined && this.borrowed < BORROWS;

        return (plain ? this.borrow(pool, unit?.ctx ?? this.root) : null) ??
            await this.submit('pool_acquire_async', (ctx) => [pool, ctx], options, unit);
    }

    /* One that lies idle, without a turn of the event loop; else null. */
    borrow(pool, ctx) {
        this.check();
        this.flush();
        const slot = native.watch_borrow(this.native, pool, ctx);

        this.borrowed++;
        return slot < 0 ? null : new Held(this, this.given(BATCH), slot);
    }

    given(index) {
        const handle = this.handles[index];

        this.handles[index] = undefined;
        return handle;
    }

    /* submit() of a pool's statement: what is most often called goes with the others of its turn. May throw. */
    query(pool, statement, values, options) {
        if (this.scoped || options.signal || options.timeout !== undefined)
            return this.submit('pool_query_async', (ctx) => [pool, ctx, statement, params.load(values)], options);
        this.check();
        const promise = new Promise(seize);
        const tag = this.expect(options.types ?? this.types, options.decode);

        try {
            this.outbox.query(tag, pool, statement, values);
        } catch (error) {
            this.unsent(tag);
            throw error;
        }
        return promise;
    }

    /* Likewise of a look-up in a cache. */
    find(cache, key) {
        this.check();
        const promise = new Promise(seize);
        const tag = this.expect(this.types, undefined);

        try {
            this.outbox.lookup(tag, cache, key);
        } catch (error) {
            this.unsent(tag);
            throw error;
        }
        return promise;
    }

    /* What settles the promise that was made last; before it is put into the outbox, which may be sent, and refused, at once. */
    expect(types, decode) {
        const tag = this.pending.add({
            resolve: seized.resolve, reject: seized.reject, types, ctx: null, forget: null, idle: false, sets: false, decode,
            signal: undefined,
        });

        this.hold();
        return tag;
    }

    unsent(tag) {
        this.pending.take(tag);
        if (--this.holding === 0)
            native.watch_hold(this.native, false);
    }

    hold() {
        if (++this.holding === 1)
            native.watch_hold(this.native, true);
    }

    /* What was put off until the end of the turn goes now. */
    flush() {
        if (this.outbox.full)
            this.outbox.flush();
    }

    /* The library would not take some of what was sent. */
    refused() {
        const count = this.cells[0];

        for (let i = 0; i < count; i++) {
            const operation = this.pending.take(this.cells[1 + 2 * i]);
            const status = this.cells[2 + 2 * i];

            this.holding--;
            operation.reject(errorOfStatus(status, native.status_text(status), '', native.status_retryable(status)));
        }
        if (count > 0 && this.holding === 0)
            native.watch_hold(this.native, false);
    }

    /* As submit(), for what happens some time: ends when the client closes. */
    async listen(name, args, signal) {
        const ctx = native.ctx_new(this.listening);
        const cancel = () => native.ctx_cancel(ctx);

        if (signal)
            onAbort(signal, cancel);
        try {
            return await this.submit(name, () => args(ctx), { idle: true });
        } finally {
            signal?.removeEventListener('abort', cancel);
            native.ctx_end(ctx);
        }
    }

    /* A context of the operation's own, until it is settled: its deadline, and its cancellation by an AbortSignal. */
    limit(operation, { signal, timeout, ctx }, parent) {
        given.signal(signal);
        const own = ctx ?? native.ctx_new(parent);
        const cancel = () => native.ctx_cancel(own);

        operation.ctx = own;
        operation.forget = () => {
            signal?.removeEventListener('abort', cancel);
            if (own !== ctx)
                native.ctx_end(own);
        };
        if (timeout !== undefined && timeout !== null)
            call('ctx_set', own, 'timeout', given.duration(timeout));
        if (signal)
            onAbort(signal, cancel);
    }

    /* A cancelled operation tells why. */
    explain(error, signal) {
        if (error.code === 'SP_CANCELLED' && signal?.aborted)
            error.cause = signal.reason;
        return error;
    }

    drain() {
        this.borrowed = 0;
        for (let round = 0; round < ROUNDS; round++) {
            const bytes = native.watch_take(this.native) ?? this.bytes;
            const count = this.cells[0];

            for (let i = 0; i < count; i++)
                this.settle(i, bytes);
            if (count < BATCH)
                break;
        }
        if (this.holding === 0)
            native.watch_hold(this.native, false);
        if (this.lost && this.pending.size === 0)
            this.abandon();
    }

    settle(index, bytes) {
        const base = 1 + index * CELLS;
        const operation = this.pending.take(this.cells[base]);

        if (operation === undefined)
            return void process.nextTick(twice);
        if (!operation.idle)
            this.holding--;
        operation.forget?.();
        try {
            this.finish(operation, index, base, bytes);
        } catch (error) {
            operation.reject(error);
        }
    }

    finish(operation, index, base, bytes) {
        const cells = this.cells;
        const kind = cells[base + 2] % 256;
        const offset = cells[base + 3];
        const length = cells[base + 4];
        const extra = cells[base + 5];

        switch (kind) {
        case KIND.RESULT:
            operation.resolve(operation.decode !== undefined ? operation.decode(bytes, offset)
                : operation.sets ? rows.decodeSets(bytes, offset, extra, operation.types)
                    : rows.decode(bytes, offset, operation.types));
            break;
        case KIND.ERROR:
            operation.reject(this.explain(errorAt(bytes, cells[base + 1], offset, length, extra !== 0),
                operation.signal));
            break;
        case KIND.VALUE:
            operation.resolve(codec.decode(extra, bytes, offset, length, operation.types));
            break;
        case KIND.LOOKUP:
            operation.resolve(this.lookup(operation, index, base, bytes));
            break;
        case KIND.LOOKUPS:
            operation.resolve(this.lookups(operation, index, base, bytes));
            break;
        case KIND.HANDLE:
            operation.resolve(this.handle(index, cells[base + 2]) ?? Promise.reject(makeError('SP_CLOSED', 'the client is closed')));
            break;
        default:
            operation.resolve(undefined);
        }
    }

    /* A handle that is to be given back; null: it was already, for the client ends. */
    handle(index, cell) {
        const slot = Math.floor(cell / 256) - 1;
        const handle = this.given(index);

        return slot < 0 ? null : new Held(this, handle, slot);
    }

    lookup(operation, index, base, bytes) {
        const cells = this.cells;
        const extra = cells[base + 5];
        const lease = this.handle(index, cells[base + 2]);
        const found = { state: extra % 256, lease, value: undefined };

        if (found.state === native.SP_LOOKUP_LEASE)
            return found;
        try {
            found.value = codec.decode(Math.floor(extra / 256), bytes, cells[base + 3], cells[base + 4], operation.types);
        } catch (error) {
            found.unreadable = error;
        }
        return found;
    }

    /* Of many keys: the values that there are, and which ones are to be loaded here; then `held` gives them back. */
    lookups(operation, index, base, bytes) {
        const cells = this.cells, count = cells[base + 5], values = new Array(count), mine = [];
        const held = this.handle(index, cells[base + 2]);
        let at = cells[base + 3], data = at + count * 12;

        for (let i = 0; i < count; i++, at += 12) {
            const state = bytes.readUInt32LE(at), length = bytes.readUInt32LE(at + 8);

            if (state >= 256)
                mine.push(i);
            if (state % 256 <= native.SP_LOOKUP_STALE)
                values[i] = readable(bytes.readUInt32LE(at + 4), bytes, data, length, operation.types);
            data += length;
        }
        return { values, mine, held };
    }

    /* Nobody can reach the client any more; what it still does may have somebody who waits for it. */
    abandon() {
        this.lost = this.pending.size > 0;
        if (this.lost)
            return;
        this.flush();
        process.emitWarning('a Client was never closed: await client.close() when its work is done', 'ResourceWarning');
        native.client_close(this.client);
        this.end(-1).catch(() => {});
    }

    /* Ends the client off this thread; what is still pending settles before the watch goes. */
    async end(timeout) {
        this.ended = true;
        await native.watch_end(this.native, timeout);
        while (this.pending.size > 0) {
            const before = this.pending.size;
            this.drain();
            if (this.pending.size === before)
                break;
        }
        native.watch_close(this.native);
    }
}

module.exports = { Watch };
