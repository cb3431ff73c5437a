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

    def test_while_it_is_open_a_probe_at_a_time_goes_there_and_nobody_else(self):
        """So an answer waits for nothing: how long it takes is for ./run bench guard to say, a busy machine takes longer."""
        probes = self.figures['open_for_ms'] / outage.OPEN_MS + 1
        self.assertLessEqual(self.figures['asked_while_open'], probes + 2 * outage.THREADS)
        self.assertGreater(self.figures['answers_without_it'], 0)
        self.assertLessEqual(self.figures['answers_without_it'],
                             self.figures['refused_while_open'] + self.figures['asked_while_open'])

    def test_it_is_back_with_the_next_probe(self):
        """By the breaker's own clock; those that failed were on their way before the server was there."""
        self.assertLessEqual(self.figures['next_probe_ms'] or 0, outage.OPEN_MS + 1)
        self.assertLessEqual(self.figures['failed_after'], outage.THREADS)

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
