# SPDX-License-Identifier: MIT
"""What ./run is given is looked at before anything is installed, built or started; refusals are one line."""
import os
import pwd
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Run(unittest.TestCase):
    """The script alone in a folder of its own: who gets past the arguments leaves something there, or fails otherwise."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='spr-', dir='/tmp')
        self.addCleanup(folder.cleanup)
        self.base = folder.name
        os.chmod(self.base, 0o755)
        shutil.copy(os.path.join(ROOT, 'run'), self.base)
        self.write('examples/recommendation/demo.py')
        self.write('tests/bench/cases_pool.py')
        self.before = self.listing()

    def write(self, name):
        path = os.path.join(self.base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii'):
            pass

    def listing(self):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.base) for name in names)

    def run_it(self, *words, **options):
        environment = {key: value for key, value in os.environ.items() if not key.startswith('SP_')}
        done = subprocess.run([os.path.join(self.base, 'run'), *words], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False, **options)
        self.assertEqual(self.listing(), self.before)
        return done

    def refused(self, *words, naming, **options):
        done = self.run_it(*words, **options)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count('\n')), (1, '', 1), done.stderr)
        self.assertTrue(done.stderr.startswith('run: '), done.stderr)
        self.assertIn(naming, done.stderr)

    def test_bad_arguments_are_refused(self):
        for words, naming in ((['demo', '--nope'], '--nope'), (['demo', 'fast'], 'fast'), (['demo', '--scale'], '--scale'),
                              (['demo', '--scale', 'much'], 'much'), (['demo', '--scale=0'], '0.001'),
                              (['demo', '--quick=1'], '--quick'), (['demo', '--json', '/nowhere/x.json'], '/nowhere/x.json'),
                              (['demo', '--json', 'tests'], 'tests'), (['test', '--all'], '--all'),
                              (['bench', 'nothing'], 'nothing'), (['bench', 'pool', '--rounds', '0'], '--rounds'),
                              (['doctor', 'x'], "'x'"), (['setup', 'x'], "'x'"), (['setup', '-x'], '-x'), (['help', 'x'], "'x'"),
                              (['servers'], 'servers -- COMMAND'), (['servers', '--'], 'after --'), (['servers', 'true'], '--'),
                              (['variant'], 'build-NAME'), (['variant', 'build'], 'build-NAME'),
                              (['variant', 'build-x', 'y'], "'y'")):
            with self.subTest(words=words):
                self.refused(*words, naming=naming, cwd=self.base)

    def test_an_unknown_verb_is_the_last_line(self):
        done = self.run_it('nope')
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, "run: unknown verb 'nope'"))

    def test_help_is_printed_and_nothing_is_done(self):
        for words in ([], ['help'], ['--help'], *([verb, '--help'] for verb in ('demo', 'test', 'bench', 'load', 'baseline', 'fleet', 'setup', 'servers'))):
            with self.subTest(words=words):
                done = self.run_it(*words)
                self.assertEqual((done.returncode, done.stderr), (0, ''))
                for word in ('demo', '--scale', '--quick', '--keep', 'doctor', 'platform'):
                    self.assertIn(word, done.stdout)

    def test_what_cannot_be_written_is_named_with_the_fix(self):
        self.write('.stamp/apt.log')
        self.before = self.listing()
        other = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam('nobody')
            other = {'user': account.pw_uid, 'group': account.pw_gid, 'extra_groups': []}
        else:
            os.chmod(self.base, 0o555)
            os.chmod(os.path.join(self.base, '.stamp'), 0o555)
            self.addCleanup(os.chmod, os.path.join(self.base, '.stamp'), 0o755)
            self.addCleanup(os.chmod, self.base, 0o755)
        for words in (['demo'], ['test'], ['bench'], ['setup'], ['variant', 'build-x']):
            with self.subTest(words=words):
                self.refused(*words, naming='chown', **other)
        os.chmod(self.base, 0o777)
        self.refused('setup', naming=os.path.join(self.base, '.stamp'), **other)


if __name__ == '__main__':
    unittest.main()
