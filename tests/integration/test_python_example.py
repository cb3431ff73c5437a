# SPDX-License-Identifier: MIT
"""The service in Python answers what plain SQL answers, also after writes, and what the service in C has cached.

SUGARPERF_BUILD names the build, SP_EXAMPLE_PYTHON a Python that has FastAPI; servers are those of the environment.
"""
import os
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, 'examples', 'python')
# A database of Redis that no other suite uses.
REDIS_URL = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/8'
PYTHON = os.environ['SP_EXAMPLE_PYTHON']
sys.path.insert(0, os.path.join(ROOT, 'examples', 'recommendation'))

from measure import answers  # noqa: E402  # pylint: disable=wrong-import-position
from measure.database import Database  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis  # noqa: E402  # pylint: disable=wrong-import-position

SIZES = {'users': 200, 'contents': 1000, 'interactions': 3000, 'tags': 50}


def framework():
    return os.path.exists(PYTHON) and subprocess.run([PYTHON, '-c', 'import fastapi, uvicorn'], capture_output=True,
                                                     check=False).returncode == 0


class Service(Program):
    """uvicorn on a socket that listens already: what is asked meanwhile waits for it."""

    def __init__(self, environment):    # pylint: disable=super-init-not-called  # another program
        # pylint: disable=consider-using-with  # closed in stop()
        self.name, self.log = 'service.py', tempfile.TemporaryFile('w+')
        with socket.create_server(('127.0.0.1', 0)) as door:
            self.port = door.getsockname()[1]
            self.process = subprocess.Popen([PYTHON, '-m', 'uvicorn', 'service:app', '--fd', str(door.fileno())], cwd=EXAMPLE,
                                            env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=self.log, text=True, pass_fds=[door.fileno()])

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body, {'Content-Type': 'application/json', **(headers or {})})


@unittest.skipUnless(framework(), 'FastAPI is not here: pip install -r examples/python/requirements.txt')
class Example(unittest.TestCase):
    users = [f'user-{i}' for i in range(0, SIZES['users'], 10)] + ['user-nobody']
    outsider = 'content-500'

    @classmethod
    def setUpClass(cls):
        cls.database = Database(os.environ['DATABASE_URL'], f'python_example_{os.getpid()}')
        cls.database.create()
        cls.addClassCleanup(cls.database.drop)
        for name in ('schema.sql', 'data.sql', 'keys.sql', 'indexes.sql'):
            cls.database.run_file(name, **SIZES)

    def setUp(self):
        with Redis(REDIS_URL) as redis:
            redis.call('FLUSHDB')
        self.service = self.start()

    def start(self):
        service = Service({'DATABASE_URL': self.database.url, 'REDIS_URL': REDIS_URL, 'PYTHONDONTWRITEBYTECODE': '1',
                           'PYTHONPATH': os.path.join(ROOT, 'bindings', 'python')})
        self.addCleanup(service.log.close)
        self.addCleanup(self.end, service)
        return service

    def end(self, service):
        if service.process.poll() is None:
            service.stop(60)
        said = '\n'.join(service.messages())
        self.assertIn('Finished server process', said)
        self.assertNotIn('Traceback', said)

    def same(self, limit=10):
        self.assertEqual(answers.differences(self.database, self.service, self.users, [self.outsider, 'content-7'], limit), [])

    def test_answers_are_those_of_plain_sql_and_the_second_ones_too(self):
        for limit in (1, 10, 100, 10):
            self.same(limit)
        self.assertIn('cache_hits_total', self.service.request('GET', '/metrics')[2])

    def test_after_interactions_and_new_scores_they_still_are(self):
        self.same()
        self.assertGreater(answers.change(self.database, self.service, self.users[0], self.outsider)['changed'], 0)
        self.same()
        first = self.service.json('GET', f'/recommendations/{self.users[-1]}')[0]
        self.assertEqual(first['id'], self.outsider)

    def test_what_cannot_be_is_refused(self):
        for method, path, body, status in (
                ('GET', '/content/content-none', None, 404), ('GET', '/recommendations/user-3?limit=101', None, 422),
                ('POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-none', 'type': 'view'}, 404),
                ('POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'stare'}, 422)):
            with self.subTest(path, body=body):
                self.assertEqual(self.service.request(method, path, body)[0], status)
        self.assertEqual(self.service.json('GET', '/health/database')['status'], 'healthy')

    def test_two_services_share_what_either_loaded(self):
        other = self.start()
        path = '/content/content-7'
        before = self.service.json('GET', path)
        self.database.query("UPDATE contents SET title = 'behind the back' WHERE id = 'content-7'")
        self.assertEqual(other.json('GET', path), before)
        other.json('POST', '/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'like'})
        self.assertEqual(other.json('GET', path)['title'], 'behind the back')


if __name__ == '__main__':
    unittest.main()
