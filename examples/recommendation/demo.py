#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The recommendation service before and after: the naive form and the service on the library under the same load."""
import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time

from measure import Failure, answers, report
from measure.database import Database, Sampler
from measure.live import Live
from measure.program import Load, Program
from measure.redis import Redis

# Seconds of the runs, how many of what is counted, and over which part of users and contents the load goes: a cache needs
# a quarter of a million requests to know the most of 150,000 keys, for which a quick run has no time.
FULL = {'bearable': 20, 'heavy': 8, 'grace': 5, 'document': 24, 'warm': 70, 'single': 200, 'saves': 2000, 'checked': 40,
        'part': 1, 'posts': 200}
QUICK = {'bearable': 3, 'heavy': 2, 'grace': 1, 'document': 3, 'warm': 8, 'single': 40, 'saves': 500, 'checked': 12,
         'part': 0.1, 'posts': 100}
SMOKE = {'bearable': 1, 'heavy': 1, 'grace': 1, 'document': 2, 'warm': 1, 'single': 10, 'saves': 50, 'checked': 12,
         'part': 1, 'posts': 20}
HEAVY_RATE = 1000
WARM_RATE = 4000
POST_RATE = 50
POOL_MAX = 20
POOL_MIN = 5
ACQUIRE_MS = 2000
STATEMENT_WAS_SLOW = re.compile(r'slow: \w+ took ')
STARTED = time.monotonic()


def say(text):
    print(f'[{time.monotonic() - STARTED:5.1f} s] {text}', file=sys.stderr, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True, help="meson's build folder")
    parser.add_argument('--quick', action='store_true', help='shorter runs over the same data: under one minute')
    parser.add_argument('--smoke', action='store_true', help='a second each: whether it works; the figures mean nothing')
    parser.add_argument('--keep', action='store_true', help='stay up at the end and say where')
    parser.add_argument('--scale', type=float, default=1, help='of the data; 1: 100,000 contents')
    parser.add_argument('--json', help='write all that was measured to this file')
    return parser.parse_args()


def sizes_of(scale):
    if not 0.001 <= scale <= 100:
        raise Failure('--scale must be from 0.001 to 100')
    return {'users': int(50000 * scale), 'contents': int(100000 * scale), 'interactions': int(1000000 * scale), 'tags': 500}


def variable(name):
    value = os.environ.get(name)
    if not value:
        raise Failure(f'{name} is not set: ./run demo starts private servers where none are given')
    return value


