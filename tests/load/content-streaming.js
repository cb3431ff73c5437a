// SPDX-License-Identifier: MIT
import http from 'k6/http';
import { sleep } from 'k6';
import { at, get, optionsFor, post, size, zipf } from './lib.js';

export const options = optionsFor(3002);

const videos = size('VIDEOS', 100000), creators = size('CREATORS', 5000), users = size('USERS', 50000);

// Three of a hundred videos are not published: no failure.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 404));

export default function () {
    http.get(at(`/content/content-${__VU % 50}`), { tags: { name: 'GET /content/{id}' } });
    sleep(1);
    get(`/creator/creator-${__VU % 10}/videos`, 'GET /creator/{id}/videos', 500);
    sleep(1);
}

export function open() {
    const kind = Math.random();
    if (kind < 0.55)
        http.get(at(`/content/content-${zipf(videos)}`), { tags: { name: 'GET /content/{id}' } });
    else if (kind < 0.85)
        get(`/creator/creator-${zipf(creators)}/videos`, 'GET /creator/{id}/videos', 500);
    else if (kind < 0.95)
        get(`/content/content-${zipf(videos)}/jobs?status=done`, 'GET /content/{id}/jobs', 500);
    else
        http.post(at('/playback'), JSON.stringify({ videoId: `content-${zipf(videos)}`, userId: `user-${zipf(users)}`, seconds: 30 }),
                  { tags: { name: 'POST /playback' }, headers: { 'Content-Type': 'application/json' } });
}
