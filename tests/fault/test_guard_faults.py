# SPDX-License-Identifier: MIT
"""PostgreSQL stops or hangs under the load of the service and comes back: fallbacks answer, errors end, nobody stampedes."""
import os
import unittest

import outage

FAILURES = 5


class Stopped(unittest.TestCase):
    FAULT = outage.STOP

    @classmethod
    def setUpClass(cls):
        cls.outage, cls.figures = outage.outage_of(os.environ['SP_BUILD_DIR'], cls.FAULT)
        print('#', outage.report(cls.outage, cls.figures))

    def answers(self, kind, *phases):
        return [seen for seen in self.outage.seen if seen.kind == kind and (not phases or seen.phase in phases)]

    def test_every_request_was_answered(self):
        self.assertEqual(self.outage.errors, [])
        self.assertEqual({seen.phase for seen in self.outage.seen}, set(outage.PHASES))

    def test_with_a_fallback_no_call_fails(self):
        self.assertEqual({seen.status for seen in self.answers('list')}, {200})
        self.assertEqual({seen.source for seen in self.answers('list', 'up')} - {'miss', 'hit'}, set())
        self.assertIn('fallback', {seen.source for seen in self.answers('list', 'open')})

    def test_without_one_errors_say_so_and_the_cache_still_answers(self):
        self.assertEqual({seen.status for seen in self.answers('content', 'up')}, {200})
        opened = self.answers('content', 'open')
        outcomes = [(seen.status, seen.source) for seen in opened]
        # Those who were on their way when it opened may still have had their answer.
        self.assertLessEqual(outcomes.count((200, 'miss')), outage.THREADS)
        self.assertEqual(set(outcomes) - {(200, 'hit'), (200, 'stale'), (200, 'miss'), (503, '')}, set())
        self.assertIn(200, {seen.status for seen in opened})

    def test_the_database_is_asked_only_until_the_breaker_opens(self):
        """And by those who were on their way; the refreshes of the cache are among them."""
        self.assertLessEqual(self.figures['failed_calls'], FAILURES + 2 * outage.THREADS)
        self.assertGreater(self.figures['refused_calls'], 0)

    def test_it_comes_back_without_a_herd(self):
        self.assertEqual(self.figures['connections_while_down'], 0)
        self.assertGreater(self.figures['connections_after'], 0)
        self.assertLessEqual(self.figures['connections_in_a_second'], 2 * outage.THREADS)
        for kind in outage.KINDS:
            last = self.answers(kind, 'back')[-20:]
            self.assertEqual({seen.status for seen in last}, {200})
            self.assertEqual({seen.source for seen in last} - {'hit', 'miss', 'stale'}, set())


class Hung(Stopped):
    FAULT = outage.HANG


if __name__ == '__main__':
    unittest.main()
