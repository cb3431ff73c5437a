# SPDX-License-Identifier: MIT
"""The figures of ./run bench are right: intervals, orientation, order of the sides, what is missing and what fails."""
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest

import bench
import estimate
import harness
import pgbench
import procs
import report
from context import Context, Missing
from harness import Budget, Case, Side

NO_SERVERS = procs.Servers(None)
KEYS = {'area': str, 'case': str, 'ours': str, 'peer': str, 'unit': str, 'goal': float}


def side(name, ops, extra='', seconds=1.0):
    """A side whose result is known; `extra` is Python that it runs first."""
    result = {'ops': ops, 'seconds': seconds, 'p50_us': 1.5, 'p99_us': 9.5, 'user_cpu': 0.25, 'sys_cpu': 0.25}
    return Side(name, (sys.executable, '-c', f'{extra}\nprint("start")\nprint("stop")\nprint({json.dumps(result)!r})'))


def broken(name, code):
    return Side(name, (sys.executable, '-c', code))


def alive(pid):
    """Whoever adopted a killed process may not have reaped it yet."""
    try:
        return procs.stat_fields(pid)[0] not in ('Z', 'X')
    except FileNotFoundError:
        return False


def runner(rounds=3):
    return harness.Runner(NO_SERVERS, 1.0, rounds)


class Estimate(unittest.TestCase):
    def test_ranks_are_those_of_the_binomial(self):
        # Tables of the sign test: the widest pair of ranks that covers the median with 95 %.
        self.assertEqual({n: estimate.rank(n) for n in (1, 2, 5, 6, 8, 9, 10, 12, 15, 20, 25, 50, 100)},
                         {1: 1, 2: 1, 5: 1, 6: 1, 8: 1, 9: 2, 10: 2, 12: 3, 15: 4, 20: 6, 25: 8, 50: 18, 100: 40})

    def test_a_summary_is_median_and_order_statistics(self):
        self.assertEqual(estimate.summary([10, 1, 9, 2, 8, 3, 7, 4, 6, 5]), {'median': 5.5, 'low': 2, 'high': 9})
        self.assertEqual(estimate.summary([3, 1, 2]), {'median': 2, 'low': 1, 'high': 3})
        self.assertEqual(estimate.summary([7]), {'median': 7, 'low': 7, 'high': 7})

    def test_more_is_better_in_every_ratio(self):
        self.assertEqual(estimate.ratios([200, 50], [100, 100], True), [2, 0.5])
        self.assertEqual(estimate.ratios([200, 50], [100, 100], False), [0.5, 2])

    def test_the_spread_of_aa_is_its_furthest_end(self):
        self.assertAlmostEqual(estimate.spread({'median': 1, 'low': 0.8, 'high': 1.03}), 0.25)
        self.assertAlmostEqual(estimate.spread({'median': 1, 'low': 0.99, 'high': 1.25}), 0.25)

    def test_a_verdict_needs_the_whole_interval_and_more_than_the_noise(self):
        def of(low, median, high, noise=0.02):
            return estimate.verdict({'low': low, 'median': median, 'high': high}, 1.0, noise)
        self.assertEqual(of(1.05, 1.10, 1.20), estimate.MET)
        self.assertEqual(of(0.80, 0.90, 0.95), estimate.MISSED)
        self.assertEqual(of(0.99, 1.10, 1.20), estimate.UNKNOWN)
        self.assertEqual(of(0.80, 0.90, 1.01), estimate.UNKNOWN)
        self.assertEqual(of(1.05, 1.10, 1.20, noise=0.15), estimate.UNKNOWN)
        self.assertEqual(of(0.80, 0.90, 0.95, noise=0.15), estimate.UNKNOWN)
        # What is counted rather than timed has no spread, and may just reach its goal.
        self.assertEqual(of(1, 1, 1, noise=0), estimate.MET)


