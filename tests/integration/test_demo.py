# SPDX-License-Identifier: MIT
"""The demonstration on its own: it passes, refuses in one line, and leaves nothing behind."""
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
import unittest.mock
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, 'examples', 'recommendation')
BUILD = os.environ['SP_BUILD_DIR']
# A database of Redis that no other suite uses.
REDIS_URL = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/7'
BROWSER = shutil.which('chromium')
sys.path.insert(0, EXAMPLE)

from measure import live  # noqa: E402  # pylint: disable=wrong-import-position
from measure.database import Database  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis  # noqa: E402  # pylint: disable=wrong-import-position
import demo  # noqa: E402  # pylint: disable=wrong-import-position


class Page(unittest.TestCase):
    """The page of what it does, without a demo."""

    def test_who_has_gone_before_his_answer_is_no_news(self):
        with unittest.mock.patch.object(live, 'bars', lambda result: []):
            page = live.Live('http://127.0.0.1:1', {})
        gone, ended, errors = threading.Event(), threading.Event(), []
        page.now = lambda: gone.wait(60) and 'x' * 10_000_000
        page.server.handle_error = lambda *_: errors.append(sys.exc_info()[0])
        close = page.server.shutdown_request
        page.server.shutdown_request = lambda request: (close(request), ended.set())
        with page:
            link = socket.create_connection(('127.0.0.1', page.server.server_port), 60)
            link.sendall(b'GET /live HTTP/1.1\r\nHost: x\r\n\r\n')
            link.close()
            gone.set()
            self.assertTrue(ended.wait(60))
        self.assertEqual(errors, [])

    def test_what_nobody_asks_for_has_no_time(self):
        def page(at, busy, seconds):
            figures = {'x_count': {'busy': busy, 'idle': 5}, 'x_sum': {'busy': seconds, 'idle': 1}}
            return types.SimpleNamespace(at=at, samples={}, each=lambda metric, label: figures[metric])
        with unittest.mock.patch.object(live, 'quantile', lambda *_: 7):
            rows = {row['name']: row for row in live.times(page(2, 20, 3), page(1, 10, 2), 'x', 'name')}
        self.assertEqual((rows['busy']['mean'], rows['busy']['p95']), (100, 7))
        self.assertEqual((rows['idle']['mean'], rows['idle']['p95'], rows['idle']['count']), (None, None, 5))


