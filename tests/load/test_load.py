# SPDX-License-Identifier: MIT
"""The load tests and the baseline work, and the k6 scripts ask what the services answer."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ['SP_BUILD_DIR']
os.environ['REDIS_URL'] = os.environ['REDIS_URL'].rsplit('/', 1)[0] + '/10'
sys.path[:0] = [HERE, os.path.join(ROOT, 'examples', 'recommendation')]

import baseline_page  # noqa: E402  # pylint: disable=wrong-import-position
import k6  # noqa: E402  # pylint: disable=wrong-import-position
import load  # noqa: E402  # pylint: disable=wrong-import-position
import traffic  # noqa: E402  # pylint: disable=wrong-import-position

# k6's modules, as far as our scripts use them, over curl.
STUBS = {
    'k6': '''import { failures } from 'k6/http';
export const checked = new Set();
export function check(answer, all) {
    Object.keys(all).forEach((name) => checked.add(name));
    for (const [name, good] of Object.entries(all))
        if (!good(answer) && !name.startsWith('response time'))
            failures.push(`${name}: ${answer.url} ${answer.status} ${answer.body}`);
}
export function group(name, work) { work(); }
export function sleep() {}
''',
    'k6/http': '''import { execFileSync } from 'node:child_process';
export const failures = [], asked = new Set();
let expected = [{ min: 200, max: 399 }];
function ask(method, url, body, params = {}) {
    asked.add(new URL(url).origin);
    if (process.env.NOBODY)
        return { url, status: 200, body: '', timings: { duration: 1 }, json: () => 'token' };
    const words = ['-s', '-X', method, '-w', '\\n%{http_code}', url];
    for (const [name, value] of Object.entries(params.headers || {})) words.push('-H', `${name}: ${value}`);
    if (body) words.push('-d', body);
    const lines = execFileSync('curl', words, { encoding: 'utf8' }).split('\\n');
    const status = Number(lines.pop()), text = lines.join('\\n');
    const fine = params.responseCallback || expected;
    if (!fine.some((one) => one === status || (status >= one.min && status <= one.max)))
        failures.push(`${method} ${url}: ${status} ${text}`);
    return { url, status, body: text, timings: { duration: 1 }, json: (name) => JSON.parse(text)[name] };
}
export default {
    get: (url, params) => ask('GET', url, null, params),
    post: (url, body, params) => ask('POST', url, body, params),
    expectedStatuses: (...all) => all,
    setResponseCallback: (all) => { expected = all; },
};
''',
    'run': '''import { asked, failures } from 'k6/http';
import { checked } from 'k6';
globalThis.__ENV = process.env;
globalThis.__VU = 1;
const script = await import(process.argv[2]);
const data = script.setup ? script.setup() : undefined;
for (__VU = 1; __VU <= 5; __VU++) script.default(data);
for (let i = 0; i < 60; i++) script.open(data);
const open = Object.keys(script.options.scenarios || {}).length, thresholds = Object.keys(script.options.thresholds).length;
console.log(JSON.stringify({ failures, asked: [...asked], checked: [...checked], open, thresholds, stages: (script.options.stages || []).length }));
'''}


class Scripts(unittest.TestCase):
    """The k6 scripts, without k6: its few functions are played by Node and curl."""

    def setUp(self):
        if not shutil.which('node') or not shutil.which('curl'):
            self.skipTest('node or curl is not here')
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        module = os.path.join(self.folder, 'node_modules', 'k6')
        os.makedirs(module)
        self.write(module, 'package.json', json.dumps({'name': 'k6', 'type': 'module', 'exports': {'.': './k6.js', './http': './http.js'}}))
        self.write(module, 'k6.js', STUBS['k6'])
        self.write(module, 'http.js', STUBS['k6/http'])
        self.write(self.folder, 'package.json', '{"type": "module"}')
        self.write(self.folder, 'run.js', STUBS['run'])
        for name in os.listdir(HERE):
            if name.endswith('.js'):
                shutil.copy(os.path.join(HERE, name), self.folder)

    def test_they_ask_what_the_services_answer(self):
        for service in traffic.SERVICES.values():
            for model in ('document', 'open'):
                with self.subTest(service=service.name, model=model):
                    self.ask_the_service(service, model)

    def test_each_asks_its_own_service_where_nobody_says_which(self):
        for name, port in (('recommendation', 3001), ('content-streaming', 3002), ('auth', 3003), ('payment', 3004)):
            self.assertEqual(self.run_script(name, NOBODY='1')['asked'], [f'http://127.0.0.1:{port}'])

    def test_the_document_s_checks_are_made(self):
        self.assertEqual(set(self.run_script('recommendation', NOBODY='1')['checked']) - {'status is 201'},
                         {'status is 200', 'response time < 500ms', 'response time < 200ms', 'content length > 0'})

    @staticmethod
    def write(folder, name, text):
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def run_script(self, name, **environment):
        words = {key: value for key, value in os.environ.items() if key not in ('URL', 'MODEL')}
        done = subprocess.run(['node', 'run.js', f'./{name}.js'], cwd=self.folder, capture_output=True, text=True, check=False,
                              env={**words, **environment}, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def ask_the_service(self, service, model):
        with load.World(BUILD, service, load.sizes_of(service, 0.005)) as world:
            sizes = {name.upper(): str(value) for name, value in world.sizes.items()}
            told = self.run_script(service.name, URL=world.program.url, MODEL=model, **sizes)
        self.assertEqual(told['failures'], [])
        self.assertEqual((told['open'], told['stages']), (1, 0) if model == 'open' else (0, 3))
        self.assertGreaterEqual(told['thresholds'], 2)


class K6(unittest.TestCase):
    def test_what_it_sums_up_is_read(self):
        """As v1.8.1 writes it."""
        told = {'http_req_duration': {'avg': 203.02, 'med': 200.96, 'p(95)': 208.78, 'p(99)': 210.16, 'max': 210.51,
                                      'thresholds': {'p(95)<300': False}},
                'http_req_failed': {'fails': 0, 'passes': 5, 'value': 1}, 'http_reqs': {'count': 5, 'rate': 4.15},
                'dropped_iterations': {'count': 16, 'rate': 13.3, 'thresholds': {'count<1': True}}}
        self.assertEqual(k6.summary(json.dumps({'metrics': told})),
                         {'count': 5, 'mean': 203.02, 'p95': 208.78, 'p99': 210.16, 'max': 210.51, 'failed': 100, 'left_out': 16,
                          'achieved': 4.15, 'endpoints': {}})

    def test_who_wants_it_without_go_is_told_what_is_missing(self):
        with unittest.mock.patch.dict(os.environ, PATH='/nowhere'), unittest.mock.patch.object(k6, 'FOLDER', '/nowhere'):
            with self.assertRaisesRegex(load.Failure, 'needs k6 on PATH, or Go'):
                k6.fetch()

    def test_one_that_was_built_before_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'k6')
            with open(path, 'w', encoding='utf-8') as file:
                file.write('#!/bin/sh\n')
            os.chmod(path, 0o755)
            with unittest.mock.patch.dict(os.environ, PATH='/nowhere'), unittest.mock.patch.object(k6, 'FOLDER', folder):
                k6.fetch()
                self.assertEqual(k6.found(), path)


class Verdicts(unittest.TestCase):
    def test_a_crossed_threshold_is_a_failure(self):
        run = {'mean': 1, 'p95': 2, 'p99': 3, 'failed': 0, 'left_out': 0}
        result = {'stages': run, 'open': run, 'hit_rate': 90, 'connections': {'busy_average': 1}, 'slow': []}
        self.assertTrue(all(row[4] for row in load.verdicts(result)))
        for change in ({'open': {**run, 'p99': 500}}, {'open': {**run, 'failed': 0.1}}, {'open': {**run, 'left_out': 1}},
                       {'stages': {**run, 'p95': 500}}, {'hit_rate': 80}, {'slow': ['slow: x']}, {'connections': {'busy_average': 10}}):
            self.assertEqual(sum(not row[4] for row in load.verdicts({**result, **change})), 1, change)


class Page(unittest.TestCase):
    def test_how_far_below_its_target_a_figure_is(self):
        self.assertEqual(baseline_page.less('x', 100, 25), (True, 'x', '< 100', '25', '4.0 ×'))
        self.assertEqual(baseline_page.less('x', 100, {'median': 50, 'low': 1, 'high': 100})[0], False, 'the worst round counts')
        self.assertEqual(baseline_page.less('x', 0.1, 0)[-1], 'none')
        self.assertEqual(baseline_page.hits('x', 98), (True, 'x', '> 80', '98', '10 ×'))
        self.assertFalse(baseline_page.hits('x', 80)[0])
        self.assertEqual((baseline_page.none('x', 0)[0], baseline_page.none('x', 1)[0]), (True, False))


class Committed(unittest.TestCase):
    def test_the_page_is_that_of_its_figures(self):
        """After a change of the page: ./run baseline --render. Figures of an older format are told as such, and need a run."""
        with open(os.path.join(ROOT, 'docs', 'baseline.json'), encoding='utf-8') as file:
            figures = json.load(file)
        if figures.get('format') == baseline_page.FORMAT:
            with open(os.path.join(ROOT, 'docs', 'baseline.md'), encoding='utf-8') as file:
                self.assertEqual(file.read(), baseline_page.page(figures)[0])
        else:
            with self.assertRaisesRegex(SystemExit, 'format .*: ./run baseline measures anew'):
                baseline_page.page(figures)


class Baseline(unittest.TestCase):
    def test_it_has_every_table_of_the_document(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, os.path.join(HERE, 'baseline.py'), '--build', BUILD, '--smoke', '--out', folder],
                                  capture_output=True, text=True, check=False, timeout=500)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            text = {}
            for name in ('baseline.md', 'baseline.json', 'baseline.svg', 'baseline-targets.svg', 'queries.md'):
                with open(os.path.join(folder, name), encoding='utf-8') as file:
                    text[name] = file.read()
        for line in ('GET /recommendations/{userId} p50', 'GET /content/{id} p95', 'POST /content p99',
                     'GET /auth/user/{id}/permissions max', 'getRecommendations (cold)', 'updateEngagementScores, 10,000 rows',
                     'getContentWithTags (cold)', 'open, average', 'memory in the process, MB | 450 |', 'memory in Redis, MB',
                     'time-out for one, ms (set; naive: none) | 5,000 |  | 2,000 | 2,000 |', 'by less than ten times', '| answers |  | 20 | 20 |', 'A smoke run', 'updateEngagementScores, its slowest statement'):
            self.assertIn(line, text['baseline.md'])
        self.assertIn('0 |', next(line for line in text['baseline.md'].splitlines() if "differ from plain SQL's" in line))
        self.assertRegex(text['baseline.md'], r'GET /auth/user/\{id\}/permissions p95 \| 200 \| [\d.]+ \| ')
        # A star is explained, where it stands.
        starred = [line for line in text['baseline.md'].splitlines() if re.search(r'\d \*', line)]
        self.assertEqual(len(starred), 1)
        self.assertRegex(text['baseline.md'], r'\n\\\* Extrapolated from \d+ saves')
        self.assertRegex(text['baseline.md'], r'no slow query log .* \d+ of [1-9][\d,]* statements over 100 ms')
        services = json.loads(text['baseline.json'])['load']['services']
        self.assertEqual(set(services), set(traffic.SERVICES))
        for name, service in services.items():
            for run in ('stages', 'open'):
                self.assertGreater(service[run]['count'], 5, name)
                self.assertEqual(service[run]['failed'], 0, f'{name} {run}: {service[run]}')
            # The document's indexes stand in each database, and its statements are told by name.
            self.assertGreaterEqual(service['indexes'], 2, name)
            self.assertGreaterEqual(service['statements']['named'], 3, name)
            self.assertGreaterEqual(service['statements']['ran'], service['statements']['named'], name)
            self.assertEqual(service['statements']['findings'], 0, name)
        verdicts = [line.split(' | ')[0] for line in text['baseline.md'].splitlines() if re.match(r'\| (PASS|FAIL) ', line)]
        self.assertGreaterEqual(len(verdicts), 8 + 6 + 3 + 4 * 10 + 9)
        for name in ('baseline.svg', 'baseline-targets.svg'):
            self.assertTrue(xml.etree.ElementTree.fromstring(text[name]).tag.endswith('svg'), name)
        self.assertEqual(text['queries.md'].count('Execution Time'), 5)
        self.assertEqual(baseline_page.page(json.loads(text['baseline.json']))[0], text['baseline.md'], 'what --render would write')


if __name__ == '__main__':
    unittest.main()
