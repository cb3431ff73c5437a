# SPDX-License-Identifier: MIT
"""What docs/redis.md tells to type works as it stands there."""
import unittest

import guide


class RedisGuide(guide.Guide):
    page = 'redis.md'

    def test_a_raw_command(self):
        self.write('visits.c', self.blocks('c')[0])
        self.assertGreaterEqual(int(self.type_in(self.blocks('sh')[0])), 3)

    def test_a_user_who_may_do_no_more_is_enough_for_a_cache(self):
        page, self.page = self.page, 'cache.md'
        self.write('cache.c', self.blocks('c')[0])
        program = self.blocks('sh')[0]
        self.page = page
        self.type_in('redis-cli -u "$REDIS_URL" ACL LOG RESET')
        self.type_in(self.blocks('sh')[1])
        self.type_in(f'export REDIS_URL="redis://app:secret@${{REDIS_URL#redis://}}"\n{program}')
        self.assertEqual(self.type_in('redis-cli -u "$REDIS_URL" ACL LOG').strip(), '')

    def test_no_line_is_left_out(self):
        self.assertEqual((len(self.blocks('c')), len(self.blocks('sh'))), (1, 2))


if __name__ == '__main__':
    unittest.main()
