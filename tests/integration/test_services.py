# SPDX-License-Identifier: MIT
"""Each service answers what plain SQL answers: before and after writes, and with the change feed also what others write."""
import concurrent.futures
import hmac
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ['SP_BUILD_DIR']
# A database of Redis that no other suite uses.
REDIS_URL = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/9'
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.dirname(os.path.abspath(__file__))]

from measure.database import OwnDatabase  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program, path_of  # noqa: E402  # pylint: disable=wrong-import-position
import services_plain  # noqa: E402  # pylint: disable=wrong-import-position

SECONDS = 60
NUMBERS = itertools.count(1)
# A busy machine is no outage.
PATIENT = {f'SUGARPERF_{name}': '60s' for name in ('POOL_CONNECT_TIMEOUT', 'POOL_ACQUIRE_TIMEOUT', 'POOL_QUERY_TIMEOUT',
                                                   'POOL_STATEMENT_TIMEOUT', 'REDIS_CONNECT_TIMEOUT', 'REDIS_TIMEOUT', 'CACHE_LEASE')}


class World:
    """A service on a database of its own."""

    def __init__(self, case, plan):
        self.case, self.plan = case, plan
        word = plan.name.replace('-', '_')
        # The cache's namespace is called after it: no world finds what another one left.
        self.database = OwnDatabase(os.environ['DATABASE_URL'], f'services_{word}_{os.getpid()}_{next(NUMBERS)}')
        self.database.create()
        case.addCleanup(self.database.drop)
        for name in plan.files:
            self.database.run_file(f'../{plan.folder}/{name}', **plan.sizes)
        self.database.migrate(plan.folder)

    def start(self, **environment):
        name = 'service' if self.plan.name == 'recommendation' else self.plan.name
        self.service = Program(BUILD, name, {'DATABASE_URL': self.database.url, 'REDIS_URL': REDIS_URL,
                                             'SUGARPERF_CACHE_NAMESPACE': self.database.schema, 'AUTH_SECRET': 'sweet' * 4,
                                             **PATIENT, **environment})
        self.case.addCleanup(self.end, self.service)
        return self.service

    def end(self, service):
        status = service.stop(60)
        messages = service.messages()
        service.log.close()
        self.case.assertEqual(status, 0, '\n'.join(messages[-60:]))

    def differences(self):
        lines = []
        wanted = json.loads(self.database.query(f"SELECT jsonb_build_array(({'), ('.join(q for _, q, _ in self.plan.reads)}))"))
        for (path, _, absent), want in zip(self.plan.reads, wanted):
            status, _, text = self.service.request('GET', path)
            if want is not None and (status != 200 or json.loads(text) != want):
                lines.append(f'{path}: {status} {text} instead of {want}')
            if want is None and status != absent:
                lines.append(f'{path}: {status} {text}, and there is nothing')
        return lines

    def wait_for_feed(self):
        deadline = time.monotonic() + SECONDS
        while True:
            report = self.service.json('GET', '/health/feed')
            if report['state'] == 'leading':
                return
            self.case.assertLess(time.monotonic(), deadline, report)
            time.sleep(.05)

    def settle(self, change):
        """Until the answers are right again."""
        deadline = time.monotonic() + SECONDS
        lines = self.differences()
        while lines:
            self.case.assertLess(time.monotonic(), deadline, f'{change}: {lines}')
            time.sleep(.02)
            lines = self.differences()


