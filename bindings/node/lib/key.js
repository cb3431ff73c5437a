// SPDX-License-Identifier: MIT
'use strict';
/* Key templates: recs.key('user-3', 10) or recs.key({ userId: 'user-3', limit: 10 }). */
const native = require('./native.js');
const { call, adopt } = require('./errors.js');
const params = require('./params.js');

/* { ttl: '1h', size: '5KB' } as the library reads it. */
function optionText(options) {
    const given = Object.entries(options).filter(([name, value]) => name !== 'patterns' && value !== undefined);
    return given.length === 0 ? null : given.map(([name, value]) => `${name}=${value}`).join(' ');
}

class Template {
    constructor(text, options = {}) {
        this.native = call('template_new', text, optionText(options));
        for (const pattern of options.patterns ?? [])
            call('template_pattern', this.native, pattern);
        this.params = [];
        for (let i = 0; i < native.template_params(this.native); i++)
            this.params.push(native.template_param(this.native, i));
    }

    get text() {
        return native.template_text(this.native);
    }

    key(...values) {
        const [first] = values;
        const named = values.length === 1 && typeof first === 'object' && first !== null && !ArrayBuffer.isView(first);
        const list = named ? this.params.map((name) => first[name]) : values;

        try {
            return native.key_format(this.native, params.load(list));
        } catch (thrown) {
            throw adopt(thrown);
        }
    }
}

module.exports = { Template };