class Demonstration(unittest.TestCase):
    def setUp(self):
        self.plain = Database(os.environ['DATABASE_URL'], 'public')
        with Redis(REDIS_URL) as redis:
            redis.call('FLUSHDB')

    @staticmethod
    def start(*arguments, **environment):
        return subprocess.Popen([sys.executable, os.path.join(EXAMPLE, 'demo.py'), '--build', BUILD, '--smoke', *arguments],
                                env={**os.environ, 'REDIS_URL': REDIS_URL, **environment}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def demo(self, *arguments, **environment):
        with self.start(*arguments, **environment) as process:
            output, errors = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def assertNothingLeft(self):
        self.assertEqual(self.plain.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sugarperf_demo%'"), '0')
        with Redis(REDIS_URL) as redis:
            self.assertEqual(redis.call('DBSIZE'), 0)

    def assertOneLine(self, status, errors, *naming):
        """Beside the steps that it tells, each with its time."""
        lines = [line for line in errors.splitlines() if not line.startswith('[')]
        self.assertEqual((status, len(lines)), (2, 1), errors)
        self.assertTrue(lines[0].startswith('demo: '), errors)
        for word in naming:
            self.assertIn(word, lines[0])
        self.assertNotIn('hunter2', errors)

    def refused(self, *naming, **environment):
        done = self.demo('--scale', '0.02', **environment)
        self.assertOneLine(done.returncode, done.stderr, *naming)
        self.assertEqual(done.stdout, '')
        self.assertNothingLeft()

    @staticmethod
    def changed(url, user):
        """The URL with another user and password."""
        parts = urllib.parse.urlsplit(url)
        return urllib.parse.urlunsplit(parts._replace(netloc=f'{user}@{parts.hostname}:{parts.port}'))

    def test_servers_that_do_not_answer_are_one_line(self):
        with socket.create_server(('127.0.0.1', 0)) as mute:
            place = f'127.0.0.1:{mute.getsockname()[1]}'
            self.refused(place, 'REDIS_URL', 'no answer', REDIS_URL=f'redis://app:hunter2@{place}/0')
            self.refused(place.split(':')[1], 'DATABASE_URL', DATABASE_URL=f'postgresql://app:hunter2@{place}/test')
        self.refused(place, 'REDIS_URL', 'refused', REDIS_URL=f'redis://app:hunter2@{place}/0')
        self.refused(place.split(':')[1], 'DATABASE_URL', 'refused', DATABASE_URL=f'postgresql://app:hunter2@{place}/test')

    def test_servers_that_refuse_are_one_line(self):
        self.refused('WRONGPASS', 'REDIS_URL', REDIS_URL=self.changed(REDIS_URL, 'sugar:hunter2'))
        self.refused('password', 'DATABASE_URL', DATABASE_URL=self.changed(os.environ['DATABASE_URL'], 'sugar:hunter2'))
        name = f'demo_plain_{os.getpid()}'
        self.plain.query(f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")
        self.addCleanup(self.plain.query, f'DROP ROLE {name}')
        self.refused('permission', 'schema', DATABASE_URL=self.changed(os.environ['DATABASE_URL'], f'{name}:hunter2'))
        with Redis(REDIS_URL) as redis:
            redis.call('ACL', 'SETUSER', name, 'on', '>hunter2', '~*', '&*', '+@read', '+@connection')
            try:
                self.refused('NOPERM', 'REDIS_URL', REDIS_URL=self.changed(REDIS_URL, f'{name}:hunter2'))
            finally:
                redis.call('ACL', 'DELUSER', name)

    def test_bad_urls_are_one_line(self):
        for url in ('http://app:hunter2@db', 'redis://app:hunter2@db:port'):
            self.refused('REDIS_URL', REDIS_URL=url)
        for url in ('http://app:hunter2@db', 'postgresql://app:hunter2%@127.0.0.1/db', 'postgresql://app:hunter2@[::1/db'):
            self.refused('DATABASE_URL', DATABASE_URL=url)

    def test_a_setting_that_is_none_is_told_before_anything_is_done(self):
        done = self.demo('--scale', '0.02', SUGARPERF_POOL_MX='7')
        self.assertOneLine(done.returncode, done.stderr, 'SUGARPERF_POOL_MX', 'did you mean SUGARPERF_POOL_MAX?')
        self.assertEqual((done.stdout, len(done.stderr.splitlines())), ('', 1))
        self.assertNothingLeft()

    def test_what_it_offers_at_the_end_can_be_pasted(self):
        with self.start('--scale', '0.02', '--keep') as process:
            lines = iter(process.stdout.readline, '')
            report = ''.join(itertools.takewhile(lambda line: not line.startswith('Still up'), lines))
            commands = [next(lines).strip() for _ in range(7)]
            got = []
            for command in commands[:3]:
                with urllib.request.urlopen(shlex.split(command)[1], timeout=60) as answer:
                    got.append(json.load(answer))
            page = next(line for line in lines if 'a page with all of it' in line).split()[-1]
            self.assertPageIsOfItself(page)
            with urllib.request.urlopen(page + 'live', timeout=60) as answer:
                now = json.load(answer)
            samples = self.samples(shlex.split(commands[3])[1])
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=100)
        self.assertIn(process.returncode, (0, 130), errors)
        self.assertIn('PostgreSQL has fsync=off, full_page_writes=off, synchronous_commit=off', report)
        self.assertRegex(report, r'connections open, average +< 8 +[\d.]+ +PASS\n')
        self.assertEqual(len(got[0]), 10)
        self.assertTrue(got[2])
        self.assertEqual((now['hits'], now['misses']), (samples['cache_hits_total'], samples['cache_misses_total']))
        self.assertEqual({row['name'] for row in now['endpoints']} & {'GET /recommendations', 'GET /content'},
                         {'GET /recommendations', 'GET /content'})
        for command in commands:
            self.assertNotRegex(re.sub("'[^']*'", '', command), '[^a-z -]')
        self.assertNothingLeft()

    def assertPageIsOfItself(self, url):
        """It loads nothing from elsewhere, and its browser is told to."""
        with urllib.request.urlopen(url, timeout=60) as answer:
            page, policy = answer.read().decode(), answer.headers['Content-Security-Policy']
        self.assertIn("default-src 'none'", policy)
        self.assertEqual(re.findall(r'(?:src|href)="(?!data:)[^"]*"|https?://|url\(|@import', page), [])

    @staticmethod
    def samples(url):
        """{line without its number: number} of a page of metrics."""
        with urllib.request.urlopen(url, timeout=60) as answer:
            return {line.rpartition(' ')[0]: float(line.rpartition(' ')[2]) for line in answer.read().decode().splitlines()
                    if not line.startswith('#')}

    def assertShowsWhatMetricsTell(self, dom, samples):
        """The service is idle: its counts stand still."""
        shown = dict(re.findall(r'data-(hits|misses)="(\d+)"', dom))
        self.assertEqual({name: float(shown[name]) for name in ('hits', 'misses')},
                         {name: samples[f'cache_{name}_total'] for name in ('hits', 'misses')})
        tiles = dict(re.findall(r'<b id="([^"]+)">([^<]*)</b>', dom))
        self.assertAlmostEqual(float(tiles['hitRate'].split()[0]), samples['cache_hit_rate'], delta=.06)
        self.assertEqual(tiles['pool'].split(' / ')[1], '20')
        self.assertEqual(tiles['breaker-database'], 'closed')
        rows = dict(re.findall(r'<tr data-name="([^"]+)" data-count="(\d+)">', dom))
        label = 'db_client_operation_duration_seconds_count{db_system_name="postgresql",db_query_summary="getRecommendations"}'
        self.assertEqual(float(rows['getRecommendations']), samples[label])
        self.assertEqual(float(rows['GET /recommendations']),
                         samples['sugarperf_work_duration_seconds_count{name="GET /recommendations"}'])
        self.assertGreaterEqual(len(re.findall('class="bar naive"', dom)), 8)
        self.assertGreaterEqual(len(re.findall('class="bar library"', dom)), 8)

    @unittest.skipUnless(BROWSER, 'no chromium is here: apt-get install chromium')
    def test_its_page_in_a_browser_shows_what_metrics_tell(self):
        picture = os.path.join(BUILD, 'demo-page.png')
        with self.start('--scale', '0.02', '--keep') as process, tempfile.TemporaryDirectory() as folder:
            self.addCleanup(process.kill)
            lines = []
            while not lines or lines[-1] and 'a page with all of it' not in lines[-1]:
                lines.append(process.stdout.readline())
            page = lines[-1].split()[-1]
            service = next(re.search(r'http://[\d.]+:\d+', line)[0] for line in lines if "/metrics'" in line)
            self.assertPageIsOfItself(page)
            words = [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', f'--user-data-dir={folder}',
                     '--virtual-time-budget=4000', '--window-size=1120,1700']
            done = subprocess.run([*words, '--dump-dom', page], capture_output=True, text=True, timeout=120, check=True)
            self.assertShowsWhatMetricsTell(done.stdout, self.samples(f'{service}/metrics'))
            subprocess.run([*words, f'--screenshot={picture}', page], capture_output=True, timeout=120, check=True)
            self.assertGreater(os.path.getsize(picture), 10000)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=100)
        self.assertIn(process.returncode, (0, 130), errors)
        self.assertNothingLeft()

    def test_a_criterion_that_is_not_met_is_told(self):
        rows = [('p95, ms', '< 300', 2, 'PASS'), ('connections open, average', '< 8', 18, 'FAIL')]
        with unittest.mock.patch.object(demo.report, 'criteria', lambda result: rows):
            told = [demo.missed(types.SimpleNamespace(options=types.SimpleNamespace(smoke=smoke), result={})) for smoke in (False, True)]
        self.assertEqual(told, [['connections open, average'], []])

    def wait_for_schema(self, process):
        while self.plain.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sugarperf_demo%'") == '0':
            self.assertIsNone(process.poll())
            time.sleep(0.02)

    def test_impatient_signals_end_it_quietly(self):
        with self.start('--scale', '0.02') as process:
            self.wait_for_schema(process)
            for sig in (signal.SIGINT, signal.SIGTERM) * 20:
                process.send_signal(sig)
            _, errors = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 130, errors)
        self.assertEqual([line for line in errors.splitlines() if not line.startswith('[')], [])
        self.assertNothingLeft()

    def test_a_redis_that_is_lost_in_the_middle_leaves_no_schema(self):
        name = f'demo_lost_{os.getpid()}'
        with Redis(REDIS_URL) as redis:
            redis.call('ACL', 'SETUSER', name, 'on', '>hunter2', '~*', '&*', '+@all')
            with self.start('--scale', '0.02', REDIS_URL=self.changed(REDIS_URL, f'{name}:hunter2')) as process:
                self.wait_for_schema(process)
                redis.call('ACL', 'DELUSER', name)
                _, errors = process.communicate(timeout=400)
        self.assertOneLine(process.returncode, errors, 'WRONGPASS')
        self.assertNothingLeft()

    def test_the_demo_passes_and_leaves_nothing_behind(self):
        target = os.path.join(BUILD, f'demo-{os.getpid()}.json')
        done = self.demo('--scale', '0.02', '--json', target)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(target, encoding='utf-8') as file:
            result = json.load(file)
        os.remove(target)
        self.assertEqual(result['checked']['differences'], [])
        self.assertGreater(result['checked']['changed'], 0)
        self.assertNothingLeft()

    def test_keys_of_others_are_left_alone(self):
        others = ['rec:content:mine:full', 'sugarperf_demo_1:rec:content:content-1:full', 'my-sugarperf_demo_:x']
        with Redis(REDIS_URL) as redis:
            for key in others:
                redis.call('SET', key, 'x')
            done = self.demo('--scale', '0.02')
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual([redis.call('GET', key) for key in others], ['x'] * len(others))
            self.assertEqual(redis.call('DBSIZE'), len(others))
            redis.call('FLUSHDB')


if __name__ == '__main__':
    unittest.main()
