// SPDX-License-Identifier: MIT
'use strict';
/* Rules, which say what stands behind a changed row, and the change feed. */
const native = require('./native.js');
const given = require('./given.js');
const { textOf } = require('./params.js');
const { call, makeError } = require('./errors.js');

const CHANGES = { insert: native.SP_ROW_INSERT, update: native.SP_ROW_UPDATE, delete: native.SP_ROW_DELETE, truncate: native.SP_ROW_TRUNCATE };
const CHANGE = ['table', 'change', 'row', 'was'];
const INVALIDATE = ['signal', 'timeout'];

const jsonOf = (value) => JSON.parse(native.value_data(value).toString());

function columns(set, made, values) {
    for (const [name, value] of Object.entries(values ?? {}))
        call(set, made, name, value === null || value === undefined ? null : textOf(value));
}

function rowOf(changed) {
    const { table, change, row, was } = given.options(changed, CHANGE, 'part of a change');

    if (!Object.hasOwn(CHANGES, change))
        throw makeError('SP_INVALID', `a change is one of ${Object.keys(CHANGES).join(', ')}, not ${String(change)}`);
    const made = call('row_new', table, CHANGES[change]);

    columns('row_set', made, row);
    columns('row_was', made, was);
    return made;
}

let handleOf;

/*
 * Which keys, patterns and tags a changed row makes wrong: client.rules('contents(id) -> rec:content:{id}:full'). A change is
 * { table, change, row, was }: 'insert', 'update', 'delete' or 'truncate'; the row's columns (of a deleted row: those that it
 * had); what those that an update changed had before.
 */
class Rules {
    #client;
    #watch;
    #handle;

    constructor(client, watch, cache, text, source = null) {
        this.#client = client;
        this.#watch = watch;
        this.#handle = call('rules_new', cache);
        call('rules_add', this.#handle, source, text);
    }

    static {
        handleOf = (rules) => {
            if (!(rules instanceof Rules))
                throw new TypeError('rules are made by client.rules()');
            return rules.#handle;
        };
    }

    /* What this change would touch; nothing is done. */
    explain(changed) {
        this.#client.check();
        return jsonOf(call('rules_explain', this.#handle, rowOf(changed)));
    }

    /* As cache.invalidate(), of what the change touches. */
    async invalidate(changed, named) {
        this.#client.check();
        const row = rowOf(changed), options = given.options(named, INVALIDATE);

        await this.#watch.submit('invalidate_row_async', (ctx) => [this.#handle, ctx, row], options);
    }
}

/* Reads what any transaction changes, and invalidates by the rules: client.feed(rules). It ends with the client. */
class Feed {
    #client;
    #handle;

    constructor(client, handle, rules, pool) {
        this.#client = client;
        this.#handle = call('client_feed', handle, pool, handleOf(rules));
    }

    report() {
        this.#client.check();
        return jsonOf(call('feed_report', this.#handle));
    }
}

module.exports = { Feed, Rules, handleOf: (rules) => handleOf(rules), rowOf };