class Services(unittest.TestCase):
    def write_all(self, world):
        self.assertEqual(world.differences(), [], 'cold')
        self.assertEqual(world.differences(), [], 'cached')
        for path, body, status, *words in world.plan.writes:
            got, _, text = world.service.request('POST', path, body)
            self.assertEqual(got, status, f'{path} {body}: {text}')
            for word in words:
                self.assertIn(word, text)
            self.assertEqual(world.differences(), [], f'after {path} {body}')

    def test_answers_are_those_of_plain_sql_before_and_after_writes(self):
        for plan in services_plain.PLANS:
            with self.subTest(plan.name):
                world = World(self, plan)
                world.start()
                self.write_all(world)
                stale = 0
                for change in plan.changes:
                    world.database.query(change)
                    stale += len(world.differences())
                self.assertGreater(stale, 0, 'nobody told the cache, and nothing was old: this check proves nothing')
                world.service.json('POST', '/admin/cache/flush')
                self.assertEqual(world.differences(), [], 'after a flush')

    def test_with_the_change_feed_also_what_others_write_shows(self):
        for plan in services_plain.PLANS:
            with self.subTest(plan.name):
                world = World(self, plan)
                world.start(FEED='on')
                world.wait_for_feed()
                self.write_all(world)
                for change in plan.changes:
                    world.differences()
                    world.database.query(change)
                    world.settle(change)


    def test_a_new_content_leaves_full_lists_with_the_feed_on(self):
        world = World(self, services_plain.recommendation())
        service = world.start(FEED='on')
        world.wait_for_feed()

        def source(path):
            return service.request('GET', path)[1]['X-Cache']
        paths = [f'/recommendations/user-{i}?limit=1' for i in range(10)]
        for path in ('/content/content-7', *paths):
            source(path)
        tags = world.database.query("SELECT json_agg(id) FROM content_tags")
        service.json('POST', '/content', {'id': 'fresh', 'creatorId': 'user-1', 'title': 'Fresh', 'tags': json.loads(tags)})
        # Once the feed has come to this, it has seen the content and all of its tags.
        world.database.query("SELECT pg_logical_emit_message(true, 'sugarperf', 'key rec:content:content-7:full')")
        deadline = time.monotonic() + SECONDS
        while source('/content/content-7') == 'hit':
            self.assertLess(time.monotonic(), deadline)
            time.sleep(.02)
        self.assertEqual([source(path) for path in paths], ['hit'] * len(paths))


