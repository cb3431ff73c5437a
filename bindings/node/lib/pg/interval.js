// SPDX-License-Identifier: MIT
'use strict';
/* An interval as node-postgres hands it out: the parts that are not 0, and how PostgreSQL and ISO 8601 write it. */
const PARTS = ['years', 'months', 'days', 'hours', 'minutes', 'seconds', 'milliseconds'];
const WORDS = { year: 'years', mon: 'months', day: 'days' };
const DATES = /([+-]?\d+) (year|mon|day)s?/g;
const TIME = /([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?/;

function timeOf(text) {
    const parts = TIME.exec(text);
    if (parts === null)
        return {};
    const [, sign, hours, minutes, seconds, fraction = ''] = parts;
    const signed = (number) => (sign === '-' ? -number : number);

    return {
        hours: signed(Number(hours)), minutes: signed(Number(minutes)), seconds: signed(Number(seconds)),
        milliseconds: signed(Number(fraction.padEnd(6, '0')) / 1000),
    };
}

class Interval {
    /* `text` as the server writes it: "1 year 2 mons -3 days 04:05:06.789". */
    constructor(text = '') {
        const parts = timeOf(text);

        for (const [, number, word] of text.matchAll(DATES))
            parts[WORDS[word]] = Number(number);
        for (const name of PARTS) {
            if (parts[name])
                this[name] = parts[name];
        }
    }

    #seconds() {
        return (this.seconds ?? 0) + (this.milliseconds ?? 0) / 1000;
    }

    toPostgres() {
        const words = PARTS.slice(0, 5).filter((name) => this[name]).map((name) => `${this[name]} ${name}`);
        const seconds = this.#seconds();

        if (seconds)
            words.push(`${seconds} seconds`);
        return words.join(' ') || '0';
    }

    toISOString() {
        const part = (name) => this[name] ?? 0;

        return `P${part('years')}Y${part('months')}M${part('days')}DT${part('hours')}H${part('minutes')}M` +
            `${Number(this.#seconds().toFixed(6))}S`;
    }

    toISO() {
        return this.toISOString();
    }
}

module.exports = { Interval };
