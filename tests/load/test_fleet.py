# SPDX-License-Identifier: MIT
"""A fleet survives what is done to it, answers nothing that is old, and leaves nothing behind."""
import os
import signal
import subprocess
import sys
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ['SP_BUILD_DIR']
sys.path[:0] = [HERE]

import fleet  # noqa: E402  # pylint: disable=wrong-import-position
import fleet_parts  # noqa: E402  # pylint: disable=wrong-import-position
import fleet_watch  # noqa: E402  # pylint: disable=wrong-import-position

# A busy machine is no outage: what is old is looked for at the end, and by a bound that nobody misses by being slow.
PATIENT = {f'SUGARPERF_{name}': '60s' for name in ('POOL_CONNECT_TIMEOUT', 'POOL_ACQUIRE_TIMEOUT', 'POOL_QUERY_TIMEOUT',
                                                   'POOL_STATEMENT_TIMEOUT', 'CACHE_LEASE')}
BOUNDS = dict.fromkeys(fleet_watch.WAYS, 60)


def servers_of(folder):
    """How many processes work in it."""
    count = 0
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            count += os.readlink(f'/proc/{name}/cwd').startswith(folder)
        except OSError:
            continue
    return count


def answers(url):
    try:
        with urllib.request.urlopen(url + '/metrics/cache', timeout=60):
            return True
    except OSError:
        return False


class Watching(unittest.TestCase):
    """The check itself, without a fleet."""

    def setUp(self):
        self.watch = fleet_watch.Watch('', 1, [], ['a'], {'post': 1, 'sql': 5})
        for version, way, at in ((1, 'sql', 10), (2, 'post', 11), (3, 'sql', 20)):
            self.watch.note('a', fleet_watch.Change(version, way, at))

    def stale(self, version, began):
        self.watch.judge('a', version, began, 1)
        return len(self.watch.phase()['stale'])

    def test_what_is_older_than_its_bound_is_told(self):
        self.assertEqual(self.stale(3, 100), 0)
        self.assertEqual(self.stale(9, 100), 0, 'a change of which nobody knows whether it was written')
        self.assertEqual(self.stale(1, 11.9), 0)
        self.assertEqual(self.stale(1, 12.1), 1)
        self.assertEqual(self.stale(2, 24.9), 0)
        self.assertEqual(self.stale(2, 25.1), 1)
        self.assertEqual(self.stale(0, 15.1), 2, 'by either way')

    def test_a_list_that_is_older_than_its_bound_is_told(self):
        self.watch.note('a in a list', fleet_watch.Change(2, 'post', 11))
        for title, began, stale in (('version 2', 100, 0), ('version 1', 11.9, 0), ('version 1', 12.1, 1), ('A title', 12.1, 1)):
            self.watch.judge_list([{'id': 'other', 'title': 'version 0'}, {'id': 'a', 'title': title}], began, 1)
            self.assertEqual(len(self.watch.phase()['stale']), stale, title)

    def test_versions(self):
        self.assertEqual([fleet_watch.version_of(text) for text in (None, '', 'About it', 'version 12')], [0, 0, 0, 12])

    def test_a_criterion_that_is_missed_is_a_failure(self):
        phase = {'answered': 1000, 'failed': 0, 'stale': []}
        self.assertTrue(all(row[3] for row in fleet.verdicts({'phases': [phase]}, [])))
        for change, differences in (({'failed': 1}, []), ({'stale': ['x']}, []), ({}, ['x'])):
            self.assertEqual(sum(not row[3] for row in fleet.verdicts({'phases': [{**phase, **change}]}, differences)), 1)


@unittest.skipUnless(fleet_parts.Balancer.program(), 'haproxy is not here: ./run fleet installs it')
class Fleet(unittest.TestCase):
    def test_it_survives_and_answers_nothing_old(self):
        with fleet.Fleet(BUILD, 3, .005, check='5s', **PATIENT) as world:
            first = world.log_master()
            pids = [member.program.process.pid for member in world.members]
            result = fleet.chaos(world, 30, 2, BOUNDS)
            self.assertIsNot(world.log_master(), first, 'the log has another master')
            self.assertEqual(set(pids) & {member.program.process.pid for member in world.members}, set(), 'each was started anew')
            fleet_parts.until('answers are those of plain SQL', lambda: not world.differences())
        for row in result['phases']:
            self.assertGreater(row['answered'], 20, row)
            self.assertGreater(row['reads'], 0, row)
            self.assertGreater(row['lists'], 0, row)
            self.assertEqual(row['stale'], [], row['name'])
        for way in fleet_watch.WAYS:
            self.assertGreater(sum(row['changes'][way] for row in result['phases']), 0, way)
        answered, failed = (sum(row[key] for row in result['phases']) for key in ('answered', 'failed'))
        self.assertLess(failed, answered / 20, result)

    def test_what_a_replica_has_that_is_behind_enters_no_cache(self):
        replica = os.environ['SP_TEST_PG_REPLICA']
        # Behind by less than a replica may be that is read from; nobody but the service says what changed.
        with fleet.Fleet(BUILD, 1, .005, FEED='off', SUGARPERF_POOL_REPLICA_LAG='1d', **PATIENT) as world:
            service = world.members[0].program
            service.json('GET', '/content/content-1')
            world.database.psql(['-c', 'SELECT pg_wal_replay_pause()'], replica)
            try:
                for text in ('what the primary has alone', 'and again'):
                    service.json('POST', '/content/content-1', {'description': text})
                    self.assertEqual(service.json('GET', '/content/content-1')['description'], text)
            finally:
                world.database.psql(['-c', 'SELECT pg_wal_replay_resume()'], replica)
            self.assert_old_answers_are_seen(world)

    def assert_old_answers_are_seen(self, world):
        """Else the check of the others proves nothing: without the feed what plain SQL changes stays old."""
        with fleet_watch.Watch(world.database.url, world.balancer.port, [world.members[0].port], ['content-2'],
                               {'post': 60, 'sql': .01}) as watch:
            fleet_parts.until('an old answer is told', lambda: watch.seen['stale'])

    def test_it_ends_when_it_is_asked_to_and_leaves_nothing(self):
        process = subprocess.Popen(  # pylint: disable=consider-using-with  # killed below, whatever fails
            [sys.executable, os.path.join(HERE, 'fleet.py'), '--build', BUILD, '--scale', '0.002', '--members', '2'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        folder, lines = os.path.join(os.environ['SP_TEST_SERVERS'], f'fleet-{process.pid}'), []
        while not lines or lines[-1] and not lines[-1].startswith('  psql'):
            lines.append(process.stdout.readline())
        self.assertTrue(lines[-1], 'it ended before it was up')
        urls = next(line for line in lines if line.startswith('  processes')).split()[1:]
        self.assertEqual([answers(url) for url in urls], [True, True])
        self.assertEqual(servers_of(folder), 6 + 1, 'a cluster and a balancer')
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(120), 130)
        self.assertEqual(([answers(url) for url in urls], servers_of(folder)), ([False, False], 0))
        self.assertFalse(os.path.exists(folder))


if __name__ == '__main__':
    unittest.main()
