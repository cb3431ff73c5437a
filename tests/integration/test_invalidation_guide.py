# SPDX-License-Identifier: MIT
"""What docs/invalidation.md tells to type works as it stands there, and what ./run doctor says of the change feed."""
import json
import os
import subprocess
import sys
import unittest

from guide import Guide, ROOT

SERVERS = os.path.join(ROOT, 'tests', 'support', 'servers.py')


class Invalidation(Guide):
    page = 'invalidation.md'

    def test_from_the_first_rule_to_the_last_slot(self):
        program, view, message, remove = self.blocks('sh')
        self.write('invalidation.c', self.blocks('c')[0])
        self.write('cache.rules', ''.join(self.blocks('rules')[0].splitlines(keepends=True)[:2]))
        lines = self.type_in(program).splitlines()
        self.assertEqual([target['text'] for target in json.loads(lines[0])['targets']],
                         ['rec:content:42:full', 'rec:recommendations:*'])
        self.assertEqual(json.loads(lines[1])['lacks'], [])
        self.assertEqual(lines[2:], ['the feed: gone', 'by hand: gone'])
        self.assertEqual(self.type_in(view), 'logical|t\nsugarperf_guide|pgoutput|reserved\n')
        self.assertEqual(self.type_in(message), 't\n')
        self.assertEqual(self.type_in(remove), 't\n')
        self.type_in('psql -XAtq "$DATABASE_URL" -c "DROP TABLE contents"')

    def test_no_line_is_left_out(self):
        self.assertEqual([len(self.blocks(language)) for language in ('c', 'sh', 'rules')], [1, 4, 1])


class Doctor(unittest.TestCase):
    def say(self, url, *options):
        """Its lines about the change feed, for the server that `url` makes of DATABASE_URL."""
        servers = [sys.executable, SERVERS, 'exec', '--pg', *(word for option in options for word in ('--pg-opt', option))]
        done = subprocess.run([*servers, '--', 'bash', '-c', f'DATABASE_URL={url} exec ./run doctor'], cwd=ROOT,
                              capture_output=True, text=True, check=False, timeout=100)
        return [line.partition(': ')[2] for line in done.stdout.splitlines() if line.startswith('change feed: ')]

    def test_it_says_what_the_feed_lacks_and_how_to_get_it(self):
        self.assertEqual(self.say('${DATABASE_URL/test:test/sugar:sweet}', 'wal_level=replica', 'max_wal_senders=0',
                                  'max_replication_slots=0'),
                         ["wal_level is replica: ALTER SYSTEM SET wal_level = 'logical' and restart PostgreSQL",
                          'the role "sugar" may not replicate: ALTER ROLE "sugar" REPLICATION',
                          'max_replication_slots is 0: ALTER SYSTEM SET max_replication_slots = 10 and restart PostgreSQL',
                          'max_wal_senders is 0: ALTER SYSTEM SET max_wal_senders = 10 and restart PostgreSQL',
                          'the log that is kept while nobody reads has no bound: '
                          "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB' and SELECT pg_reload_conf()"])

    def test_a_server_that_lacks_nothing_can_be_read_from(self):
        self.assertEqual(self.say('$DATABASE_URL', 'max_slot_wal_keep_size=1GB'),
                         ['the server of DATABASE_URL can be read from'])

    def test_a_server_that_does_not_answer_is_told_as_such(self):
        self.assertEqual(self.say('postgresql://test@127.0.0.1:1/test'),
                         ['the server of DATABASE_URL does not answer, or psql is missing'])


if __name__ == '__main__':
    unittest.main()
