// SPDX-License-Identifier: MIT
import http from 'k6/http';
import { sleep } from 'k6';
import { at, get, one, optionsFor, post, size, zipf } from './lib.js';

export const options = optionsFor(3004);

const users = size('USERS', 50000);
const statuses = ['completed', 'completed', 'completed', 'pending', 'refunded'];

// Who has no active subscription, or no invoice, is told so: no failure.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 404));

export default function () {
    get(`/payments/user-${__VU % 10}?status=completed`, 'GET /payments/{userId}', 200);
    sleep(1);
    http.get(at(`/user/user-${__VU % 10}/invoice`), { tags: { name: 'GET /user/{id}/invoice' } });
    sleep(1);
}

export function open() {
    const kind = Math.random();
    if (kind < 0.5)
        get(`/payments/user-${zipf(users)}?status=${one(statuses)}`, 'GET /payments/{userId}', 500);
    else if (kind < 0.75)
        http.get(at(`/subscription/user-${zipf(users)}`), { tags: { name: 'GET /subscription/{userId}' } });
    else if (kind < 0.95)
        http.get(at(`/user/user-${zipf(users)}/invoice`), { tags: { name: 'GET /user/{id}/invoice' } });
    else
        post('/payments', 'POST /payments', { userId: `user-${zipf(users)}`, amountCents: 999 }, 201);
}
