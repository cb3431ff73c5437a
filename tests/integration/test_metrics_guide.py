# SPDX-License-Identifier: MIT
"""What docs/metrics.md tells to type works as it stands there. SUGARPERF_BUILD names the build, DATABASE_URL the server."""
import json
import os
import subprocess
import unittest
import urllib.request

import guide


class Metrics(guide.Guide):
    page = 'metrics.md'

    def test_a_service_s_own_stand_beside_the_library_s(self):
        self.write('shop.c', self.blocks('c')[0])
        build, run = self.blocks('sh')[0].splitlines()
        exporter = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib', 'exporter')
        self.type_in(f'export LIBRARY_PATH=$LIBRARY_PATH:{exporter}\n{build}')
        library = os.path.join(os.environ['SUGARPERF_BUILD'], 'lib')
        with subprocess.Popen([run], cwd=self.folder, env={**os.environ, 'LD_LIBRARY_PATH': f'{library}:{exporter}'},
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shop:
            health = json.loads(shop.stdout.readline())
            with urllib.request.urlopen(shop.stdout.readline().strip(), timeout=60) as answer:
                page = answer.read().decode()
            shop.communicate('\n', timeout=60)
        self.assertEqual(shop.returncode, 0)
        self.assertEqual((health['status'], health['database']), ('healthy', 'connected'))
        self.assertIn('shop_orders_total{method="card"} 1\n', page)
        self.assertIn('shop_order_seconds_count 1\n', page)
        self.assertIn('# TYPE sugarperf_pool_queries_total counter\n', page)

    def test_no_line_is_left_out(self):
        self.assertEqual((len(self.blocks('c')), len(self.blocks('sh'))), (1, 1))
        self.assertEqual(len(self.blocks('sh')[0].splitlines()), 2)


if __name__ == '__main__':
    unittest.main()
