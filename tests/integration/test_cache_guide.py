# SPDX-License-Identifier: MIT
"""What docs/cache.md tells to type works as it stands there. SUGARPERF_BUILD names the build, REDIS_URL the server."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')


def page():
    with open(os.path.join(ROOT, 'docs', 'cache.md'), encoding='utf-8') as file:
        return file.read()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', page(), re.DOTALL)


class Guide(unittest.TestCase):
    def said(self, **environment):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'cache.c'), 'w', encoding='utf-8') as file:
                file.write(blocks('c')[0])
            installed = {'CPATH': os.path.join(ROOT, 'include'), 'LIBRARY_PATH': LIBRARY, 'LD_LIBRARY_PATH': LIBRARY}
            done = subprocess.run(['bash', '-euc', blocks('sh')[0]], env={**os.environ, **installed, **environment},
                                  capture_output=True, text=True, check=False, timeout=100, cwd=folder)
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            return done.stdout.splitlines()

    def test_the_program_says_what_happened(self):
        for url in (os.environ['REDIS_URL'], ''):
            lines = self.said(REDIS_URL=url)
            self.assertEqual(lines[:3], ['1 load for 3 reads of guide:content:content-7:full', '3 values, 1 load',
                                         'invalidated: success'])
            self.assertRegex(lines[3], r'^hit rate 0\.\d\d$')

    def test_its_metrics_are_the_librarys(self):
        with open(os.path.join(ROOT, 'lib', 'cache', 'report.c'), encoding='utf-8') as file:
            source = file.read()
        for name in re.findall(r'`(sugarperf_cache_\w+?)(?:_total)?(?:\{\w+(?:,\w+)*\})?`', page()):
            self.assertIn(f'"{name}"', source)

    def test_no_block_is_left_out(self):
        self.assertEqual((len(blocks('c')), len(blocks('sh'))), (1, 1))


if __name__ == '__main__':
    unittest.main()
