# SPDX-License-Identifier: MIT
"""./run bench end to end with tiny times: the library's drivers, the peers in C and the private servers."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Bench(unittest.TestCase):
    def rows(self, *words):
        """The rows of a short run; each is measured, or says which side is missing here."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'rows.json')
            done = subprocess.run([sys.executable, os.path.join(HERE, 'bench.py'), '--build', os.environ['SP_BENCH_BUILD'],
                                   '--rounds', '1', '--seconds', '0.3', '--json', path, *words],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(path, encoding='utf-8') as file:
                rows = json.load(file)
        self.assertTrue(rows)
        for row in rows:
            self.assertIn(f"{row['area']}: {row['case']}", done.stdout)
        return rows

    def measured(self, *words):
        for row in self.rows(*words):
            self.assertIn(row['met'], (True, False), row.get('why'))
            self.assertGreater(row['ratio']['low'], 0)
            for name, cpu in row['cpu_us'].items():
                self.assertGreater(cpu['client'], 0, name)
                self.assertIsNotNone(cpu['server'], name)

    def test_a_blocking_caller_against_the_raw_libraries(self):
        self.measured('pool', 'cache', '--case', '1 blocking caller')

    def test_many_callers_against_pgbench(self):
        self.measured('pool', '--case', '64 callers, asynchronous, pool of 20')

    def test_a_hit_in_process_against_its_budget(self):
        self.measured('cache', '--case', 'in-process hit')

    def test_a_breaker_against_its_budget(self):
        self.measured('guard', '--case', 'refusal, 1 thread')

    def test_node_is_measured_or_says_what_is_missing(self):
        rows = [*self.rows('bindings', '--case', '64 callers, p99, beside postgres.js-1'),
                *self.rows('cache', '--case', '64 callers, Redis hit, beside ioredis')]
        for row in rows:
            self.assertTrue(row['met'] is not None or 'missing' in row['why'] or 'not built' in row['why'], row)
