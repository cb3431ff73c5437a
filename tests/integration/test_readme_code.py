# SPDX-License-Identifier: MIT
"""The programs of the README and of the guides run as they stand there. SUGARPERF_BUILD names the build, DATABASE_URL and REDIS_URL the servers."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ['SUGARPERF_BUILD']


def program(language, page='README.md'):
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        return re.search(rf'```{language}\n(.*?)```', file.read(), re.DOTALL).group(1)


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def run_lines(self, *command, **environment):
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
                              timeout=120, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def compiled(self, text):
        source, binary = self.write('hello.c', text), os.path.join(self.folder, 'hello')
        library = os.path.join(BUILD, 'lib')
        subprocess.run(['cc', '-std=c11', '-Wall', '-Werror', source, '-o', binary, '-I', os.path.join(ROOT, 'include'),
                        '-L', library, f'-Wl,-rpath,{library}', '-lsugarperf'], check=True)
        return binary

    def node(self, text):
        os.makedirs(os.path.join(self.folder, 'node_modules'))
        os.symlink(os.path.join(ROOT, 'bindings', 'node'), os.path.join(self.folder, 'node_modules', 'sugarperf'))
        return self.run_lines('node', self.write('hello.js', text))

    def python(self, text):
        return self.run_lines(sys.executable, self.write('hello.py', text),
                              PYTHONPATH=os.path.join(ROOT, 'bindings', 'python'))

    def test_in_c(self):
        binary = self.compiled(program('c'))
        self.assertEqual(self.run_lines(binary), ['hello from test'])
        self.assertEqual(self.run_lines(binary), ['hello from test'])

    def test_in_node(self):
        self.assertEqual(self.node(program('js')), ['3 6', '1 2'])

    def test_in_python(self):
        self.assertEqual(self.python(program('python')), ['42', '100 loaded once, whoever asks'])

    def test_the_guide_of_the_guard(self):
        page = os.path.join('docs', 'guard.md')
        self.assertEqual(self.run_lines(self.compiled(program('c', page))), ['error'] * 5 + ['fallback'])
        self.assertEqual(self.node(program('js', page)),
                         ['5', 'down', 'the circuit breaker is open: the call was not made', 'OPEN refused'])
        self.assertEqual(self.python(program('python', page)), ['5', 'SP_OPEN', 'refused'])


if __name__ == '__main__':
    unittest.main()
