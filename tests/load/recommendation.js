// SPDX-License-Identifier: MIT
// The source document's load test, its ids, sleeps and checks; and the open model: 95 % reads over all users and contents.
import { check, group, sleep } from 'k6';
import { get, one, optionsFor, post, size, zipf } from './lib.js';

export const options = optionsFor(3001);

const users = size('USERS', 50000), contents = size('CONTENTS', 100000);

export default function () {
    group('Recommendations API', () => {
        const answer = get(`/recommendations/user-${__VU % 10}?limit=10`, 'GET /recommendations/{userId}', 500);
        check(answer, { 'content length > 0': (r) => r.body.length > 0 });
    });
    sleep(1);
    group('Content API', () => {
        get(`/content/content-${__VU % 50}`, 'GET /content/{id}', 200);
    });
    sleep(1);
}

export function open() {
    const kind = Math.random();
    if (kind < 0.55)
        get(`/recommendations/user-${zipf(users)}?limit=10`, 'GET /recommendations/{userId}', 500);
    else if (kind < 0.95)
        get(`/content/content-${zipf(contents)}`, 'GET /content/{id}', 500);
    else if (kind < 0.995)
        post('/interactions', 'POST /interactions', {
            userId: `user-${zipf(users)}`, contentId: `content-${zipf(contents)}`, type: one(['view', 'view', 'view', 'like', 'share']),
        }, 201);
    else
        post('/content', 'POST /content', {
            creatorId: `user-${zipf(users)}`, title: 'Made under load', tags: [`tag-${zipf(50)}`],
        }, 201);
}
