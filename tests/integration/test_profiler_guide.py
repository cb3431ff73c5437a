# SPDX-License-Identifier: MIT
"""What docs/profiler.md tells to type works as it stands there. SUGARPERF_BUILD names the build, DATABASE_URL the server."""
import json
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')


def blocks(language):
    with open(os.path.join(ROOT, 'docs', 'profiler.md'), encoding='utf-8') as page:
        return re.findall(rf'```{language}\n(.*?)```', page.read(), re.DOTALL)


class Guide(unittest.TestCase):
    def test_report_plan_and_advice(self):
        installed = {'CPATH': os.path.join(ROOT, 'include'), 'LIBRARY_PATH': LIBRARY, 'LD_LIBRARY_PATH': LIBRARY}
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'profile.c'), 'w', encoding='utf-8') as file:
                file.write(blocks('c')[0])
            done = subprocess.run(['bash', '-euc', blocks('sh')[0]], env={**os.environ, **installed}, text=True,
                                  capture_output=True, check=False, timeout=60, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        report, plan, advice = map(json.loads, done.stdout.splitlines())
        self.assertEqual(report['statements'][0]['name'], 'tagsOf')
        self.assertEqual(report['statements'][0]['count'], 10)
        self.assertEqual(report['work'][0]['name'], 'getContents')
        self.assertEqual(report['findings'][0]['instead'],
                         'SELECT content_id, name FROM guide_tags WHERE content_id = ANY($1)')
        self.assertEqual(plan['plan'], 'Seq Scan on guide_tags')
        self.assertIn('guide_tags (content_id', advice['indexes'][0]['ddl'])

    def test_no_line_is_left_out(self):
        self.assertEqual((len(blocks('c')), len(blocks('sh'))), (1, 1))


if __name__ == '__main__':
    unittest.main()
