# SPDX-License-Identifier: MIT
"""The example service answers what plain SQL answers, also after writes; it refuses, degrades and ends as it says."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, 'examples', 'recommendation')
BUILD = os.environ['SP_BUILD_DIR']
# A database of Redis that no other suite uses.
REDIS_URL = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/7'
sys.path.insert(0, EXAMPLE)

from measure import answers  # noqa: E402  # pylint: disable=wrong-import-position
from measure.database import Database  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program, path_of  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis  # noqa: E402  # pylint: disable=wrong-import-position

SIZES = {'users': 500, 'contents': 2500, 'interactions': 5000, 'tags': 100}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.database = Database(os.environ['DATABASE_URL'], f'recommendation_{os.getpid()}')
        cls.database.create()
        cls.addClassCleanup(cls.database.drop)
        for name in ('schema.sql', 'data.sql', 'keys.sql', 'indexes.sql'):
            cls.database.run_file(name, **SIZES)

    def setUp(self):
        self.service = self.start()

    def start(self, keep_cache=False, **environment):
        with Redis(REDIS_URL) as redis:
            if not keep_cache:
                redis.call('FLUSHDB')
        service = Program(BUILD, 'service', {'DATABASE_URL': self.database.url, 'REDIS_URL': REDIS_URL, **environment})
        self.addCleanup(self.end, service)
        return service

    def end(self, service):
        """A sanitizer's report changes the status."""
        status = service.stop(60)
        messages = service.messages()
        service.log.close()
        self.assertEqual(status, 0, '\n'.join(messages[-60:]))

    def refused(self, status, method, path, body=None):
        got, _, text = self.service.request(method, path, body)
        self.assertEqual(got, status, f'{method} {path}: {text}')
        self.assertIn('error', json.loads(text))
        self.assertEqual(text.count('\n'), 1)
        return json.loads(text)['error']


