# SPDX-License-Identifier: MIT
"""What docs/runbooks/ tells to type works as it stands there, on a running service; and alerts name pages that there are."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNBOOKS = os.path.join(ROOT, 'docs', 'runbooks')
OPS = os.path.join(ROOT, 'examples', 'ops')
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.dirname(os.path.abspath(__file__))]

from measure.database import OwnDatabase  # noqa: E402  # pylint: disable=wrong-import-position
import services_plain  # noqa: E402  # pylint: disable=wrong-import-position
from test_services import REDIS_URL, World  # noqa: E402  # pylint: disable=wrong-import-position


def text_of(*path):
    with open(os.path.join(*path), encoding='utf-8') as file:
        return file.read()


class Runbooks(unittest.TestCase):
    def test_every_command_runs(self):
        world = World(self, services_plain.recommendation())
        service = world.start(FEED='on')
        world.wait_for_feed()
        service.json('GET', '/recommendations/user-3')
        service.request('GET', '/content/none')
        # One of somebody else, who is away for a moment.
        world.database.query(f"SELECT pg_create_logical_replication_slot('other_{os.getpid()}', 'pgoutput')")
        environment = {**os.environ, 'SERVICE': service.url, 'DATABASE_URL': world.database.url, 'REDIS_URL': REDIS_URL,
                       'NAMESPACE': world.database.schema}
        for name in sorted(os.listdir(RUNBOOKS)):
            for number, block in enumerate(re.findall(r'```sh\n(.*?)```', text_of(RUNBOOKS, name), re.DOTALL)):
                with self.subTest(page=name, block=number):
                    if 'redis-cli' in block and not shutil.which('redis-cli'):
                        continue
                    done = subprocess.run(['bash', '-euo', 'pipefail', '-c', block], env=environment, cwd=ROOT, check=False,
                                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
                    self.assertEqual(done.returncode, 0, f'{block}\n{done.stdout}\n{done.stderr}')
        self.assertEqual(world.differences(), [])
        self.assertEqual(world.database.query(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'other_{os.getpid()}'"), '1')

    def test_alerts_and_the_list_name_the_pages(self):
        pages = {name for name in os.listdir(RUNBOOKS) if name != 'README.md'}
        self.assertEqual(pages, set(re.findall(r'\]\(([a-z-]+\.md)\)', text_of(RUNBOOKS, 'README.md'))))
        rules = text_of(OPS, 'prometheus', 'rules.yml')
        named = re.findall(r'alert: (\w+)\n(?:(?! +- ).*\n)*? +runbook: docs/runbooks/(\S+)', rules)
        self.assertEqual([alert for alert, _ in named], re.findall(r'alert: (\w+)', rules), 'each has one')
        self.assertLessEqual({page for _, page in named}, pages)
        for page in pages:
            said = re.findall(r'(?m)^Alerts: (.*)\.$', text_of(RUNBOOKS, page))
            self.assertEqual(re.findall(r'`(\w+)`', ''.join(said)), [alert for alert, where in named if where == page], page)

    def test_the_dashboard_shows_what_alerts_watch(self):
        name = re.compile(r'\b(?:up\b|(?:sugarperf|db_client|service)_[a-z_]+)')
        expressions = re.findall(r'expr: (.*\n(?: {10,}\S.*\n)*)', text_of(OPS, 'prometheus', 'rules.yml'))
        panels = json.loads(text_of(OPS, 'grafana', 'services.json'))['panels']
        shown = set(name.findall(' '.join(target['expr'] for panel in panels for target in panel['targets'])))
        watched = {one for text in expressions for one in name.findall(re.sub(r'\bjob\w*:\w+:\w+', '', text))}
        self.assertIn('service_fallbacks_total', watched)
        self.assertEqual(watched - shown, set())


class Doctor(unittest.TestCase):
    def test_what_is_left_behind_is_named_with_what_ends_it(self):
        database = OwnDatabase(os.environ['DATABASE_URL'], f'doctor_{os.getpid()}')
        database.create()
        self.addCleanup(database.drop)
        slot = f'sugarperf_left_{os.getpid()}'
        database.query(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
        database.query(f"CREATE TABLE left_behind (); BEGIN; INSERT INTO left_behind DEFAULT VALUES; PREPARE TRANSACTION '{slot}'")
        self.addCleanup(database.query, f"ROLLBACK PREPARED '{slot}'")
        # All that ./run doctor asks of the server: the rest takes its time, and every new slot would wait.
        said = database.psql(['-f', os.path.join(ROOT, 'tests', 'support', 'doctor.sql')])
        self.assertRegex(said, rf'(?m)^slot "{slot}" \(database {database.schema}\) is read by nobody and keeps .* of the log: '
                         rf".*SELECT pg_drop_replication_slot\('{slot}'\)\|yes$")
        self.assertRegex(said, rf"(?m)^prepared transaction '{slot}' .* ROLLBACK PREPARED '{slot}' there\|yes$")


class Linted(unittest.TestCase):
    def test_alerts_and_rules(self):
        if not shutil.which('promtool'):
            self.skipTest('promtool is not here')
        folder = os.path.join(OPS, 'prometheus')
        for words in (['check', 'config', 'prometheus.yml'], ['check', 'rules', 'rules.yml'], ['test', 'rules', 'rules_test.yml']):
            done = subprocess.run(['promtool', *words], cwd=folder, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_unit(self):
        if not shutil.which('systemd-analyze'):
            self.skipTest('systemd is not here')
        build = os.environ['SP_BUILD_DIR']
        page = text_of(ROOT, 'examples', 'service', 'README.md')
        block = next(one for one in re.findall(r'```sh\n(.*?)```', page, re.DOTALL) if 'libexec' in one)
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run(['bash', '-euc', block.replace(' build/', f' {build}/')], env={**os.environ, 'DESTDIR': root}, cwd=ROOT,
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            unit = os.path.join(root, 'etc', 'systemd', 'system', 'sugarperf@.service')
            program, settings = (re.search(rf'(?m)^{key}=(.*)$', text_of(unit))[1].replace('%i', 'recommendation')
                                 for key in ('ExecStart', 'EnvironmentFile'))
            self.assertTrue(os.path.isdir(root + os.path.dirname(settings)), settings)
            done = subprocess.run([root + program, '--statements'], env={**os.environ, 'LD_LIBRARY_PATH': os.path.join(build, 'lib')},
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
            self.assertIn('SELECT', done.stdout, done.stderr)
            # As if it were in its place: what verify looks at is the machine's own.
            path = os.path.join(root, 'sugarperf@recommendation.service')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text_of(unit).replace('=/usr/libexec/', f'={root}/usr/libexec/'))
            done = subprocess.run(['systemd-analyze', 'verify', path], capture_output=True, text=True, check=False)
            self.assertNotIn('sugarperf@recommendation', done.stderr)

    def yaml_of(self, *names):
        try:
            import yaml  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest('python3-yaml is not here')
        return yaml.safe_load(text_of(OPS, *names))

    def test_the_compose_file(self):
        file = self.yaml_of('compose.yml')
        self.assertIn('log_min_duration_statement=100', file['services']['postgres']['command'])
        for name, service in file['services'].items():
            self.assertRegex(service['image'], r':[\d.v]+$', name)
            for port in service.get('ports', []):
                self.assertTrue(port.startswith('127.0.0.1:'), port)

    def test_the_dashboard_shows_without_hand_work(self):
        """Grafana finds where it is told what is mounted there, and its Prometheus where that listens."""
        services = self.yaml_of('compose.yml')['services']
        mounted = {}
        for service in services.values():
            for volume in service.get('volumes', []):
                source, target = volume.split(':')[:2]
                if source.startswith('.'):
                    self.assertTrue(os.path.exists(os.path.join(OPS, source)), volume)
                    mounted[target] = os.path.normpath(source)
        grafana = services['grafana']['environment']
        self.assertEqual(mounted['/etc/grafana/provisioning'], 'grafana/provisioning')
        provider = self.yaml_of('grafana', 'provisioning', 'dashboards', 'services.yml')['providers'][0]
        home = grafana['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']
        self.assertEqual((provider['type'], mounted[home]), ('file', 'grafana/services.json'))
        self.assertEqual(os.path.dirname(home), provider['options']['path'])
        source = self.yaml_of('grafana', 'provisioning', 'datasources', 'prometheus.yml')['datasources'][0]
        self.assertTrue(source['isDefault'])
        command = services['prometheus']['command']
        self.assertIn(f"--web.listen-address={source['url'].removeprefix('http://')}", command)
        config = re.search(r'--config.file=(\S+)', command)[1]
        self.assertEqual(mounted[os.path.dirname(config)], 'prometheus')
        self.assertTrue(os.path.exists(os.path.join(OPS, 'prometheus', os.path.basename(config))))
        board = json.loads(text_of(OPS, 'grafana', 'services.json'))
        variable = next(one for one in board['templating']['list'] if one['type'] == 'datasource')
        self.assertEqual(variable['query'], source['type'])
        for panel in board['panels']:
            self.assertEqual(panel['datasource'], {'type': source['type'], 'uid': f"${{{variable['name']}}}"}, panel['title'])
        # Nothing of it is open to others.
        for name, service in services.items():
            if service.get('network_mode') == 'host':
                self.assertIn('127.0.0.1', service.get('command', '') + str(service.get('environment', '')), name)

    def test_the_dashboard_is_classic_json(self):
        board = json.loads(text_of(OPS, 'grafana', 'services.json'))
        self.assertEqual(len({panel['id'] for panel in board['panels']}), len(board['panels']))
        for panel in board['panels']:
            self.assertTrue(panel['title'] and all(target['expr'] for target in panel['targets']))


if __name__ == '__main__':
    unittest.main()
