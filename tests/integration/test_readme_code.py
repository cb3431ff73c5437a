# SPDX-License-Identifier: MIT
"""The programs of the README and of the guides run as they stand there, from the build folder and from an installed tree.

SUGARPERF_BUILD names the build, SP_PYTHON the binding's Python, DATABASE_URL and REDIS_URL the servers.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ['SUGARPERF_BUILD']


def programs(language, page='README.md'):
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        return re.findall(rf'```{language}\n(.*?)```', file.read(), re.DOTALL)


def program(language, page='README.md'):
    return programs(language, page)[0]


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

    def test_the_pool_in_node_and_in_python(self):
        wanted = ['23505', '10', '5000']
        self.assertEqual(self.node(program('js', os.path.join('docs', 'node.md'))), wanted)
        self.assertEqual(self.python(program('python', os.path.join('docs', 'python.md'))), wanted)

    def test_the_guides_of_python(self):
        said = [self.python(text) for text in programs('python', os.path.join('docs', 'python.md'))[1:]]
        self.assertEqual(said, [["{'guide:row:0': {'n': 0}, 'guide:row:1': {'n': 1}, 'guide:row:2': {'n': 2}}", "True {'on': True}"],
                                ['True', '1', '2'], ['2 (2,)', '23505']])
        self.assertEqual(self.python(program('python', os.path.join('docs', 'moving-python.md'))),
                         ["[{'n': 1}, {'n': 2}, {'n': 3}]", 'SP_SESSION', 'public'])

    def test_the_guide_of_the_guard(self):
        page = os.path.join('docs', 'guard.md')
        self.assertEqual(self.run_lines(self.compiled(program('c', page))), ['error'] * 5 + ['fallback'])
        self.assertEqual(self.node(program('js', page)),
                         ['5', 'down', 'the circuit breaker is open: the call was not made', 'OPEN refused'])
        self.assertEqual(self.python(program('python', page)), ['5', 'SP_OPEN', 'refused'])


class Lines(unittest.TestCase):
    """The commands of "Linking, requiring, importing", around the README's programs."""

    answers = ['hello from test', '3 6', '1 2', '42', '100 loaded once, whoever asks']

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkdir(self.path('service'))
        for language, name in (('c', 'hello.c'), ('js', 'hello.js'), ('python', 'hello.py')):
            with open(self.path('service', name), 'w', encoding='utf-8') as file:
                file.write(program(language))
        os.mkdir(self.path('bin'))
        os.symlink(os.environ['SP_PYTHON'], self.path('bin', 'python3'))
        self.environment = {name: value for name, value in os.environ.items() if name != 'SUGARPERF_BUILD'}
        self.environment['PATH'] = self.path('bin') + os.pathsep + os.environ['PATH']

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def block(self, number):
        with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
            return re.findall(r'```sh\n(.*?)```', file.read(), re.DOTALL)[number]

    def check(self, commands, **environment):
        done = subprocess.run(['sh', '-e', '-c', commands], cwd=self.path('service'), check=False, capture_output=True,
                              text=True, timeout=240, env={**self.environment, **environment})
        self.assertEqual(done.returncode, 0, done.stderr)
        said = [line for line in done.stdout.splitlines() if line in self.answers]
        self.assertEqual(said, self.answers, done.stdout)

    def test_from_the_build_folder(self):
        os.mkdir(self.path('checkout'))
        os.symlink(BUILD, self.path('checkout', 'build'))
        os.symlink(os.path.join(ROOT, 'bindings'), self.path('checkout', 'bindings'))
        self.check(self.block(1), SP=self.path('checkout'))

    @unittest.skipUnless(shutil.which('npm'), 'npm is not here')
    def test_installed(self):
        """The tree is moved to a folder, so Python and pkg-config are told where; nobody is told where the library is but C."""
        tree = self.path('tree')
        subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', tree], check=True,
                       stdout=subprocess.DEVNULL)
        listing = subprocess.run(['meson', 'introspect', '--installed', BUILD], capture_output=True, text=True, check=True)
        installed = {os.path.basename(path): tree + os.path.dirname(path) for path in json.loads(listing.stdout).values()}
        library = os.path.dirname(installed['sugarperf.pc'])
        node = installed['package.json']
        commands = self.block(0).replace('/usr/local/lib/node_modules/sugarperf', node)
        self.assertIn(node, commands)
        self.check(commands.replace('./hello', f'LD_LIBRARY_PATH={library} ./hello'),
                   PKG_CONFIG_PATH=installed['sugarperf.pc'], PKG_CONFIG_SYSROOT_DIR=tree,
                   PYTHONPATH=os.path.dirname(installed['_native.abi3.so']), npm_config_offline='true',
                   npm_config_update_notifier='false')

    def test_python_looks_where_it_is_installed(self):
        found = subprocess.run([os.environ['SP_PYTHON'], os.path.join(ROOT, 'bindings', 'install_dirs.py'), '/usr/local', 'lib'],
                               capture_output=True, text=True, check=True).stdout.splitlines()[0]
        looked = subprocess.run([os.environ['SP_PYTHON'], '-c', 'import site; print(*site.getsitepackages(), sep="\\n")'],
                                capture_output=True, text=True, check=True).stdout.splitlines()
        self.assertTrue(found in looked or not any(path.startswith('/usr/local/') for path in looked), (found, looked))


if __name__ == '__main__':
    unittest.main()
