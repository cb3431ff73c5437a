// SPDX-License-Identifier: MIT
import http from 'k6/http';
import { sleep } from 'k6';
import { at, get, optionsFor, post, size, zipf } from './lib.js';

export const options = optionsFor(3003);

const users = size('USERS', 50000);

// A token of a user who may be inactive would be refused: the first active ones are looked for, unless TOKENS has some. What is
// asked here k6 counts with the rest.
export function setup() {
    const tokens = __ENV.TOKENS ? __ENV.TOKENS.split(',') : [];
    for (let i = 0; tokens.length < 20 && i < 200 && i < users; i++) {
        const params = { headers: { 'Content-Type': 'application/json' }, responseType: 'text' };
        const token = http.post(at('/auth/token'), JSON.stringify({ userId: `user-${i}` }), params).json('token');
        const params2 = { headers: { Authorization: `Bearer ${token}` }, responseCallback: http.expectedStatuses(200, 401) };
        if (http.get(at('/auth/token/valid'), params2).status === 200)
            tokens.push(token);
    }
    return { tokens };
}

function token(data, number) {
    get('/auth/token/valid', 'GET /auth/token/valid', 200, { Authorization: `Bearer ${data.tokens[number % data.tokens.length]}` });
}

export default function (data) {
    get(`/auth/user/user-${__VU % 10}/permissions`, 'GET /auth/user/{id}/permissions', 200);
    sleep(1);
    token(data, __VU);
    sleep(1);
}

export function open(data) {
    const kind = Math.random();
    if (kind < 0.5)
        get(`/auth/user/user-${zipf(users)}/permissions`, 'GET /auth/user/{id}/permissions', 500);
    else if (kind < 0.8)
        token(data, Math.floor(Math.random() * 1000));
    else if (kind < 0.9)
        get(`/auth/user?username=member${zipf(users)}`, 'GET /auth/user?username', 500);
    else if (kind < 0.95)
        get(`/auth/user?email=member${zipf(users)}@example.org`, 'GET /auth/user?email', 500);
    else
        post(`/auth/user/user-${zipf(users)}`, 'POST /auth/user/{id}', { roleId: `role-${Math.floor(Math.random() * 8)}` }, 200);
}