class Races(unittest.TestCase):
    """Requests at one moment, which see nothing of each other: what there may be once the database refuses twice."""

    def race(self, world, row, path, body):
        """The statuses of two requests that began while somebody held the row that both need first."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool, subprocess.Popen(
                ['psql', '-XqAtw', '-d', world.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            try:
                holder.stdin.write(f'BEGIN;\n{row} FOR UPDATE;\n')
                holder.stdin.flush()
                self.assertTrue(holder.stdout.readline())
                asked = [pool.submit(lambda: world.service.request('POST', path, body)[0]) for _ in range(2)]
                world.database.wait_for_locks(2)
            finally:
                holder.communicate('COMMIT;\n')
            return sorted(one.result() for one in asked)

    def test_a_user_has_one_active_subscription(self):
        world = World(self, services_plain.payment())
        world.start()
        active = "SELECT count(*) FROM subscriptions WHERE is_active AND user_id = '{}'"
        user = world.database.query('SELECT min(user_id) FROM subscriptions WHERE is_active')
        self.assertEqual(self.race(world, f"SELECT id FROM subscriptions WHERE is_active AND user_id = '{user}'", '/subscription',
                                   {'userId': user, 'plan': 'gold'}), [201, 409])
        self.assertEqual(world.database.query(active.format(user)), '1')
        # Who has none has no row to wait for.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(world.service.request, 'POST', '/subscription', {'userId': 'new', 'plan': 'gold'}) for _ in range(24)]
        self.assertLessEqual({one.result()[0] for one in asked}, {201, 409})
        self.assertEqual(world.database.query(active.format('new')), '1')
        self.assertEqual(world.differences(), [])

    def test_a_role_has_a_permission_once(self):
        world = World(self, services_plain.auth())
        world.start()
        self.assertEqual(self.race(world, "SELECT id FROM roles WHERE id = 'role-7'", '/auth/role/role-7/permission',
                                   {'permission': 'role.delete', 'granted': True}), [200, 200])
        self.assertEqual(world.database.query("SELECT count(*) FROM role_permissions WHERE role_id = 'role-7'"
                                              " AND permission_id = 'role.delete'"), '1')


class Payments(unittest.TestCase):
    def test_what_cannot_be_is_refused(self):
        world = World(self, services_plain.payment())
        service = world.start()
        owner, method = world.database.query("SELECT user_id || ' ' || id FROM payment_methods ORDER BY id LIMIT 1").split()
        body = {'userId': owner, 'amountCents': 100, 'methodId': method}
        self.assertEqual(service.request('POST', '/payments', {**body, 'id': 'own'})[0], 201)
        self.assertEqual(service.request('POST', '/payments', {**body, 'userId': 'somebody'})[0], 400)
        self.assertEqual(service.request('POST', '/payments', {**body, 'methodId': 7})[0], 400)
        for currency in ('NOTACURRENCYATALL', 'eur', 'EURO', 'E/R'):
            self.assertEqual(service.request('POST', '/payments', {**body, 'currency': currency})[0], 400, currency)
        self.assertIn('refunded', service.request('GET', f'/payments/{owner}?status=x')[2])
        world.database.query("UPDATE invoices SET id = 'invoice-own' WHERE id = (SELECT min(id) FROM invoices)")
        self.assertEqual(service.request('POST', '/payments/own', {'userId': owner, 'status': 'completed'})[0], 409)


class Namespaces(unittest.TestCase):
    def test_a_flush_is_of_one_service(self):
        world = World(self, services_plain.payment())
        path = '/subscription/' + world.database.query('SELECT min(user_id) FROM subscriptions WHERE is_active')
        environment = {'DATABASE_URL': world.database.url, 'REDIS_URL': REDIS_URL, **PATIENT}
        with Program(BUILD, 'payment', environment) as payment, Program(BUILD, 'auth', environment) as auth:
            payment.json('POST', '/admin/cache/flush')  # of earlier ones
            payment.json('GET', path)
            for service, source in ((auth, 'hit'), (payment, 'miss')):
                service.json('POST', '/admin/cache/flush')
                self.assertEqual(payment.request('GET', path)[1]['X-Cache'], source, service.name)
            self.assertEqual([auth.stop(60), payment.stop(60)], [0, 0])


class Ends(unittest.TestCase):
    """SIGTERM while a request waits for a lock."""

    def setUp(self):
        self.world = World(self, services_plain.payment())
        self.user = self.world.database.query('SELECT min(user_id) FROM subscriptions WHERE is_active')
        self.active = f"SELECT count(*) FROM subscriptions WHERE is_active AND user_id = '{self.user}'"
        # pylint: disable=consider-using-with  # ended by release()
        self.holder = subprocess.Popen(['psql', '-XqAtw', '-d', self.world.database.url], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.release)
        self.holder.stdin.write(f'BEGIN;\nSELECT id FROM subscriptions WHERE is_active AND user_id = {self.user!r} FOR UPDATE;\n')
        self.holder.stdin.flush()
        self.assertTrue(self.holder.stdout.readline())

    def release(self):
        if self.holder.returncode is None:
            self.holder.communicate('COMMIT;\n')

    def connect(self, service):
        link = http.client.HTTPConnection('127.0.0.1', service.port, timeout=SECONDS)
        link.connect()
        self.addCleanup(link.close)
        return link

    def ask(self, link, method, path, body=None):
        link.request(method, path, json.dumps(body) if body else None)
        answer = link.getresponse()
        return answer.status, answer.getheader('Connection'), answer.read()

    def cancel_waits(self, service):
        """A request that waits for the lock, on a connection that is kept alive."""
        link = self.connect(service)
        link.request('POST', f'/subscription/{self.user}/cancel')
        self.world.database.wait_for_locks(1)
        return link

    def test_what_runs_is_answered_and_what_comes_later_is_refused(self):
        service = self.world.start(DRAIN_MS='60000')
        link, other = self.connect(service), self.cancel_waits(service)
        self.assertEqual(self.ask(link, 'GET', '/health/breaker')[:2], (200, None))
        service.process.terminate()
        deadline = time.monotonic() + 10
        status, close = 200, None
        while close is None:
            self.assertLess(time.monotonic(), deadline, 'it serves on who is kept alive, and would never end')
            status, close, _ = self.ask(link, 'GET', '/health/breaker')
        # The first one may have been received before the signal was.
        self.assertIn((status, close), ((200, 'close'), (503, 'close')))
        self.release()
        answer = other.getresponse()
        self.assertEqual((answer.status, answer.getheader('Connection')), (200, 'close'), answer.read())
        self.assertEqual(service.process.wait(SECONDS), 0)
        self.assertEqual(self.world.database.query(self.active), '0')

    def test_what_does_not_end_in_time_is_cut_and_answered(self):
        service = self.world.start(DRAIN_MS='100')
        link = self.cancel_waits(service)
        service.process.terminate()
        answer = link.getresponse()
        self.assertEqual((answer.status, answer.getheader('Connection')), (503, 'close'), answer.read())
        self.assertEqual(service.process.wait(SECONDS), 0)
        self.release()
        self.assertEqual(self.world.database.query(self.active), '1')


class Auth(unittest.TestCase):
    def setUp(self):
        self.world = World(self, services_plain.auth())
        self.service = self.world.start()

    def token(self, **body):
        return self.service.json('POST', '/auth/token', body)['token']

    def valid(self, token):
        status, _, text = self.service.request('GET', '/auth/token/valid', headers={'Authorization': f'Bearer {token}'})
        return status, json.loads(text)

    def test_a_token_is_valid_until_it_is_revoked(self):
        token, other = self.token(userId='user-1'), self.token(userId='user-2')
        for _ in range(2):
            status, answer = self.valid(token)
            self.assertEqual((status, answer.get('userId')), (200, 'user-1'), answer)
        self.assertEqual(self.service.request('POST', '/auth/token/revoke', headers={'Authorization': f'Bearer {token}'})[0], 201)
        for _ in range(2):
            self.assertEqual(self.valid(token)[0], 401)
        self.assertEqual(self.valid(other)[0], 200)

    def test_a_token_ends_with_its_time_and_with_its_user(self):
        short, token = self.token(userId='user-1', seconds=1), self.token(userId='user-3')
        self.assertEqual(self.valid(token)[0], 200)
        self.service.json('POST', '/auth/user/user-3', {'active': False})
        self.assertEqual(self.valid(token)[0], 401)
        self.service.json('POST', '/auth/user/user-3', {'active': True})
        self.assertEqual(self.valid(token)[0], 200)
        deadline = time.monotonic() + SECONDS
        while self.valid(short)[0] == 200:
            self.assertLess(time.monotonic(), deadline, 'it is valid for a second')
            time.sleep(.1)
        self.assertEqual(self.valid(short)[0], 401)

    def test_a_change_that_is_not_understood_is_refused(self):
        for body in ({'active': 'false'}, {'active': 'false', 'email': 'a@example.org'}, {'active': True, 'email': 7}, {'username': ''}):
            self.assertEqual(self.service.request('POST', '/auth/user/user-1', body)[0], 400, body)

    def test_null_is_nothing(self):
        token = self.token(userId='user-1', seconds=None)
        self.assertEqual(self.service.request('POST', '/auth/user/user-1', {'active': None, 'roleId': 'role-1'})[0], 200)
        self.assertEqual(self.valid(token)[1]['roleId'], 'role-1')
        self.assertEqual(self.service.request('POST', '/auth/user/user-1', {'active': None})[0], 400)

    def test_a_user_is_asked_for_by_one_name(self):
        self.assertEqual(self.service.request('GET', '/auth/user?username=member1&email=member2@example.org')[0], 400)
        self.assertEqual(self.service.request('GET', '/auth/user?email=member2@example.org')[0], 200)

    def test_what_is_no_token_of_ours_is_refused_without_a_look_up(self):
        token = self.token(userId='user-1')
        before = self.service.json('GET', '/metrics/cache')
        user, expires, mac = token.split('~')
        for wrong in ('', 'x', '~', '~~', f'user-2~{expires}~{mac}', f'{user}~{int(expires) + 1}~{mac}', token + '0',
                      f'{user}~{expires}~{"0" * 64}', 'x' * 1000):
            self.assertEqual(self.valid(wrong)[0], 401, wrong)
        self.assertEqual(self.service.json('GET', '/metrics/cache'), before)

    def test_no_token_and_no_address_stands_in_redis(self):
        from measure.redis import Redis  # pylint: disable=import-outside-toplevel
        token = self.token(userId='user-1')
        self.valid(token)
        self.service.request('GET', '/auth/user?email=member1@example.org')
        with Redis(REDIS_URL) as redis:
            keys = [key.decode() if isinstance(key, bytes) else key for key in redis.call('KEYS', f'*{self.world.database.schema}*')]
        self.assertTrue(any(':auth:token:~' in key for key in keys), keys)
        self.assertEqual([key for key in keys if token in key or 'example.org' in key or token.split('~')[2] in key], [])


class Secrets(unittest.TestCase):
    """Whoever knows the secret signs what he likes."""

    ENVIRONMENT = {'DATABASE_URL': 'postgresql://nobody:nothing@127.0.0.1:1/none', 'REDIS_URL': REDIS_URL,
                   'SUGARPERF_CACHE_NAMESPACE': f'secrets_{os.getpid()}'}

    def test_an_empty_secret_signs_nothing(self):
        with Program(BUILD, 'auth', {**self.ENVIRONMENT, 'AUTH_SECRET': ''}) as service:
            self.assertEqual(service.request('POST', '/auth/token', {'userId': 'user-1'})[0], 503)
            text = f'user-1~{int(time.time()) + 100}'
            forged = f"{text}~{hmac.new(b'', text.encode(), 'sha256').hexdigest()}"
            status, _, answer = service.request('GET', '/auth/token/valid', headers={'Authorization': f'Bearer {forged}'})
            self.assertEqual(status, 503)
            self.assertIn('service_refusals_total 2\n', service.request('GET', '/metrics')[2])
            self.assertIn('AUTH_SECRET', answer)

    def test_a_secret_that_is_guessed_is_refused_at_the_start(self):
        done = subprocess.run([path_of(BUILD, 'auth'), '--port', '0'], env={**os.environ, **self.ENVIRONMENT, 'AUTH_SECRET': 'sweet'},
                              capture_output=True, text=True, check=False, timeout=SECONDS)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn('AUTH_SECRET has 5 bytes, must have at least 16', done.stderr)
        self.assertEqual(done.stderr.count('\n'), 1)


class Outage(unittest.TestCase):
    """The database cannot be asked: who has a fallback answers it, the others say so, and what is cached stays."""

    def test_auth_and_payment_fail_closed(self):
        paths = {'auth': '/auth/user/user-0/permissions', 'payment': '/subscription/user-0',
                 'content-streaming': '/content/content-0'}
        for name, path in paths.items():
            with self.subTest(name):
                service = Program(BUILD, name, {'DATABASE_URL': 'postgresql://nobody:nothing@127.0.0.1:1/none',
                                                'REDIS_URL': REDIS_URL, 'SUGARPERF_CACHE_NAMESPACE': f'outage_{os.getpid()}'})
                self.addCleanup(service.log.close)
                for _ in range(6):
                    self.assertEqual(service.request('GET', path)[0], 503)
                self.assertEqual(service.json('GET', '/health/breaker')['state'], 'OPEN')
                self.assertEqual(service.request('GET', '/health/database')[0], 503)
                if name == 'content-streaming':
                    status, headers, text = service.request('GET', '/creator/creator-0/videos')
                    self.assertEqual((status, headers['X-Cache'], text), (200, 'fallback', '[]'))
                service.json('POST', '/admin/breaker/reset')
                self.assertEqual(service.json('GET', '/health/breaker')['state'], 'CLOSED')
                self.assertEqual(service.stop(60), 0)


class Guide(unittest.TestCase):
    def test_what_the_page_tells_to_type(self):
        with open(os.path.join(ROOT, 'examples', 'service', 'README.md'), encoding='utf-8') as page:
            lines = re.search(r'```sh\n(.*?)```', page.read(), re.DOTALL)[1].splitlines()
        database = OwnDatabase(os.environ['DATABASE_URL'], f'services_guide_{os.getpid()}')
        database.create()
        self.addCleanup(database.drop)
        done = subprocess.run(['bash', '-euc', '\n'.join(lines[:-1])], env={**os.environ, 'DATABASE_URL': database.url}, cwd=ROOT,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        words = lines[-1].split()
        self.assertEqual(words[1:], ['--port', '3004'])
        service = Program(BUILD, os.path.basename(words[0]).removesuffix('-service'),
                          {'DATABASE_URL': database.url, 'REDIS_URL': REDIS_URL, 'SUGARPERF_CACHE_NAMESPACE': database.schema})
        self.addCleanup(service.log.close)
        self.assertEqual(service.request('GET', '/payments/user-1?status=completed')[0], 200)
        self.assertEqual(service.stop(60), 0)


if __name__ == '__main__':
    unittest.main()