class Rows(unittest.TestCase):
    def check_schema(self, row):
        for key, kind in KEYS.items():
            self.assertIsInstance(row[key], kind, key)
        self.assertIn('ratio', row)
        self.assertIn(row['met'], (True, False, None))
        if row['met'] is None:
            self.assertTrue(row['why'])
        else:
            self.assertEqual(sorted(row['ratio']), ['high', 'low', 'median'])

    def test_twice_the_operations_are_a_ratio_of_two(self):
        row = harness.measure(Case('area', 'case', side('mine', 2000), side('theirs', 1000), 1.5), runner())
        self.check_schema(row)
        self.assertEqual(row['ratio'], {'median': 2, 'low': 2, 'high': 2})
        self.assertEqual((row['met'], row['verdict'], row['unit'], row['rounds']), (True, 'met', 'ops/s', 3))
        self.assertEqual(row['aa'], {'median': 1, 'low': 1, 'high': 1, 'spread': 0})
        self.assertEqual(row['cpu_us']['ours'], {'client': 250, 'server': None})
        self.assertEqual(row['latency_us']['peer'], {'p50': 1.5, 'p99': 9.5})

    def test_a_missed_goal_is_false(self):
        row = harness.measure(Case('area', 'case', side('mine', 1000), side('theirs', 2000), 1), runner())
        self.check_schema(row)
        self.assertEqual((row['ratio']['median'], row['met'], row['verdict']), (0.5, False, 'missed'))

    def test_a_budget_is_measured_against_with_its_floor_beside(self):
        case = Case('area', 'case', side('mine', 50_000_000), Budget(60), 1, measure='time', floor=side('least', 10 ** 8))
        row = harness.measure(case, runner())
        self.check_schema(row)
        self.assertEqual((row['peer'], row['unit'], row['met']), ('budget', 'ns/op', True))
        self.assertEqual(row['ratio']['median'], 3)
        self.assertEqual((row['values']['ours']['median'], row['values']['peer']['median']), (20, 60))
        self.assertEqual((row['floor']['name'], row['floor']['median']), ('least', 10))

    def test_a_missing_side_is_null_and_says_why(self):
        for case in (Case('area', 'case', side('mine', 1), Side('theirs', why='not installed'), 1),
                     Case('area', 'case', Side('mine', why='not installed'), side('theirs', 1), 1)):
            row = harness.measure(case, runner())
            self.check_schema(row)
            self.assertEqual((row['met'], row['ratio'], 'failed' in row), (None, None, False))
            self.assertIn('not installed', row['why'])

    def test_a_side_that_breaks_is_null_and_named(self):
        for code, words in (('import sys; sys.exit("no such table")', ('status 1', 'no such table')),
                            ('import os; os.kill(os.getpid(), 9)', ('signal 9', 'nothing said')),
                            ('print("hello")', ('no result', 'hello')),
                            ('print(\'{"ops": 1}\')', ('no result',)),
                            ('pass', ('no result',))):
            row = harness.measure(Case('area', 'case', broken('mine', code), side('theirs', 1), 1), runner())
            self.check_schema(row)
            self.assertTrue(row['failed'])
            for word in ('mine', *words):
                self.assertIn(word, row['why'])
        row = harness.measure(Case('area', 'case', side('mine', 0), side('theirs', 1), 1), runner())
        self.assertIn('did nothing', row['why'])
        row = harness.measure(Case('area', 'case', Side('mine', ('/no/such/program',)), side('theirs', 1), 1), runner())
        self.assertIn('/no/such/program', row['why'])

    def test_a_side_leaves_no_process_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'pid')
            code = ('import subprocess, sys\n'
                    'child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"],'
                    ' stdout=subprocess.DEVNULL)\n'
                    f'open({path!r}, "w").write(str(child.pid))\n')
            runner().run(side('parent', 1, code))
            with open(path, encoding='ascii') as file:
                pid = int(file.read())
            while alive(pid):
                os.sched_yield()

    def test_rows_are_the_file_that_tools_read(self):
        rows = [harness.measure(Case('area', 'one', side('mine', 2), side('theirs', 1), 1), runner()),
                harness.measure(Case('area', 'two', Side('mine', why='x'), side('theirs', 1), 1), runner())]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'rows.json')
            report.write_json(path, rows)
            with open(path, encoding='utf-8') as file:
                self.assertEqual(json.load(file), rows)
        text = '\n'.join([line for row in rows for line in report.lines(row)] + list(report.table(rows)))
        for word in ('area: one', 'A/A', 'spread', 'not measured: mine: x', '95 % interval', 'CPU/op'):
            self.assertIn(word, text)


class Order(unittest.TestCase):
    def test_aa_comes_first_and_rounds_alternate(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'order')

            def noting(letter):
                return side(letter, 1, f'import os\nopen({path!r}, "a").write("{letter} %d\\n" % os.getpid())')
            harness.measure(Case('area', 'case', noting('o'), noting('p'), 1), runner(4))
            with open(path, encoding='ascii') as file:
                lines = [line.split() for line in file]
        letters = ''.join(letter for letter, _ in lines)
        # Each part begins with a round that is thrown away.
        self.assertEqual(letters, 'p' * 10 + 'po' + 'op' + 'po' + 'op' + 'po')
        self.assertEqual(len({pid for _, pid in lines}), len(lines), 'a side shares a process with another run')

    def test_aa_of_a_shared_peer_runs_once(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'count')
            peer = side('peer', 1, f'open({path!r}, "a").write("x")')
            one = runner(1)
            for name in ('first', 'second'):
                harness.measure(Case('area', name, side(name, 1), peer, 1), one)
            self.assertEqual(os.path.getsize(path), 4 + 2 + 2)


