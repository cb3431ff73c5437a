// SPDX-License-Identifier: MIT
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Template } = require('..');
const vectors = require('../../../tests/vectors/keys.json');

test('keys are those of every other language', () => {
    for (const { name, template, params, key } of vectors.keys)
        assert.equal(new Template(template).key(...params), key, name);
});

test('what no key can be made of is refused', () => {
    for (const { name, template, params, code } of vectors.refused)
        assert.throws(() => new Template(template).key(...params), { code }, name);
});

test('a parameter by a wrong name is a missing one', () => {
    const recs = new Template('rec:recommendations:{userId}:{limit}');
    assert.equal(recs.key({ limit: 10, userId: 'user-3' }), 'rec:recommendations:user-3:10');
    assert.throws(() => recs.key({ limit: 10, user: 'user-3' }), { name: 'InvalidError' });
});

test('a template that cannot be one names what is wrong', () => {
    assert.throws(() => new Template('rec:{userId'), { name: 'InvalidError' });
    assert.throws(() => new Template('rec:x:{id}', { ttl: 'soon' }), (error) => error.message.includes('ttl'));
});