class Answers(Case):
    users = [f'user-{i}' for i in range(0, SIZES['users'], 20)] + ['user-nobody']

    def same(self, contents=(), limit=10):
        self.assertEqual(answers.differences(self.database, self.service, self.users, contents, limit), [])

    def source(self, path):
        return self.service.request('GET', path)[1]['X-Cache']

    def test_jobs_fill_the_cache_at_their_time(self):
        self.assertEqual(self.source('/content/content-1'), 'miss')
        service = self.service = self.start(JOBS='every 2s')
        deadline = time.monotonic() + 60
        while not {'warm-contents', 'refresh-scores', 'rebuild-interests'} <= {
                line.split(':')[0] for line in service.messages()}:
            self.assertLess(time.monotonic(), deadline, service.messages())
            time.sleep(.1)
        done = [line for line in service.messages() if 'rows loaded' in line]
        self.assertTrue(any('100 of 100 rows loaded, 0 failed' in line for line in done), done)
        active = self.database.query('SELECT count(*) FROM users WHERE is_active')
        self.assertTrue(any(f'{active} of {active} rows loaded, 0 failed' in line for line in done), done)
        best = self.database.query('SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 1')
        self.assertEqual(self.source(f'/content/{best}'), 'hit')
        user = self.database.query('SELECT max(id) FROM users WHERE is_active')
        before = service.json('GET', '/metrics/cache')['cache_misses_total']
        service.json('GET', f'/user/{user}/interests')
        self.assertEqual(service.json('GET', '/metrics/cache')['cache_misses_total'], before)

    def test_lists_are_those_of_plain_sql_whatever_the_limit(self):
        for limit in (1, 10, 100):
            self.same(['content-7'], limit)
            self.same(['content-7'], limit)

    def test_the_second_answer_comes_from_the_cache(self):
        for path in ('/recommendations/user-3', '/content/content-7'):
            self.assertEqual([self.source(path), self.source(path)], ['miss', 'hit'])

    def test_after_interactions_and_new_scores_they_still_are(self):
        outsider = 'content-500'
        self.same([outsider])
        before = [self.service.json('GET', f'/recommendations/{user}') for user in self.users]
        answers.change(self.database, self.service, self.users[0], outsider)
        self.same([outsider])
        self.assertNotEqual(before, [self.service.json('GET', f'/recommendations/{user}') for user in self.users])

    def test_the_check_notices_a_cache_that_was_not_told(self):
        self.same(['content-7'])
        self.database.query("UPDATE contents SET title = 'behind the back of the cache'")
        lines = answers.differences(self.database, self.service, self.users, ['content-7'])
        self.assertEqual(len(lines), len(self.users) + 1)

    def test_an_interaction_drops_its_user_s_lists_and_its_content_alone(self):
        paths = ['/recommendations/user-3?limit=5', '/recommendations/user-3', '/content/content-7',
                 '/recommendations/user-4', '/content/content-8']
        for path in paths:
            self.source(path)
        count = self.service.json('GET', '/content/content-7')['like_count']
        self.service.json('POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'like'})
        self.assertEqual([self.source(path) for path in paths], ['miss', 'miss', 'miss', 'hit', 'hit'])
        self.assertEqual(self.service.json('GET', '/content/content-7')['like_count'], count + 1)

    def test_a_new_content_shows_where_it_belongs(self):
        self.refused(404, 'GET', '/content/fresh')
        self.same(limit=100)
        self.same(limit=1)
        made = self.service.json('POST', '/content', {'id': 'fresh', 'creatorId': 'user-1', 'title': 'Fresh',
                                                      'tags': ['tag-0', 'tag-1', 'tag-0']})
        self.assertEqual(made, {'id': 'fresh', 'tags': 2})
        sources = {self.source(f'/recommendations/{user}?limit={limit}') for user in self.users for limit in (1, 100)}
        self.assertEqual(sources, {'hit', 'miss'}, 'full lists stay, those with a place for it go')
        self.same(['fresh'], limit=100)
        self.refused(409, 'POST', '/content', {'id': 'fresh', 'creatorId': 'user-1', 'title': 'Again'})

    def test_an_update_of_scores_that_stops_midway_drops_the_lists(self):
        self.service.json('POST', '/admin/scores')
        self.database.query('UPDATE contents SET view_count = view_count + abs(hashtext(id) % 1000)')
        self.same()
        last = self.database.query('SELECT max(id) FROM contents')
        with subprocess.Popen(['psql', '-XAtq', self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            holder.stdin.write(f"BEGIN; SELECT id FROM contents WHERE id = '{last}' FOR UPDATE;\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), last)
            self.refused(503, 'POST', '/admin/scores')
            holder.stdin.close()
        self.same()

    def more_views(self):
        """What is new stays without a score: some lists keep a place for it."""
        self.database.query('UPDATE contents SET view_count = view_count + 1 + abs(hashtext(id) % 1000) WHERE engagement_score > 0')

    def test_an_update_that_the_breaker_stops_midway_drops_the_lists(self):
        self.service = self.start(SUGARPERF_POOL_STATEMENT_TIMEOUT='60s', SUGARPERF_POOL_QUERY_TIMEOUT='60s')
        self.more_views()
        self.same()
        held = self.database.query('SELECT min(id) FROM contents WHERE engagement_score > 0 AND id >'
                                   ' (SELECT id FROM contents ORDER BY id OFFSET 1000 LIMIT 1)')     # of the second chunk of three
        with subprocess.Popen(['psql', '-XAtq', self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            holder.stdin.write(f"BEGIN; SELECT id FROM contents WHERE id = '{held}' FOR UPDATE;\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), held)
            asking = threading.Thread(target=self.refused, args=(503, 'POST', '/admin/scores'))
            asking.start()
            self.database.wait_for_locks(1, 'recommendation')
            self.service.json('POST', '/admin/breaker/open')
            with Redis(REDIS_URL) as redis:     # what is dropped is dropped before the answer, however long that takes
                redis.call('CLIENT', 'PAUSE', '500', 'WRITE')
            holder.communicate('COMMIT;\n')
            asking.join()
        self.service.json('POST', '/admin/breaker/reset')
        self.same()

    def test_a_job_that_stops_midway_drops_the_lists(self):
        """The first one fails in its last chunk, when others are written; later ones at once."""
        self.more_views()
        self.same()
        last = self.database.query('SELECT max(id) FROM contents WHERE engagement_score > 0')
        self.database.query(f"""CREATE SEQUENCE stopped;
            CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF (SELECT is_called FROM {self.database.schema}.stopped) OR NEW.id = TG_ARGV[0] THEN
                    PERFORM nextval('{self.database.schema}.stopped');
                    RAISE 'stopped';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER stop BEFORE UPDATE ON contents FOR EACH ROW
                EXECUTE FUNCTION stop('{last}')""")
        self.addCleanup(self.database.query, 'DROP FUNCTION stop CASCADE; DROP SEQUENCE stopped')
        service = self.start(True, JOBS='every 1s')
        deadline = time.monotonic() + 60
        while not any(line.startswith('refresh-scores: ') for line in service.messages()):
            self.assertLess(time.monotonic(), deadline, service.messages())
            time.sleep(.05)
        # The other process within the bound.
        while answers.differences(self.database, self.service, self.users, ()):
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(answers.differences(self.database, service, self.users, ()), [])

    def test_interests_are_the_user_s_tags(self):
        want = self.database.query("SELECT count(*) FROM user_interests WHERE user_id = 'user-4'")
        for _ in range(2):
            self.assertEqual(len(self.service.json('GET', '/user/user-4/interests')), int(want))

    def test_scores_are_the_document_s_formula(self):
        report = self.service.json('POST', '/admin/scores')
        rows = int(self.database.query('SELECT count(*) FROM contents'))
        self.assertEqual((report['rows'], report['statements']), (rows, rows // 1000 + 1))
        self.assertEqual(self.database.query(
            "SELECT count(*) FROM contents WHERE abs(engagement_score - (view_count + like_count * 5 + share_count * 10)"
            " / (1 + POW(2, -least(EXTRACT(EPOCH FROM (NOW() - created_at)) / (24 * 60 * 60), 100))))"
            " > 1e-3 * engagement_score"), '0')


class Refusals(Case):
    def test_bad_requests_are_one_line_with_the_right_status(self):
        for limit in ('0', '101', '-1', '+5', '1e1', 'ten', '', '99999999999999999999'):
            self.refused(400, 'GET', f'/recommendations/user-3?limit={limit}')
        for path in ('/recommendations/us%20er', '/recommendations/%22', '/recommendations/' + 'x' * 129, '/recommendations/',
                     '/content/%C3%BC'):
            self.refused(400, 'GET', path)
        self.refused(404, 'GET', '/content/nothing')
        self.refused(404, 'GET', '/content/nothing')
        self.refused(404, 'GET', '/nowhere')
        self.refused(404, 'GET', '/content/a/b')
        self.refused(405, 'DELETE', '/content/content-7')

    def test_what_is_cut_at_a_zero_is_refused(self):
        self.refused(400, 'GET', '/content/content-1%00x')
        self.refused(400, 'GET', '/recommendations/user-3?limit=5%00junk')
        self.refused(404, 'GET', '/metrics%00')

    def test_an_id_that_no_path_can_name_is_refused(self):
        self.refused(400, 'POST', '/content', {'creatorId': 'user-3', 'title': 'T', 'id': 'a/b'})
        self.refused(400, 'POST', '/interactions', {'userId': 'user-3', 'contentId': 'a/b', 'type': 'view'})

    def test_null_is_nothing(self):
        body = {'creatorId': 'user-3', 'title': 'Null', 'tags': None, 'description': None, 'id': None}
        self.assertEqual(self.service.request('POST', '/content', body)[0], 201)

    def test_a_head_is_a_get_without_a_body(self):
        for path, status in (('/content/content-7', 200), ('/health', 200), ('/content/nothing', 404)):
            got, headers, text = self.service.request('HEAD', path)
            self.assertEqual((got, text), (status, ''), path)
            self.assertGreater(int(headers['Content-Length']), 0)

    def test_no_jobs_can_be_asked_for(self):
        for word in ('off', ''):
            self.assertEqual(self.start(JOBS=word).request('GET', '/content/content-7')[0], 200)

    def test_bad_bodies_are_refused(self):
        good = {'userId': 'user-3', 'contentId': 'content-7', 'type': 'view'}
        for change in ({'userId': ''}, {'userId': 3}, {'contentId': 'x y'}, {'type': 'stare'}, {'type': None}):
            self.refused(400, 'POST', '/interactions', {**good, **change})
        self.refused(400, 'POST', '/interactions', [good])
        self.refused(404, 'POST', '/interactions', {**good, 'contentId': 'nothing'})
        self.refused(404, 'POST', '/interactions', {**good, 'userId': 'nobody'})
        self.refused(413, 'POST', '/interactions', {**good, 'padding': 'x' * 70000})
        self.refused(400, 'POST', '/content', {'creatorId': 'user-3', 'title': 'T', 'tags': [1]})
        self.refused(404, 'POST', '/content', {'creatorId': 'nobody', 'title': 'T'})
        for tags in (['tag-none'], ['tag-0', 'tag-none', 'tag-1'], ['tag-none', 'tag-none']):
            self.assertIn('tag-none', self.refused(400, 'POST', '/content', {'creatorId': 'user-3', 'title': 'T', 'tags': tags}))
        for tag in ('', 'a"b', 'x' * 129):
            self.refused(400, 'POST', '/content', {'creatorId': 'user-3', 'title': 'T', 'tags': ['tag-0', tag]})
        self.assertEqual(self.database.query("SELECT count(*) FROM contents WHERE title = 'T'"), '0')

    def test_a_bad_start_is_one_line_that_names_the_reason(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            port = str(taken.getsockname()[1])
            self.ends_with(1, port, '--port', port)
        self.ends_with(2, 'many', '--port', 'many')
        self.ends_with(2, 'surplus', '--port', '0', 'surplus')
        self.ends_with(2, 'FEED is "yes", must be on or off', '--port', '0', FEED='yes')
        self.ends_with(1, 'SUGARPERF_POOL_MAX', '--port', '0', SUGARPERF_POOL_MAX='many')
        self.ends_with(1, 'DATABASE_URL', '--port', '0', DATABASE_URL='http://app:hunter2@db')

    def ends_with(self, status, word, *arguments, **environment):
        done = subprocess.run([path_of(BUILD, 'service'), *arguments], env={**os.environ, **environment},
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr.count('\n')), (status, 1), done.stderr)
        self.assertIn(word, done.stderr)
        self.assertNotIn('hunter2', done.stderr)


class Operations(Case):
    def test_metrics_in_both_formats(self):
        self.service.json('GET', '/recommendations/user-3')
        _, headers, text = self.service.request('GET', '/metrics')
        self.assertTrue(headers['Content-Type'].startswith('text/plain; version=0.0.4'))
        self.assertIn('# TYPE', text)
        _, headers, text = self.service.request('GET', '/metrics', headers={'Accept': 'application/openmetrics-text'})
        self.assertTrue(headers['Content-Type'].startswith('application/openmetrics-text'))
        self.assertTrue(text.endswith('# EOF\n'))

    def page(self):
        for path in ('/recommendations/user-3', '/content/nothing'):
            self.service.request('GET', path)
        self.service.json('POST', '/admin/scores')
        return self.service.request('GET', '/metrics')[2]

    def test_no_family_has_a_name_that_is_reserved(self):
        for name, kind in re.findall(r'^# TYPE (\S+) (\S+)$', self.page(), re.MULTILINE):
            with self.subTest(name=name, kind=kind):
                self.assertEqual(name.endswith('_total'), kind == 'counter')
                self.assertNotRegex(name, r'_(count|sum|bucket|info|created|histogram|gauge|counter|summary|ms|milliseconds)$')

    @unittest.skipUnless(shutil.which('promtool'), 'promtool is not here')
    def test_promtool_has_nothing_to_say(self):
        done = subprocess.run(['promtool', 'check', 'metrics'], input=self.page(), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ''))

    def test_cache_metrics_and_health_have_the_document_s_fields(self):
        for _ in range(2):
            self.service.json('GET', '/recommendations/user-3')
        self.assertEqual(self.service.json('GET', '/metrics/cache'),
                         {'cache_hits_total': 1, 'cache_misses_total': 1, 'cache_hit_rate': 50})
        health = self.service.json('GET', '/health/database')
        self.assertEqual((health['status'], health['database']), ('healthy', 'connected'))
        self.assertIn('activeConnections', health['poolMetrics'])

    def test_health_is_one_document(self):
        status, _, text = self.service.request('GET', '/health')
        health = json.loads(text)
        self.assertEqual((status, health['status'], health['database']), (200, 'healthy', 'connected'))
        self.assertIn('activeConnections', health['poolMetrics'])
        self.assertEqual((health['redis']['status'], health['pools'], health['feeds']), ('connected', {}, []))
        self.assertEqual([(breaker['name'], breaker['state']) for breaker in health['breakers']], [('database', 'CLOSED')])

    def test_the_service_s_own_metrics_stand_on_the_page(self):
        self.service.request('POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'like'})
        self.assertIn('service_writes_total{statement="recordInteraction"} 1\n', self.page())

    def test_the_profiler_is_asked_over_http(self):
        for user in range(10):
            self.service.json('GET', f'/recommendations/user-{user}')
        report = self.service.json('GET', '/profiler')
        statement = next(one for one in report['statements'] if one['name'] == 'getRecommendations')
        self.assertEqual(statement['count'], 10)
        # The naive form's N+1 is cured here.
        self.assertEqual(report['findings'], [])
        server = self.service.json('GET', '/profiler/server')
        self.assertIn('contents', [table['table'] for table in server['tables']])
        self.assertEqual((server['rights'], len(server['lacks'])), (True, 1))
        self.assertIn('statements', self.service.json('GET', '/profiler/indexes'))

    def start_without_database(self, keep_cache, **environment):
        with socket.create_server(('127.0.0.1', 0)) as closed:
            port = closed.getsockname()[1]
        self.service = self.start(keep_cache, DATABASE_URL=f'postgresql://test:test@127.0.0.1:{port}/test', **environment)

    def test_without_a_database_the_cache_still_answers(self):
        paths = ('/recommendations/user-3', '/content/content-7')
        before = [self.service.json('GET', path) for path in paths]
        self.start_without_database(True)
        for _ in range(8):
            self.assertEqual(self.service.request('GET', '/recommendations/user-4')[1]['X-Cache'], 'fallback')
        for path, body in zip(paths, before):
            status, headers, text = self.service.request('GET', path)
            self.assertEqual((status, headers['X-Cache'], json.loads(text)), (200, 'hit', body))

    def test_an_update_of_scores_that_could_do_nothing_leaves_the_lists(self):
        paths = [f'/recommendations/user-{i}' for i in range(4)]
        for path in paths:
            self.service.json('GET', path)
        self.start_without_database(True)
        self.refused(503, 'POST', '/admin/scores')
        self.service.json('POST', '/admin/breaker/open')
        self.refused(503, 'POST', '/admin/scores')
        self.assertEqual([self.service.request('GET', path)[1]['X-Cache'] for path in paths], ['hit'] * 4)

    def test_a_job_that_could_do_nothing_leaves_the_lists_and_tells_no_rows(self):
        self.service.json('GET', '/recommendations/user-3')
        self.start_without_database(True, JOBS='every 1s')
        deadline = time.monotonic() + 60
        told = []
        while not told:
            self.assertLess(time.monotonic(), deadline, self.service.messages())
            time.sleep(.02)
            told = [line for line in self.service.messages() if line.startswith('refresh-scores: ')]
        self.assertIn('nothing was loaded', told[0])
        self.assertEqual(self.service.request('GET', '/recommendations/user-3')[1]['X-Cache'], 'hit')

    def test_without_a_database_lists_are_empty_and_the_rest_says_so(self):
        self.start_without_database(False)
        for _ in range(8):
            status, headers, text = self.service.request('GET', '/recommendations/user-3')
            self.assertEqual((status, headers['X-Cache'], text), (200, 'fallback', '[]'))
        self.assertIn('service_fallbacks_total{endpoint="GET /recommendations"} 8\n', self.service.request('GET', '/metrics')[2])
        self.refused(503, 'GET', '/content/content-7')
        self.refused(503, 'POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'view'})
        status, _, text = self.service.request('GET', '/health/database')
        self.assertEqual((status, json.loads(text)['status']), (503, 'unhealthy'))
        status, _, text = self.service.request('GET', '/health')
        health = json.loads(text)
        self.assertEqual((status, health['status'], health['redis']['status']), (503, 'unhealthy', 'connected'))

    def test_a_signal_ends_it_when_every_request_was_answered(self):
        service, statuses = self.start(SUGARPERF_POOL_STATEMENT_TIMEOUT='60s', SUGARPERF_POOL_QUERY_TIMEOUT='60s'), []
        holder = subprocess.Popen(['psql', '-XqAt', '-d', self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        holder.stdin.write('BEGIN; LOCK TABLE contents; SELECT 1;\n')
        holder.stdin.flush()
        holder.stdout.readline()
        asking = threading.Thread(target=lambda: statuses.append(service.request('POST', '/admin/scores')[0]))
        asking.start()
        self.database.wait_for_locks(1, 'recommendation')
        service.process.terminate()
        holder.communicate('COMMIT;\n')
        asking.join()
        self.assertEqual((statuses, service.process.wait(30)), ([200], 0))


if __name__ == '__main__':
    unittest.main()
