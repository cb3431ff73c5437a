# SPDX-License-Identifier: MIT
"""What docs/redis.md tells to type works as it stands there."""
import unittest

import guide


class RedisGuide(guide.Guide):
    page = 'redis.md'

    def test_a_raw_command(self):
        self.write('visits.c', self.blocks('c')[0])
        self.assertGreaterEqual(int(self.type_in(self.blocks('sh')[0])), 3)

    def test_no_line_is_left_out(self):
        self.assertEqual((len(self.blocks('c')), len(self.blocks('sh'))), (1, 1))


if __name__ == '__main__':
    unittest.main()
