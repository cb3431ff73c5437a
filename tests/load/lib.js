// SPDX-License-Identifier: MIT
// What the scripts share: the source document's stages and thresholds, its checks, and a stricter open model.
//
//     k6 run tests/load/recommendation.js
//     k6 run -e URL=… -e MODEL=open -e RATE=1000 -e SECONDS=30 tests/load/recommendation.js
import { check } from 'k6';
import http from 'k6/http';

const quick = __ENV.SCALE ? Number(__ENV.SCALE) : 1; // of the stages' durations

function seconds(of) {
    return `${Math.max(1, Math.round(of * quick))}s`;
}

let base;

// The address of a path of the service that optionsFor() was told.
export function at(path) {
    return base + path;
}

// For the service at a port, unless URL says where it is. "document": closed, up to fifty virtual users. "open": requests arrive
// whatever the answers take, and none is left out.
export function optionsFor(port) {
    base = __ENV.URL || `http://127.0.0.1:${port}`;
    if (__ENV.MODEL === 'open') {
        const rate = Number(__ENV.RATE || 500);
        return {
            discardResponseBodies: true,
            scenarios: {
                open: {
                    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${__ENV.SECONDS || 30}s`,
                    preAllocatedVUs: Math.max(20, Math.ceil(rate / 10)), maxVUs: Math.max(100, rate), exec: 'open',
                },
            },
            thresholds: {
                http_req_duration: ['p(95)<300', 'p(99)<500', 'avg<100'],
                http_req_failed: ['rate<0.001'],
                checks: ['rate>0.999'],
                dropped_iterations: ['count<1'],
            },
            summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
        };
    }
    return {
        stages: [
            { duration: seconds(30), target: 10 },
            { duration: seconds(60), target: 50 },
            { duration: seconds(30), target: 0 },
        ],
        thresholds: {
            http_req_duration: ['p(95)<500', 'p(99)<1000'],
            http_req_failed: ['rate<0.05'],
        },
        summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
    };
}

// `name` groups the requests of one endpoint, whatever their ids.
export function get(path, name, limit, headers) {
    const answer = http.get(at(path), { tags: { name }, headers });
    check(answer, {
        'status is 200': (r) => r.status === 200,
        [`response time < ${limit}ms`]: (r) => r.timings.duration < limit,
    });
    return answer;
}

export function post(path, name, body, expected, headers) {
    // No spread, no BigInt: older k6 reads neither.
    const params = { tags: { name }, headers: Object.assign({ 'Content-Type': 'application/json' }, headers) };
    const answer = http.post(at(path), JSON.stringify(body), params);
    check(answer, { [`status is ${expected}`]: (r) => r.status === expected });
    return answer;
}

// Zipf's law with exponent 1 over n numbers, permuted as in data.sql: who is busy there is busy here.
export function zipf(n) {
    const rank = Math.floor(Math.pow(n + 1, Math.random())) - 1;
    return (rank * 2147483647) % n; // exact up to four million
}

export function size(name, usual) {
    return Number(__ENV[name] || usual);
}

export function one(list) {
    return list[Math.floor(Math.random() * list.length)];
}