class Demo:
    def __init__(self, options, database, redis_url):
        self.options, self.database, self.redis_url = options, database, redis_url
        self.times = SMOKE if options.smoke else QUICK if options.quick else FULL
        self.sizes = sizes_of(options.scale)
        part = self.times['part']
        self.loaded = {'users': int(self.sizes['users'] * part), 'contents': int(self.sizes['contents'] * part),
                       'tags': self.sizes['tags']}
        self.load = Load(options.build, self.loaded)
        self.result = {'sizes': self.sizes, 'loaded': self.loaded, 'heavy_rate': HEAVY_RATE,
                       'document_seconds': self.times['document'],
                       'grace': self.times['grace'],
                       'pool_max': POOL_MAX, 'acquire_ms': ACQUIRE_MS, 'naive': {}, 'library': {}}

    def fill(self):
        say('data: {users:,} users, {contents:,} contents, {interactions:,} interactions, {tags} tags, skewed by '
            "Zipf's law".format(**self.sizes))
        self.database.run_file('schema.sql')
        self.database.run_file('data.sql', **self.sizes)
        say('foreign keys, statistics')
        self.database.run_file('keys.sql')
        self.database.vacuum()

    def settings(self, redis_url):
        """What the service on the library is given."""
        return {'DATABASE_URL': self.database.url, 'REDIS_URL': redis_url, 'SUGARPERF_POOL_MAX': str(POOL_MAX),
                'SUGARPERF_POOL_MIN': str(POOL_MIN), 'SUGARPERF_POOL_ACQUIRE_TIMEOUT': f'{ACQUIRE_MS}ms',
                'SUGARPERF_CACHE_NAMESPACE': self.database.schema}

    def check_settings(self, redis_url):
        """The service starts and ends, so that what it refuses in our environment is told before anything is measured."""
        with Program(self.options.build, 'service', self.settings(redis_url)) as program:
            program.stop()

    def bearable(self, program, side):
        """Of new contents there is one among a hundred requests: their times come from a run of their own."""
        side['bearable'] = self.load.run(program, rate=self.result['rate'], seconds=self.times['bearable'], seed=2)
        count = self.times['posts']
        say(f'  {count} new contents, {POST_RATE}/s')
        with tempfile.NamedTemporaryFile('w', encoding='utf-8') as file:
            for number in range(count):
                body = {'creatorId': f"user-{number % self.loaded['users']}", 'title': 'New', 'tags': [f"tag-{number % self.sizes['tags']}"]}
                print(json.dumps({'kind': 'POST /content', 'method': 'POST', 'path': '/content', 'body': body}), file=file)
            file.flush()
            side['posts'] = self.load.run(program, profile='file', file=file.name, rate=POST_RATE, seconds=count / POST_RATE)

    def heavy(self, program, application, side):
        with Sampler(self.database, application) as sampler:
            side['heavy'] = self.load.run(program, rate=HEAVY_RATE, seconds=self.times['heavy'], seed=3,
                                          grace=self.times['grace'])
        side['connections'] = sampler.summary()

    def redis_memory(self):
        """Bytes of all that it holds; None where our user may not ask."""
        try:
            with Redis(self.redis_url) as redis:
                return int(re.search(r'used_memory:(\d+)', redis.call('INFO', 'memory'))[1])
        except Failure:
            return None

    def measure_naive(self):
        side = self.result['naive']
        with Program(self.options.build, 'naive', {'DATABASE_URL': self.database.url}) as program:
            say("load: 95 % reads, Zipf's law over {users:,} users and {contents:,} contents".format(**self.loaded))
            say(f'naive form, no indexes, 10 connections, at {program.url}')
            side['single'] = self.load.run(program, profile='single', count=max(10, self.times['single'] // 4), seed=5)
            say("  the document's load test")
            side['document'] = self.load.run(program, profile='document', seconds=self.times['document'])
            say(f"  {self.times['saves']} saves, one a content")
            side['scores'] = program.json('POST', f"/admin/scores?limit={self.times['saves']}")
            side['scores_ms'] = side['scores']['milliseconds'] * 10000 / max(1, side['scores']['rows'])
            say(f'  {HEAVY_RATE} requests/s for {self.times["heavy"]} s, to saturate it')
            self.heavy(program, 'naive', side)
        self.result['rate'] = max(2, round(side['heavy']['achieved'] / 2))
        with Program(self.options.build, 'naive', {'DATABASE_URL': self.database.url}) as program:
            say(f"  {self.result['rate']} requests/s for {self.times['bearable']} s, half of what it can answer")
            self.bearable(program, side)

    def calm(self, program):
        """Closes the connections that only the fill needed, as pool.idle_timeout does after 30 s, which a quick run has not."""
        for most in (POOL_MIN, POOL_MAX):
            program.json('POST', f'/admin/pool?max={most}')

    def measure_library(self, program):
        side = self.result['library']
        memory = self.redis_memory()
        say(f'service on the library, {POOL_MAX} connections at most, cache empty, at {program.url}')
        side['single'] = self.load.run(program, profile='single', count=self.times['single'], seed=5)
        side['scores'] = program.json('POST', '/admin/scores?limit=10000')
        say(f"  the same load, first at {WARM_RATE}/s for {self.times['warm']} s to fill the cache")
        side['warm'] = self.load.run(program, rate=WARM_RATE, seconds=self.times['warm'], seed=1)
        self.calm(program)
        say("  the document's load test")
        side['document'] = self.load.run(program, profile='document', seconds=self.times['document'])
        say(f"  {self.result['rate']} requests/s for {self.times['bearable']} s")
        self.bearable(program, side)
        say(f'  {HEAVY_RATE} requests/s for {self.times["heavy"]} s')
        before, messages = program.json('GET', '/metrics/cache'), len(program.messages())
        self.heavy(program, 'recommendation', side)
        side['hit_rate'] = hit_rate(before, program.json('GET', '/metrics/cache'))
        time.sleep(0.5)     # the service writes its slow log when it is idle, or each second
        side['slow'] = [line for line in program.messages()[messages:] if STATEMENT_WAS_SLOW.match(line)]
        side['cache'] = program.json('GET', '/metrics/cache')
        side['hit_rate_all'] = side['cache']['cache_hit_rate']
        page = program.request('GET', '/metrics')[2]
        now = self.redis_memory()
        side['memory'] = {'process': float(re.search(r'^sugarperf_cache_memory_bytes\S* (\S+)$', page, re.MULTILINE)[1]) / 1e6,
                          'redis': None if now is None or memory is None else max(0, now - memory) / 1e6}
        side['findings'] = sum(float(found) for found in re.findall(r'^sugarperf_profiler_findings{.*} (\S+)$', page, re.MULTILINE))

    def check(self, program):
        """Lines that tell which answers differ from plain SQL's, cold and cached, before and after an invalidation."""
        count = self.times['checked']
        users = [f'user-{i * (self.sizes["users"] // count)}' for i in range(count)]
        outsider = self.database.query("SELECT id FROM contents JOIN content_tag_links ON content_id = id"
                                       " WHERE tag_id = 'tag-0' ORDER BY engagement_score, id LIMIT 1")
        contents = ['content-0', 'content-7', outsider]
        say(f'answers of {count} users and {len(contents)} contents against plain SQL')
        lines = answers.differences(self.database, program, users, contents)
        lines += answers.differences(self.database, program, users, contents)
        old = [program.json('GET', f'/recommendations/{user}') for user in users]
        say('  again, after interactions and an update of all scores')
        self.result['library']['scores_all'] = answers.change(self.database, program, users[0], outsider)
        lines += answers.differences(self.database, program, users, contents)
        changed = sum(program.json('GET', f'/recommendations/{user}') != before for user, before in zip(users, old))
        if not changed:
            lines.append('the change showed in no list: this check proves nothing')
        self.result['checked'] = {'users': count, 'changed': changed, 'differences': lines}
        return lines


def hit_rate(before, after):
    hits, misses = (after[name] - before[name] for name in ('cache_hits_total', 'cache_misses_total'))
    return 100 * hits / max(1, hits + misses)


def say_verdict(demo):
    checked = demo.result['checked']
    for line in checked['differences']:
        print(f'DIFFERENT {line}')
    if checked['differences']:
        return
    print(f"\nAnswers: the lists of {checked['users']} users and 3 contents are those of a plain SQL query, cold and cached, "
          f"before and after\ninteractions and an update of all scores, which changed the lists of {checked['changed']} of "
          'them.')


def missed(demo):
    """The criteria that are not met. A second each tells whether it works, nothing of times."""
    return [] if demo.options.smoke else [row[0] for row in report.criteria(demo.result) if row[3] == 'FAIL']


def stay(demo, program):
    user = demo.database.query('SELECT user_id FROM user_interests GROUP BY user_id'
                               ' ORDER BY count(*) DESC, length(user_id), user_id LIMIT 1')
    print('\nStill up, until Ctrl-C:')
    for path in (f'/recommendations/{user}?limit=10', '/content/content-7', f'/user/{user}/interests', '/metrics',
                 '/metrics/cache', '/health/database'):
        print(f"  curl '{program.url}{path}'")
    print(f'  curl -d \'{{"userId":"{user}","contentId":"content-7","type":"like"}}\' \'{program.url}/interactions\'')
    if os.environ.get('SP_TEST_PG') == demo.database.plain:
        print(f"  psql '{demo.database.url}'", flush=True)
    else:   # somebody's own: its URL may hold a password
        print(f'  PGOPTIONS=-csearch_path={demo.database.schema} psql "$DATABASE_URL"', flush=True)
    with Live(program.url, demo.result) as live:
        print(f'  a page with all of it: {live.url}', flush=True)
        try:
            while program.process.poll() is None:
                time.sleep(0.5)
        except KeyboardInterrupt:
            print()


def run(demo, redis_url):
    demo.check_settings(redis_url)
    demo.result['unsafe'] = demo.database.unsafe()
    demo.fill()
    demo.measure_naive()
    say('indexes')
    demo.database.run_file('indexes.sql')
    demo.database.vacuum()
    with Program(demo.options.build, 'service', demo.settings(redis_url)) as program:
        demo.measure_library(program)
        lines = demo.check(program)
        demo.result['library']['messages'] = program.messages()
        print(report.tables(demo.result))
        say_verdict(demo)
        names = missed(demo)
        print('\nFAIL: ' + ', '.join(names) if names else '')
        if demo.options.json:
            with open(demo.options.json, 'w', encoding='utf-8') as file:
                json.dump(demo.result, file, indent=1)
        if demo.options.keep:
            stay(demo, program)
        status = program.stop()
        if status:
            lines.append(f'the service ended with status {status}')
            print(lines[-1])
    return 1 if lines or names else 0


def interrupted(_signal, _frame):
    # The first one counts. Not SIG_IGN: Python complains of a signal that it looks at after it was ignored.
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda *_: None)
    raise KeyboardInterrupt


def clean(database, redis_url):
    """Takes away what we made; lines that tell what is left, and why."""
    lines = []
    try:
        with Redis(redis_url) as redis:
            # All that the service keeps there begins with its namespace, in braces or not; the rest is somebody else's.
            for pattern in (f'{database.schema}:*', f'{{{database.schema}}}:*', f'{{{database.schema}:*'):
                redis.remove(pattern)
    except Failure as failure:
        lines.append(f'keys of {database.schema} may be left: {failure}')
    try:
        database.drop()
    except Failure as failure:
        lines.append(f'the schema {database.schema} is left: {failure}')
    return lines


def main(options):
    redis_url = variable('REDIS_URL')
    database = Database(variable('DATABASE_URL'), f'sugarperf_demo_{os.getpid()}')
    demo, reasons = Demo(options, database, redis_url), []
    with Redis(redis_url) as redis:
        redis.probe(f'{database.schema}:probe')
    try:
        database.create()
        status = run(demo, redis_url)
    except (Failure, OSError) as failure:
        reasons.append(str(failure))
    finally:
        # However it ended, and whoever asks us to hurry.
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, lambda *_: None)
        left = clean(database, redis_url)
    if reasons or left:
        raise Failure('; '.join(reasons + left))
    return status


if __name__ == '__main__':
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupted)
    try:
        sys.exit(main(parse()))
    except Failure as failure:
        print('demo: ' + ' '.join(str(failure).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
