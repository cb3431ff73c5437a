# SPDX-License-Identifier: MIT
"""PostgreSQL stops, or hangs, under the load of the recommendation service, and comes back; what callers saw, in figures.

    python3 tests/support/servers.py exec -- python3 tests/fault/outage.py --build build [--hang] [--json FILE]
"""
import argparse
import collections
import datetime
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, 'examples', 'recommendation')
sys.path.insert(0, EXAMPLE)

from measure.database import Database  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis  # noqa: E402  # pylint: disable=wrong-import-position

SIZES = {'users': 500, 'contents': 1000, 'interactions': 5000, 'tags': 100}
THREADS = 4
OPEN_MS = 1000
PHASES = ('up', 'down', 'open', 'back')
# name, how a request of it begins: the first has a fallback, the second has none.
KINDS = {'list': '/recommendations/user-{}?limit={}', 'content': '/content/content-{}'}

# What is done to the server and undone, and how long a query may take: a busy machine must not open the breaker before.
Fault = collections.namedtuple('Fault', 'begin end query_timeout')
STOP = Fault('stop', 'start', '30s')
HANG = Fault('freeze', 'thaw', '3s')

Seen = collections.namedtuple('Seen', 'phase kind status source ms')


class Outage:
    """The load, and the outage that it goes through. `seen` has every answer, by the phase in which it was asked."""

    def __init__(self, service, fault):
        self.service, self.fault, self.phase, self.seen, self.errors = service, fault, PHASES[0], [], []
        self.threads = [threading.Thread(target=self.load, args=(number,)) for number in range(THREADS)]
        self.started = threading.Event()

    def load(self, number):
        dice = random.Random(number)
        link = http.client.HTTPConnection('127.0.0.1', self.service.port, timeout=60)
        try:
            while self.phase:
                self.ask(link, dice)
        except OSError as reason:
            self.errors.append(str(reason))
        finally:
            link.close()

    def ask(self, link, dice):
        """Keys that are seldom asked twice, so that the database is needed."""
        kind = dice.choice(list(KINDS))
        path = KINDS[kind].format(dice.randrange(SIZES['users']), dice.randrange(1, 100))
        phase, begin = self.phase, time.perf_counter()
        link.request('GET', path)
        answer = link.getresponse()
        answer.read()
        ms = (time.perf_counter() - begin) * 1e3
        # Asked before the server was stopped, but perhaps answered after: on a busy machine a thread may rest in between.
        if phase == 'up':
            phase = 'up' if self.phase == 'up' else 'down'
        self.seen.append(Seen(phase, kind, answer.status, answer.headers.get('X-Cache', ''), ms))
        if self.phase == phase == 'open':
            time.sleep(0.001)

    def until(self, condition, what):
        for _ in range(6000):
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError(f'not within a minute: {what}')

    def metric(self, name):
        text = self.service.request('GET', '/metrics')[2]
        found = re.search(f'^{re.escape(name)} ([0-9.e+]+)$', text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def calls(self):
        """(permits that had their result, those that failed, refusals), of one moment."""
        text = self.service.request('GET', '/metrics')[2]
        of = {name: float(count) for name, count in
              re.findall(r'^sugarperf_circuitbreaker_(\w+_total\{name="database"[^}]*\}) ([0-9.e+]+)$', text, re.MULTILINE)}
        done = {kind: of[f'calls_total{{name="database",kind="{kind}"}}'] for kind in ('successful', 'failed', 'ignored')}
        return sum(done.values()), done['failed'], of['not_permitted_calls_total{name="database"}']

    def next_attempt_ms(self):
        """None where it is not open. Rounded as it is shown, and never later than it is."""
        told = json.loads(self.service.request('GET', '/health/breaker')[2])['nextResetTime']
        return told and (datetime.datetime.fromisoformat(told.replace('Z', '+00:00')).timestamp() - time.time()) * 1e3

    def breaker(self, state):
        return self.metric(f'sugarperf_circuitbreaker_state{{name="database",state="{state}"}}') == 1

    def connections(self):
        return self.metric('db_client_connection_create_time_seconds_count{db_client_connection_pool_name="default"}')

    def count(self, phase):
        return sum(1 for seen in self.seen if seen.phase == phase)

    def go(self, phase, answers):
        """On to a phase, until it has so many answers."""
        self.phase = phase
        self.until(lambda: self.count(phase) >= answers or self.errors, f'{answers} answers while {phase}')

    def run(self):
        """Figures that are not in `seen`."""
        figures = {}
        for thread in self.threads:
            thread.start()
        try:
            self.go('up', 500)
            before = self.connections()
            self.phase = 'down'
            control(self.fault.begin)
            self.until(lambda: self.breaker('open'), 'the breaker opens')
            figures.update(self.stay_open())
            figures['connections_while_down'] = self.connections() - before
            figures.update(self.come_back())
        finally:
            self.phase = ''
            for thread in self.threads:
                thread.join()
        return figures

    def stay_open(self):
        begin, (asked, failed, refused) = time.perf_counter(), self.calls()
        self.go('open', 1000)
        # Each of these was refused, or was a probe, before it was answered.
        without = sum(1 for seen in self.seen if seen.phase == 'open' and (seen.source == 'fallback' or seen.status == 503))
        now = self.calls()
        return {'failed_calls': failed, 'asked_while_open': now[0] - asked, 'refused_while_open': now[2] - refused,
                'answers_without_it': without, 'open_for_ms': (time.perf_counter() - begin) * 1e3}

    def come_back(self):
        before = self.connections()
        # Before the server is: what is asked while it comes back may have either answer.
        self.phase = 'back'
        control(self.fault.end)
        begin, made, peak = time.perf_counter(), [], 0
        failed, following = self.calls()[1], self.next_attempt_ms()
        self.until(lambda: self.breaker('closed'), 'the breaker closes')
        back, failed = time.perf_counter() - begin, self.calls()[1] - failed
        while time.perf_counter() - begin < back + 2:
            made.append((time.perf_counter(), self.connections() - before))
            peak = max(peak, made[-1][1] - next(count for at, count in made if made[-1][0] - at <= 1))
            time.sleep(0.02)
        return {'back_after_s': round(back, 3), 'next_probe_ms': following, 'failed_after': failed, 'connections_after': made[-1][1], 'connections_in_a_second': peak}


def control(what):
    subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'support', 'servers.py'), 'ctl', what, 'pg'], check=True,
                   stdout=subprocess.DEVNULL)


