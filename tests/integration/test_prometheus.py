# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes the running example, and answers about it what the service did."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REDIS_URL = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/8'
sys.path.insert(0, os.path.join(ROOT, 'examples', 'recommendation'))

from measure.database import Database  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program  # noqa: E402  # pylint: disable=wrong-import-position

SIZES = {'users': 50, 'contents': 200, 'interactions': 500, 'tags': 20}
CONFIG = """global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: service
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""
SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@unittest.skipUnless(shutil.which('prometheus'), 'prometheus is not here')
class Scraped(unittest.TestCase):
    def setUp(self):
        database = Database(os.environ['DATABASE_URL'], f'prometheus_{os.getpid()}')
        database.create()
        self.addCleanup(database.drop)
        for name in ('schema.sql', 'data.sql', 'keys.sql', 'indexes.sql'):
            database.run_file(name, **SIZES)
        self.service = Program(os.environ['SP_BUILD_DIR'], 'service',
                               {'DATABASE_URL': database.url, 'REDIS_URL': REDIS_URL})
        self.addCleanup(self.service.log.close)
        self.addCleanup(self.service.stop)
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.start(folder.name)

    def start(self, folder):
        config = os.path.join(folder, 'prometheus.yml')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(CONFIG.format(port=self.service.port))
        self.port = free_port()
        # pylint: disable-next=consider-using-with
        server = subprocess.Popen(['prometheus', f'--config.file={config}', f'--storage.tsdb.path={folder}/data',
                                   f'--web.listen-address=127.0.0.1:{self.port}'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)

    def ask(self, path, **arguments):
        url = f'http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}'
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)['data']

    def value(self, query):
        """Once there is one."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                found = self.ask('query', query=query)['result']
                if found and float(found[0]['value'][1]) > 0:
                    return float(found[0]['value'][1])
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.1)
        return self.fail(f'{query}: nothing within {SECONDS} s; targets: {self.targets()}')

    def targets(self):
        try:
            return [target['lastError'] for target in self.ask('targets')['activeTargets']]
        except (urllib.error.URLError, ConnectionError) as reason:
            return reason

    def test_a_real_prometheus_reads_it_all(self):
        for user in range(5):
            self.service.json('GET', f'/recommendations/user-{user}')
        name = 'db_query_summary="getRecommendations"'
        self.assertEqual(self.value('up{job="service"}'), 1)
        self.assertEqual(self.value(f'db_client_operation_duration_seconds_count{{{name}}}'), 5)
        self.assertEqual(self.value(f'sugarperf_statement_rows_total{{{name}}}'), 5)
        quantile = self.value(f'histogram_quantile(0.99, db_client_operation_duration_seconds_bucket{{{name}}})')
        self.assertLess(quantile, 10)
        self.assertEqual(self.targets(), [''])
        kinds = self.ask('metadata')
        self.assertEqual(kinds['db_client_operation_duration_seconds'][0]['type'], 'histogram')
        # It asked for OpenMetrics, where a family has no suffix.
        self.assertEqual(kinds['sugarperf_statement_rows'][0]['type'], 'counter')

    def test_the_dashboard_s_queries_are_answered(self):
        """Each panel's query is one that Prometheus understands, over series that the service has."""
        path = os.path.join(ROOT, 'examples', 'ops', 'grafana', 'services.json')
        with open(path, encoding='utf-8') as file:
            panels = json.load(file)['panels']
        for user in range(5):
            self.service.json('GET', f'/recommendations/user-{user}')
        self.assertEqual(self.value('up{job="service"}'), 1)
        time.sleep(1)   # a rate needs two scrapes
        for panel in panels:
            for target in panel['targets']:
                query = target['expr'].replace('$job', '.*').replace('$window', '1m')
                found = self.ask('query', query=query)['result']
                if 'feed' not in query:     # the service has none here
                    self.assertTrue(found, f"{panel['title']}: {query}")


if __name__ == '__main__':
    unittest.main()