class Placement(unittest.TestCase):
    def placed(self, cpus):
        """The CPUs that client and server may use while a case runs."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, 'redis'))
            path = os.path.join(folder, 'client')
            one = harness.Runner(procs.Servers(folder), 1.0, 1)
            with subprocess.Popen([sys.executable, '-c', 'print("up", flush=True)\ninput()'], text=True,
                                  cwd=os.path.join(folder, 'redis'), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
                self.assertEqual(server.stdout.readline(), 'up\n')
                note = f'import os\nopen({path!r}, "w").write(repr(os.sched_getaffinity(0)))'
                row = harness.measure(Case('area', 'case', side('mine', 1, note), side('theirs', 1), 1, cpus=cpus), one)
                servers = os.sched_getaffinity(server.pid)
                self.assertEqual(one.place(0), '')
                self.assertEqual(os.sched_getaffinity(server.pid), os.sched_getaffinity(0))
                server.communicate('\n')
            if row['met'] is None:
                return row['why'], None
            with open(path, encoding='ascii') as file:
                return eval(file.read()), servers

    def test_a_lone_caller_shares_a_cpu_with_the_servers_or_has_its_own(self):
        mine = os.sched_getaffinity(0)
        self.assertEqual(self.placed(0), (mine, mine))
        client, server = self.placed(1)
        self.assertEqual((client, len(client)), (server, 1))
        client, server = self.placed(2)
        if len(mine) < 2:
            self.assertIn('2 CPUs are wanted', client)
        else:
            self.assertEqual((len(client), len(server), client & server), (1, 1, set()))
        self.assertEqual(os.sched_getaffinity(0), mine)


class Cpu(unittest.TestCase):
    BURN = ('import time\n'
            'def burn():\n'
            '    while time.process_time() < 0.2: pass\n')

    def reading(self, code):
        """CPU seconds found for a server that runs `code` and then waits."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, 'pg'))
            servers = procs.Servers(folder)
            self.assertIsNone(servers.seconds())
            with subprocess.Popen([sys.executable, '-c', f'{self.BURN}{code}\nprint("done", flush=True)\ninput()'],
                                  cwd=os.path.join(folder, 'pg'), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True) as process:
                self.assertEqual(process.stdout.readline(), 'done\n')
                seconds = servers.seconds()
                process.communicate('\n')
        return seconds

    def test_what_a_server_uses_is_found_by_its_folder(self):
        self.assertGreaterEqual(self.reading('burn()'), 0.19)

    def test_backends_that_have_ended_count(self):
        self.assertGreaterEqual(self.reading('import os\nif os.fork() == 0:\n    burn(); os._exit(0)\nos.wait()'), 0.19)

    def test_without_private_servers_there_is_no_figure(self):
        self.assertIsNone(NO_SERVERS.seconds())


class Cases(unittest.TestCase):
    def test_every_area_lists_its_cases_without_a_build_or_a_server(self):
        with tempfile.TemporaryDirectory() as folder:
            context = Context(folder, 1.0, 'postgresql://nowhere', 'redis://nowhere')
            options = types.SimpleNamespace(areas=[], case='')
            listed = bench.chosen(context, options)
        self.assertEqual(len({(case.area, case.name) for case in listed}), len(listed), 'two cases share a name')
        # The machine has no part in what is counted.
        counted = ('bytes', 'connections')
        for case in listed:
            self.assertIn(case.area, bench.areas())
            self.assertIn(case.measure, harness.MEASURES)
            self.assertGreater(case.goal, 0)
            self.assertTrue(case.ours.why, f'{case.name}: nothing is built, yet it is not missing')
            self.assertTrue(all(callable(getattr(context, name)) for name in case.data))
            self.assertTrue(case.floor or not isinstance(case.peer, Budget) or case.measure in counted,
                                f'{case.name}: a budget without a floor')

    def test_data_that_cannot_be_made_is_a_reason(self):
        def absent():
            raise Missing('no such driver')

        def broken_tool():
            subprocess.run([sys.executable, '-c', 'raise SystemExit(3)'], check=True)
        context = types.SimpleNamespace(absent=absent, broken_tool=broken_tool)
        one = bench.row_of(Case('area', 'case', side('mine', 1), side('theirs', 1), 1, data=('absent',)), context, runner())
        self.assertEqual((one['met'], one['why'], 'failed' in one), (None, 'no such driver', False))
        two = bench.row_of(Case('area', 'case', side('mine', 1), side('theirs', 1), 1, data=('broken_tool',)), context, runner())
        self.assertIn('status 3', two['why'])
        self.assertTrue(two['failed'])


class Pgbench(unittest.TestCase):
    def test_the_sampled_log_is_cut_to_the_window(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'log.1'), 'w', encoding='ascii') as file:
                file.write('0 1 900 0 99 999999\n0 2 300 0 100 0\n1 3 100 0 100 500000\n1 4 200 0 101 0\n1 5 800 0 101 1\n')
            times = pgbench.latencies(folder, 100, 101)
        self.assertEqual(times, [100, 200, 300])
        self.assertEqual((pgbench.quantile(times, 0.5), pgbench.quantile(times, 0.99), pgbench.quantile([], 0.5)), (200, 300, 0))


if __name__ == '__main__':
    unittest.main()
