# SPDX-License-Identifier: MIT
"""The count of ./run test is right, also for tests that crash, break their plan or never run."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SUITES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'suites.py')
PLAIN = ''
TAP = ", protocol: 'tap'"


class Suites(unittest.TestCase):
    @staticmethod
    def write(folder, tests):
        """A project of these tests, set up; its build folder."""
        with open(os.path.join(folder, 'meson.build'), 'w', encoding='utf-8') as file:
            file.write("project('counted', meson_version: '>= 1.0.0')\nsh = find_program('sh')\n")
            for name, (text, protocol) in tests.items():
                with open(os.path.join(folder, f'{name}.sh'), 'w', encoding='utf-8') as script:
                    script.write(text)
                file.write(f"test('{name}', sh, args: files('{name}.sh'), suite: 'all'{protocol})\n")
        build = os.path.join(folder, 'build')
        subprocess.run(['meson', 'setup', build, folder], check=True, capture_output=True)
        return build

    def count(self, tests, *words):
        """tests: name -> (shell text, how meson reads it). The status, the last line, and the lines before it."""
        with tempfile.TemporaryDirectory() as folder:
            build = self.write(folder, tests)
            done = subprocess.run([sys.executable, SUITES, build, *words], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        return done.returncode, lines[-1], lines[:-1]

    def test_cases_are_counted_not_programs(self):
        status, last, _ = self.count({'three': ('echo 1..3; for i in 1 2 3; do echo "ok $i - case"; done', TAP),
                                      'one': ('exit 0', PLAIN)})
        self.assertEqual((status, last), (0, '4 passed, 0 failed'))

    def test_a_failed_case_fails_the_run(self):
        status, last, lines = self.count({'mixed': ('echo 1..2; echo ok 1 - good; echo not ok 2 - bad; exit 1', TAP),
                                          'plain': ('exit 3', PLAIN)})
        self.assertEqual((status, last), (1, '1 passed, 2 failed'), lines)

    def test_a_program_that_dies_after_good_cases_fails(self):
        status, last, lines = self.count({'dies': ('echo 1..2; echo ok 1 - good; kill -9 $$', TAP)})
        self.assertEqual((status, last), (1, '1 passed, 1 failed'), lines)

    def test_a_program_that_fails_after_all_its_cases_fails(self):
        status, last, lines = self.count({'leaks': ('echo 1..1; echo ok 1 - good; exit 23', TAP)})
        self.assertEqual((status, last), (1, '1 passed, 1 failed'), lines)

    def test_a_program_that_says_nothing_fails(self):
        status, last, lines = self.count({'silent': ('exit 0', TAP), 'good': ('exit 0', PLAIN)})
        self.assertEqual((status, last), (1, '1 passed, 1 failed'), lines)

    def test_skipped_cases_are_told_apart(self):
        status, last, lines = self.count({'some': ('echo 1..2; echo ok 1 - good; echo "ok 2 - later # SKIP why"', TAP)})
        self.assertEqual((status, last), (0, '1 passed, 0 failed, 1 skipped'), lines)

    def told(self, tests):
        """What stands between the header and the last line."""
        status, last, lines = self.count(tests)
        self.assertEqual(status, 1, last)
        self.assertIn('=== what failed', lines)
        return lines[lines.index('=== what failed') + 1:]

    def test_a_failed_case_is_told_with_its_assertion_and_seed(self):
        text = ("echo 1..4; echo '# seed 42'; echo ok 1 - good; echo '# about the second'; echo not ok 2 - bad; "
                "echo '# 1 != 2'; echo '# file.c:7: error'; echo ok 3 - fine; echo not ok 4 - worse; echo '# 3 != 4'; "
                'echo on the side >&2; exit 1')
        self.assertEqual(self.told({'mixed': (text, TAP)}),
                         ['FAILED mixed: 2 - bad', '    # seed 42', '    # about the second', '    # 1 != 2',
                          '    # file.c:7: error', '    on the side',
                          'FAILED mixed: 4 - worse', '    # seed 42', '    # 3 != 4', '    on the side'])

    def test_what_is_told_is_bounded_and_has_both_ends(self):
        lines = self.told({'long': ('echo 1..1; echo not ok 1 - bad; for i in $(seq 1000); do echo "# line $i"; done; exit 1',
                                    TAP)})
        self.assertEqual(len(lines), 22)
        self.assertEqual((lines[3], lines[-1]), ('    # line 3', '    # line 1000'))
        self.assertIn('    [980 more lines]', lines)
        many = {f'many{i}': ('for i in $(seq 1000); do echo "line $i"; done; exit 1', PLAIN) for i in range(15)}
        lines = self.told(many)
        self.assertLess(len(lines), 300)
        self.assertEqual(sum(line.startswith('FAILED many') for line in lines), len(many))

    def test_a_program_s_end_is_told_with_its_status(self):
        self.assertEqual(self.told({'plain': ('echo out; echo side >&2; exit 3', PLAIN)}),
                         ['FAILED plain', '    [fail, status 3]', '    out', '    side'])
        self.assertEqual(self.told({'silent': ('echo broken before any case >&2; exit 4', TAP)})[:3],
                         ['FAILED silent', '    [error, status 4]', '    broken before any case'])
        self.assertEqual(self.told({'hollow': ('echo nothing to do >&2', TAP)}),
                         ['DID NOT RUN hollow', '    [skip, status 0]', '    nothing to do'])

    def test_a_program_that_hangs_after_good_cases_fails(self):
        self.assertEqual(self.told({'hangs': ('echo 1..2; echo ok 1 - good; exec sleep 600', TAP + ', timeout: 1')})[:2],
                         ['FAILED hangs', '    [timeout, status -15]'])

    def test_what_runs_is_ended_quietly_with_it(self):
        with tempfile.TemporaryDirectory() as folder:
            begun, pids = os.path.join(folder, 'begun'), os.path.join(folder, 'pids')
            build = self.write(folder, {'long': (f'echo $$ >{pids}; touch {begun}; exec sleep 600', PLAIN)})
            for sig in (signal.SIGINT, signal.SIGTERM):
                with subprocess.Popen([sys.executable, SUITES, build], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                      text=True) as process:
                    while not os.path.exists(begun) and process.poll() is None:
                        time.sleep(0.01)
                    os.remove(begun)
                    for _ in range(10):
                        process.send_signal(sig)
                    errors = process.communicate(timeout=60)[1]
                self.assertEqual(process.returncode, 128 + sig)
                self.assertNotIn('Traceback', errors)
                with open(pids, encoding='ascii') as file:
                    self.assertFalse(os.path.exists(f'/proc/{file.read().strip()}'))

    def test_no_test_at_all_is_a_failure(self):
        status, last, _ = self.count({})
        self.assertEqual((status, last), (1, '0 passed, 1 failed'))

    def test_words_choose_and_an_unknown_one_is_named(self):
        tests = {'first': ('exit 0', PLAIN), 'second': ('exit 1', PLAIN)}
        self.assertEqual(self.count(tests, 'first')[:2], (0, '1 passed, 0 failed'))
        self.assertEqual(self.count(tests, 'all')[:2], (1, '1 passed, 1 failed'))
        status, last, _ = self.count(tests, 'third')
        self.assertEqual(status, 1)
        self.assertIn("'third'", last)
        status, last, lines = self.count(tests, '--check', 'third')
        self.assertEqual((status, lines), (1, []))
        self.assertIn("'third'", last)