def quantile(values, share):
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 3) if values else None


def report(outage, figures):
    """Rows by phase and kind: answers by status and source, and their times."""
    rows = []
    for phase in PHASES:
        for kind in KINDS:
            seen = [one for one in outage.seen if (one.phase, one.kind) == (phase, kind)]
            rows.append({'phase': phase, 'kind': kind, 'answers': len(seen),
                         'sources': dict(collections.Counter(f'{one.status} {one.source}'.strip() for one in seen)),
                         'p50_ms': quantile([one.ms for one in seen], 0.5), 'p99_ms': quantile([one.ms for one in seen], 0.99)})
    return {'rows': rows, 'open_time_ms': OPEN_MS, **figures}


def outage_of(build, fault=STOP, **environment):
    """(outage, figures) of one run on the servers around us."""
    redis_url = os.environ['REDIS_URL']
    with Redis(redis_url) as redis:
        redis.call('FLUSHDB')
    database = Database(os.environ['DATABASE_URL'], f'outage_{os.getpid()}')
    database.create()
    try:
        for name in ('schema.sql', 'data.sql', 'keys.sql', 'indexes.sql'):
            database.run_file(name, **SIZES)
        settings = {'DATABASE_URL': database.url, 'REDIS_URL': redis_url, 'SUGARPERF_BREAKER_OPEN_TIME': f'{OPEN_MS}ms',
                    'SUGARPERF_POOL_STATEMENT_TIMEOUT': '30s', 'SUGARPERF_POOL_QUERY_TIMEOUT': fault.query_timeout}
        with Program(build, 'service', {**settings, **environment}) as service:
            outage = Outage(service, fault)
            return outage, outage.run()
    finally:
        database.drop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', required=True)
    parser.add_argument('--hang', action='store_true')
    parser.add_argument('--json')
    options = parser.parse_args()
    made = report(*outage_of(options.build, HANG if options.hang else STOP))
    for row in made['rows']:
        print(f"{row['phase']:5} {row['kind']:8} {row['answers']:6} answers  p50 {row['p50_ms']} ms  p99 {row['p99_ms']} ms  "
              f"{row['sources']}")
    print({name: value for name, value in made.items() if name != 'rows'})
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(made, file, indent=1)


if __name__ == '__main__':
    main()
