// SPDX-License-Identifier: MIT
'use strict';
/* What all sides of in-process hits hold: objects of 64 bytes of JSON, under as many keys as the driver's items. */
const BATCH = 100;

const keyOf = (item) => `bench:item:${item}`;
const valueOf = (item) => ({ id: item, title: `title of item ${item}`.padEnd(37), views: 1000 + item });

/* Hits one after the other, of every key in turn; `hit` may answer a promise where it is `awaited`. */
function step(items, hit, awaited) {
    const keys = Array.from({ length: items }, (_, index) => keyOf(index + 1));
    let at = 0, seen = 0;

    function check() {
        if (seen !== BATCH)
            throw new Error('a hit was none');
        seen = 0;
    }

    function next() {
        at = at + 1 < items ? at + 1 : 0;
        return keys[at];
    }

    function steps() {
        for (let i = 0; i < BATCH; i++)
            seen += hit(next()).id > 0;
        check();
    }

    async function awaitedSteps() {
        for (let i = 0; i < BATCH; i++)
            seen += (await hit(next())).id > 0;
        check();
    }

    return { batch: BATCH, step: awaited ? awaitedSteps : steps };
}

/* What `put(key, value)` holds of them. */
async function fill(items, put) {
    for (let item = 1; item <= items; item++)
        await put(keyOf(item), valueOf(item));
}

module.exports = { fill, step };
