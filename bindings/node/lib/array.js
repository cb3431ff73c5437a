// SPDX-License-Identifier: MIT
'use strict';
/* PostgreSQL's array text, {1,NULL,"a \"b\"",{2}}, with a parser for the elements. */

function quoted(text, state) {
    let value = '';
    for (state.at++; text[state.at] !== '"'; state.at++) {
        if (state.at >= text.length)
            throw new Error('sugarperf: an array without its end');
        if (text[state.at] === '\\')
            state.at++;
        value += text[state.at];
    }
    state.at++;
    return value;
}

function bare(text, state) {
    const start = state.at;
    while (state.at < text.length && text[state.at] !== ',' && text[state.at] !== '}')
        state.at++;
    return text.slice(start, state.at);
}

function element(text, state, parse) {
    if (text[state.at] === '{')
        return list(text, state, parse);
    if (text[state.at] === '"')
        return parse(quoted(text, state));
    const value = bare(text, state);
    return value === 'NULL' ? null : parse(value);
}

function list(text, state, parse) {
    const values = [];
    state.at++;
    while (text[state.at] !== '}') {
        if (state.at >= text.length)
            throw new Error('sugarperf: an array without its end');
        values.push(element(text, state, parse));
        if (text[state.at] === ',')
            state.at++;
    }
    state.at++;
    return values;
}

function parseArray(text, parse) {
    /* Bounds other than 1 stand before the braces: [0:1]={1,2}. */
    return list(text, { at: text.indexOf('{') }, parse);
}

module.exports = { parseArray };
