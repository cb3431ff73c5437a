# SPDX-License-Identifier: MIT
"""The live view shows what grew between two pages, and says what it cannot reach."""
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPS = os.path.join(ROOT, 'examples', 'ops')
sys.path.insert(0, OPS)

import top  # noqa: E402  # pylint: disable=wrong-import-position

POOL = 'db_client_connection_pool_name="default"'


def page(runs, seconds, errors=0):
    name = 'db_system_name="postgresql",db_query_summary="by \\"id\\" {x}, y"'
    return f'''# HELP x y
# TYPE db_client_connections gauge
db_client_connections{{{POOL},state="idle"}} 3
db_client_connections{{{POOL},state="used"}} 2
db_client_connection_max{{{POOL}}} 20
db_client_connection_pending_requests{{{POOL}}} 1
sugarperf_pool_queries_total{{{POOL}}} {runs}
sugarperf_cache_requests_total{{cache="sp",result="hit"}} {3 * runs}
sugarperf_cache_requests_total{{cache="sp",result="miss"}} {runs}
sugarperf_circuitbreaker_state{{name="db",state="closed"}} 0
sugarperf_circuitbreaker_state{{name="db",state="open"}} 1
sugarperf_profiler_findings{{kind="n+1"}} 2
{top.TIMES}_bucket{{{name},le="0.001"}} {runs // 2}
{top.TIMES}_bucket{{{name},le="0.005"}} {runs}
{top.TIMES}_bucket{{{name},le="+Inf"}} {runs}
{top.TIMES}_sum{{{name}}} {seconds}
{top.TIMES}_count{{{name}}} {runs}
sugarperf_statement_errors_total{{{name}}} {errors}
sugarperf_profiler_slow_total {errors}
'''


class Top(unittest.TestCase):
    def view(self, old, new, rows=20):
        return top.view(top.Page(top.parse(new), 12), top.Page(top.parse(old), 10), rows)

    def test_a_view_is_what_grew(self):
        self.assertEqual(self.view(page(100, 1), page(300, 2, 4)), [
            'pool default        2 used   3 idle of 20, 1 waiting         100 statements/s      0 errors/s',
            'cache       400 look-ups/s   hits  75.0 %   0.0 MB in 0 entries',
            'breaker db                       open',
            '2 places with n+1: see sp_profiler_report()',
            '',
            'statement                           runs/s    busy   mean ms    p95 ms  errors',
            'by "id" {x}, y                       100.0    0.50     5.000      <= 5       4',
            '4 slow'])

    def test_what_the_server_knows_stands_beside(self):
        report = {'database': {'connections': 7, 'maxConnections': 200, 'hitRatio': 0.9876, 'deadlocks': 1},
                  'tables': [{'schema': 'public', 'table': 'fine', 'faults': []},
                             {'schema': 'public', 'table': 'contents', 'faults': ['scanned', 'dead'], 'rows': 100,
                              'deadRows': 50, 'seqScans': 20}],
                  'transactions': [{'pid': 12, 'application': 'psql', 'state': 'idle in transaction', 'ageMs': 61000,
                                    'text': 'UPDATE x SET y = ?'}],
                  'locks': [{'pid': 13, 'application': 'api', 'waitsMs': 1500, 'blockedBy': [12], 'text': 'DELETE FROM x'}],
                  'lacks': ['statements: CREATE EXTENSION pg_stat_statements']}
        self.assertEqual(list(top.server(report)), [
            'server 7 of 200 connections   cache hits 98.8 %   1 deadlocks',
            'table public.contents: scanned, dead   100 rows, 50 dead, 20 scans of the whole',
            'transaction 12 (psql) idle in transaction for 61.0 s   UPDATE x SET y = ?',
            'lock 13 (api) waits 1.5 s for 12   DELETE FROM x',
            'unknown: statements: CREATE EXTENSION pg_stat_statements'])
        self.assertEqual(list(top.server(None)), [])

    def test_where_nothing_happens_nothing_is_divided(self):
        lines = self.view(page(100, 1), page(100, 1))
        self.assertIn('cache         0 look-ups/s   hits     -   0.0 MB in 0 entries', lines)
        self.assertTrue(lines[-1].startswith('statement '))
        self.assertEqual(self.view('', ''), ['', lines[-1]])

    def test_what_cannot_be_reached_is_one_line(self):
        done = subprocess.run([sys.executable, os.path.join(OPS, 'top.py'), 'http://127.0.0.1:1/metrics', '--count', '1'],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'^top: http://127.0.0.1:1/metrics: .*refused.*\n$')


if __name__ == '__main__':
    unittest.main()
