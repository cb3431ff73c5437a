# SPDX-License-Identifier: MIT
"""What a page of docs/ tells to type, typed in. SUGARPERF_BUILD names the build; servers are those of the environment."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Guide(unittest.TestCase):
    page = ''

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def blocks(self, language):
        with open(os.path.join(ROOT, 'docs', self.page), encoding='utf-8') as page:
            return re.findall(rf'```{language}\n(.*?)```', page.read(), re.DOTALL)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def type_in(self, lines):
        library = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')
        installed = {'CPATH': os.path.join(ROOT, 'include'), 'LIBRARY_PATH': library, 'LD_LIBRARY_PATH': library}
        done = subprocess.run(['bash', '-euc', lines], env={**os.environ, **installed}, capture_output=True, text=True,
                              check=False, timeout=60, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout
