// SPDX-License-Identifier: MIT
'use strict';
/*
 * What a query's text is to be run as. node-postgres sends any text: none, one statement, several, or what only the server can
 * judge. Each text is looked at once.
 */
const native = require('../native.js');
const { call } = require('../errors.js');
const { Recent } = require('../recent.js');
const { Statement } = require('../statement.js');

const KEPT = 1024;
const kept = new Recent(KEPT);

/* Statements that a session does by itself, where nothing else is said in them. */
const DEEDS = [[/^begin(\s+(work|transaction))?$/i, 'begin', 'BEGIN'], [/^start\s+transaction$/i, 'begin', 'START'],
    [/^(commit|end)(\s+(work|transaction))?$/i, 'commit', 'COMMIT'], [/^(rollback|abort)(\s+(work|transaction))?$/i, 'rollback', 'ROLLBACK']];
const CHANNEL = /^(un)?listen\s+(\*|"(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)$/i;
/* Of a LISTEN, whose channel has 63 bytes at most, each of which may be a quote. */
const LONGEST = 160;

const BACK = /^rollback\b[^]*\bto\b/i;
/* Of SAVEPOINT, RELEASE and ROLLBACK TO: the name at its end. */
const SAVEPOINT = /^(savepoint|release|rollback)\b[^]*?("(?:[^"]|"")+"|[\w$\u0080-\uffff]+)$/i;
/* After these a statement that is prepared may answer something else. */
const ALTERS = /^(create|alter|drop|do|call|import|discard|(set|reset)\b[^]*\b(search_path|schema|role|authorization|all))\b/i;

const READS = /^[\s(]*(select|values|table|with)\b/i;
/* What may ask about its session. */
const PERSONAL = /\b(pg_|current_setting|inet_|txid_)/i;

/* Without blanks and comments around it, and the semicolon behind. */
function bare(text) {
    return text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)+/, '').replace(/[\s;]+$/, '');
}

function channelOf(name) {
    if (name === '*')
        return null;
    return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/* { name, released } */
function savepointOf(words) {
    const found = SAVEPOINT.exec(words);

    return found === null ? undefined : { name: channelOf(found[2]), released: /^release/i.test(found[1]) };
}

function partsOf(text) {
    const bytes = Buffer.from(text);
    const places = JSON.parse(native.value_data(call('stmt_split', bytes)).toString());

    return places.map(([from, to]) => bytes.subarray(from, to).toString());
}

/* Several statements, none, or one that only the server knows. */
function odd(text) {
    let parts = [text];

    try {
        parts = partsOf(text);
    } catch (error) {
        if (error.code !== 'SP_INVALID')
            throw error;
    }
    const statement = parts.length === 0 ? null : new Statement(null, text, { opaque: true, unnamed: true }).native;

    return parts.length === 1 ? { statement, fresh: statement, shared: false } : { statement, parts: parts.map(runOf), shared: false };
}

function one(text) {
    const words = bare(text);
    const found = words.length < LONGEST ? CHANNEL.exec(words) : null;

    if (found !== null)
        return { listen: found[1] === undefined, channel: channelOf(found[2]), shared: false };
    const statement = new Statement(null, text).native;
    const [, deed, command] = (words.length < 64 && DEEDS.find(([said]) => said.test(words))) || [];

    const roams = READS.test(words) && !PERSONAL.test(words) && native.stmt_repeatable(statement);

    return { statement, deed, command, shared: deed === undefined, roams, ends: /^(commit|rollback|end|abort|prepare\s+transaction)\b/i.test(words),
        begins: /^(begin|start\s+transaction)\b/i.test(words), back: BACK.test(words), chained: /\band\s+chain$/i.test(words),
        inside: BACK.test(words) || /^(savepoint|release)\b/i.test(words), savepoint: savepointOf(words), alters: ALTERS.test(words) };
}

/* Takes a lock that its session is to keep. */
function locks(text) {
    return /advisory_lock/i.test(text) && /\bpg_(try_)?advisory_lock(_shared)?\s*\(/i.test(wordsOf(text)) && !/advisory_unlock/i.test(text);
}

function look(text) {
    try {
        return { text, locks: locks(text), ...one(text) };
    } catch (error) {
        if (error.code !== 'SP_INVALID')
            throw error;
        return { text, locks: locks(text), ...odd(text) };
    }
}

/*
 * { text, statement } of one; `shared`: any connection will do, as far as the text shows; `roams`: so it will between others of one
 * client, for it reads, and asks nothing of its session; `deed`: begin, commit or rollback; `begins`,
 * `ends`, `inside` (SAVEPOINT and its like), `savepoint` of this name: what it does to a transaction; `alters`: it may change what others answer;
 * `locks`: it needs a session that stays;
 * { listen, channel } of LISTEN and UNLISTEN (null: all); { parts } of none or several, which the server takes without values only.
 */
function runOf(text) {
    let run = kept.get(text);

    if (run === undefined)
        kept.set(text, run = look(text));
    return run;
}

/* Literals, quoted names and comments; one comment within another ends with the outer one. */
const SAID = /--[^\n]*|\b[eE]'(?:[^'\\]+|\\[^])*'|'[^']*'|"[^"]*"|(?<![\w$])\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[^]*?\$\1\$|\/\*/g;
/* In a WITH, behind it, or SELECT … INTO. "FOR UPDATE" is none. */
const WRITES = /[()]\s*(insert|update|delete|merge)\b|\binto\b/i;

function commentEnd(text, from) {
    const marks = /\/\*|\*\//g;
    let depth = 0;

    marks.lastIndex = from;
    for (let mark; (mark = marks.exec(text)) !== null;) {
        depth += mark[0] === '/*' ? 1 : -1;
        if (depth === 0)
            return marks.lastIndex;
    }
    return text.length;
}

/* The words of the statement, without what stands in them for somebody else. */
function wordsOf(text) {
    const said = new RegExp(SAID);
    let words = '', at = 0;

    for (let found; (found = said.exec(text)) !== null; said.lastIndex = at) {
        words += `${text.slice(at, found.index)} `;
        at = found[0] === '/*' ? commentEnd(text, found.index) : said.lastIndex;
    }
    return words + text.slice(at);
}

/* One statement of which a cursor of SQL's can be made. */
function onlyReads(text) {
    const words = wordsOf(text).replace(/[\s;]+$/, '');

    return READS.test(words) && !WRITES.test(words) && !words.includes(';');
}

/* The same, to be prepared for one time. */
function freshOf(run) {
    run.fresh ??= new Statement(null, run.text, { unnamed: true }).native;
    return run.fresh;
}

module.exports = { freshOf, onlyReads, runOf };
