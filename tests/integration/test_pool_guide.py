# SPDX-License-Identifier: MIT
"""What docs/pool.md tells to type works as it stands there. SUGARPERF_BUILD names the build, DATABASE_URL the server."""
import json
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')


def blocks(language):
    with open(os.path.join(ROOT, 'docs', 'pool.md'), encoding='utf-8') as page:
        return re.findall(rf'```{language}\n(.*?)```', page.read(), re.DOTALL)


class Guide(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def type_in(self, lines):
        installed = {'CPATH': os.path.join(ROOT, 'include'), 'LIBRARY_PATH': LIBRARY, 'LD_LIBRARY_PATH': LIBRARY}
        done = subprocess.run(['bash', '-euc', lines], env={**os.environ, **installed}, capture_output=True, text=True,
                              check=False, timeout=60, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def save(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def test_a_service(self):
        self.save('accounts.c', blocks('c')[0])
        try:
            self.assertEqual(self.type_in(blocks('sh')[0]).splitlines(),
                             ['written: 3', 'balance: 100', 'transferred', 'SP_SQL 23514', '1 has 70', '2 has 130',
                              '3 has 100'])
        finally:
            self.type_in('psql -q "$DATABASE_URL" -c "DROP TABLE IF EXISTS guide_accounts"')

    def test_advice(self):
        self.save('advice.c', blocks('c')[1])
        advice = json.loads(self.type_in(blocks('sh')[1]))
        self.assertGreater(advice['busy']['mean'], 1)
        self.assertLessEqual(advice['busy']['peak'], 20)
        self.assertTrue(1 < advice['size'] <= advice['serverMax'] - advice['serverOthers'])
        self.assertIsInstance(advice['advice'], str)

    def test_the_server_s_own_figures(self):
        lines = self.type_in(blocks('sh')[2]).splitlines()
        self.assertGreater(int(lines[0]), 0)
        self.assertGreater(len(lines), 1)

    def test_nothing_is_asked_of_a_session_behind_a_proxy(self):
        self.save('accounts.c', blocks('c')[0])
        try:
            self.assertIn('transferred', self.type_in(blocks('sh')[3] + blocks('sh')[0]).splitlines())
        finally:
            self.type_in('psql -q "$DATABASE_URL" -c "DROP TABLE IF EXISTS guide_accounts"')

    def test_no_line_is_left_out(self):
        self.assertEqual((len(blocks('c')), len(blocks('sh'))), (2, 4))


if __name__ == '__main__':
    unittest.main()
