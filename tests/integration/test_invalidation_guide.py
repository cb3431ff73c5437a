# SPDX-License-Identifier: MIT
"""What docs/invalidation.md tells to type works as it stands there. SUGARPERF_BUILD names the build."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')


def blocks(language):
    with open(os.path.join(ROOT, 'docs', 'invalidation.md'), encoding='utf-8') as page:
        return re.findall(rf'```{language}\n(.*?)```', page.read(), re.DOTALL)


class Guide(unittest.TestCase):
    def type_in(self, lines, folder):
        installed = {'CPATH': os.path.join(ROOT, 'include'), 'LIBRARY_PATH': LIBRARY, 'LD_LIBRARY_PATH': LIBRARY}
        done = subprocess.run(['bash', '-euc', lines], env={**os.environ, **installed}, capture_output=True, text=True,
                              check=False, timeout=60, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_from_the_first_rule_to_the_last_slot(self):
        program, view, message, remove = blocks('sh')
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'invalidation.c'), 'w', encoding='utf-8') as file:
                file.write(blocks('c')[0])
            with open(os.path.join(folder, 'cache.rules'), 'w', encoding='utf-8') as file:
                file.writelines(blocks('rules')[0].splitlines(keepends=True)[:2])
            lines = self.type_in(program, folder)
            self.assertEqual([target['text'] for target in json.loads(lines[0])['targets']],
                             ['rec:content:42:full', 'rec:recommendations:*'])
            self.assertEqual(json.loads(lines[1])['lacks'], [])
            self.assertEqual(lines[2:], ['the feed: gone', 'by hand: gone'])
            self.assertEqual(self.type_in(view, folder), ['logical|t', 'sugarperf_guide|pgoutput|reserved'])
            self.assertEqual(self.type_in(message, folder), ['t'])
            self.assertEqual(self.type_in(remove, folder), ['t'])
            self.type_in('psql -XAtq "$DATABASE_URL" -c "DROP TABLE contents"', folder)

    def doctor(self, *servers):
        helper = os.path.join(ROOT, 'tests', 'support', 'servers.py')
        done = subprocess.run([sys.executable, helper, 'exec', *servers, '--', './run', 'doctor'],
                              cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
        return [line for line in done.stdout.splitlines() if line.startswith('change feed: ')]

    def test_the_doctor_says_what_the_feed_lacks_and_how_to_get_it(self):
        self.assertIn('change feed: the server of DATABASE_URL can be read from', self.doctor('--pg'))
        self.assertIn("change feed: wal_level is replica: ALTER SYSTEM SET wal_level = 'logical' and restart PostgreSQL",
                      self.doctor('--pg', '--pg-opt', 'wal_level=replica'))

    def test_no_line_is_left_out(self):
        self.assertEqual((len(blocks('c')), len(blocks('sh')), len(blocks('rules'))), (1, 4, 1))


if __name__ == '__main__':
    unittest.main()
