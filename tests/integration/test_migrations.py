# SPDX-License-Identifier: MIT
"""The services' migrations: forth, back, again, and after they were killed in the middle."""
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIGRATIONS = os.path.join(ROOT, 'examples', 'migrations')
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.dirname(os.path.abspath(__file__))]

from measure.database import OwnDatabase, changes_of  # noqa: E402  # pylint: disable=wrong-import-position
import services_plain  # noqa: E402  # pylint: disable=wrong-import-position

# As the source document lists them.
DOCUMENT = {
    'recommendation': {
        'idx_content_engagement_score': 'contents (engagement_score DESC', 'idx_content_created_at': 'contents (created_at DESC',
        'idx_user_interaction_user_id_created_at': 'user_interactions (user_id, created_at DESC',
        'idx_user_interest_user_id_tag_id': 'user_interests (user_id, tag_id'},
    'auth': {
        'idx_user_username': 'users (username', 'idx_user_email': 'users (email',
        'idx_role_permission_role_id': 'role_permissions (role_id',
        'idx_token_blacklist_user_id_created_at': 'token_blacklist (user_id, created_at DESC'},
    'payment': {
        'idx_payment_user_id_status': 'payments (user_id, status',
        'idx_subscription_user_id_active': 'subscriptions (user_id, is_active',
        'idx_invoice_user_id_created_at': 'invoices (user_id, created_at DESC'},
    'content-streaming': {
        'idx_video_creator_id': 'videos (creator_id', 'idx_transcoding_job_video_id_status': 'transcoding_jobs (video_id, status'}}
# What is deployed somewhere stays as it was: no database would be given what is added to it.
DEPLOYED = {
    'recommendation': {'idx_content_created_at', 'idx_content_creator_id', 'idx_content_engagement_score',
                       'idx_content_tag_link_tag_id_content_id', 'idx_user_interaction_content_id',
                       'idx_user_interaction_user_id_created_at', 'idx_user_interest_user_id_tag_id'},
    'auth': {'idx_role_permission_role_id', 'idx_token_blacklist_user_id_created_at', 'idx_user_created_at', 'idx_user_email',
             'idx_user_username'},
    'payment': {'idx_invoice_payment_id', 'idx_invoice_user_id_created_at', 'idx_payment_user_id_status',
                'idx_subscription_started_at', 'idx_subscription_user_id_active'},
    'content-streaming': {'idx_playback_session_video_id', 'idx_transcoding_job_video_id_status', 'idx_video_creator_id',
                          'idx_video_play_count'}}
LATER = {'auth': {'idx_role_permission_role_id_permission_id'}, 'payment': {'idx_subscription_one_active'}}
SECONDS = 60
TWINS = "INSERT INTO subscriptions (id, user_id, plan) SELECT 'twin-' || i, 'twins', 'gold' FROM generate_series(1, 2) i"
INDEXES = ("SELECT string_agg(indexrelid::regclass || ' ' || indisvalid, ',' ORDER BY indexrelid::regclass::text) FROM pg_index"
           " WHERE indexrelid::regclass::text LIKE 'idx_%'")


class Case(unittest.TestCase):
    def database_of(self, plan):
        word = plan.name.replace('-', '_')
        database = OwnDatabase(os.environ['DATABASE_URL'], f'migrations_{word}_{os.getpid()}')
        database.create()
        self.addCleanup(database.drop)
        for name in plan.files:
            database.run_file(f'../{plan.folder}/{name}', **plan.sizes)
        return database

    def psql(self, database, plan, script, *words):
        return subprocess.run(['psql', '-XqAtw', '-d', database.url, *words, '-f', os.path.join(MIGRATIONS, plan.folder, script)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)

    def deploy(self, database, plan, *words):
        for name in changes_of(plan.folder):
            self.good(self.psql(database, plan, f'deploy/{name}.sql', *words))

    def indexes(self, database):
        return {line.split()[0] for line in database.query(INDEXES).split(',') if line}

    def good(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)

    def wait_for(self, database, condition):
        deadline = time.monotonic() + SECONDS
        while database.query(f'SELECT {condition}') != 't':
            self.assertLess(time.monotonic(), deadline, condition)
            time.sleep(.05)


class Scripts(Case):
    def test_forth_back_and_again(self):
        for plan in services_plain.PLANS:
            with self.subTest(plan.name):
                database = self.database_of(plan)
                for name in changes_of(plan.folder):
                    self.assertNotEqual(self.psql(database, plan, f'verify/{name}.sql').returncode, 0)
                for _ in range(2):
                    self.deploy(database, plan)
                for name, start in DOCUMENT[plan.name].items():
                    text = database.query(f"SELECT pg_get_indexdef('{name}'::regclass)")
                    self.assertIn(f'ON public.{start}'.replace(' (', ' USING btree (', 1), text)
                for name in changes_of(plan.folder):
                    self.good(self.psql(database, plan, f'verify/{name}.sql'))
                self.assertNotIn('false', database.query(INDEXES))
                for name in reversed(changes_of(plan.folder)):
                    for _ in range(2):
                        self.good(self.psql(database, plan, f'revert/{name}.sql'))
                self.assertEqual(database.query(INDEXES), '')
                for name in changes_of(plan.folder):
                    self.assertNotEqual(self.psql(database, plan, f'verify/{name}.sql').returncode, 0)

    def test_a_database_from_before_is_given_what_came_later(self):
        for plan in (services_plain.auth(), services_plain.payment()):
            with self.subTest(plan.name):
                database = self.database_of(plan)
                for name in ('indexes', 'feed'):
                    self.good(self.psql(database, plan, f'deploy/{name}.sql', '-v', 'plain=1'))
                self.assertEqual(self.indexes(database), DEPLOYED[plan.name])
                for name in changes_of(plan.folder)[2:]:
                    self.good(self.psql(database, plan, f'deploy/{name}.sql'))
                self.assertEqual(self.indexes(database), DEPLOYED[plan.name] | LATER[plan.name])

    def test_an_index_that_is_another_one_is_told_and_left(self):
        plan = services_plain.payment()
        database = self.database_of(plan)
        for wrong in ('INDEX idx_subscription_one_active ON subscriptions (user_id) WHERE is_active',
                      'UNIQUE INDEX idx_subscription_one_active ON subscriptions (id, user_id) WHERE is_active',
                      'UNIQUE INDEX idx_subscription_one_active ON subscriptions (id)',
                      'INDEX idx_subscription_one_active ON payments (user_id)',
                      'INDEX idx_invoice_payment_id ON invoices USING hash (payment_id)'):
            with self.subTest(wrong):
                database.query(f'CREATE {wrong}')
                name = re.search(r'idx_\w+', wrong)[0]
                was = database.query(f"SELECT pg_get_indexdef('{name}'::regclass)")
                change = 'unique' if name in LATER['payment'] else 'indexes'
                for kind in ('deploy', 'verify'):
                    done = self.psql(database, plan, f'{kind}/{change}.sql', '-v', 'plain=1')
                    self.assertNotEqual(done.returncode, 0)
                    if (kind, change) != ('verify', 'indexes'):
                        self.assertIn(f'{name} is another index: it is ', done.stderr)
                # Nor was any other one built.
                self.assertEqual(self.indexes(database), {name})
                self.assertEqual(database.query(f"SELECT pg_get_indexdef('{name}'::regclass)"), was)
                database.query(f'DROP INDEX {name}')
        self.good(self.psql(database, plan, 'deploy/indexes.sql', '-v', 'plain=1'))
        # How much of a page is filled is the operator's to say.
        database.query('ALTER INDEX idx_invoice_payment_id SET (fillfactor = 70)')
        for kind in ('deploy', 'verify'):
            self.good(self.psql(database, plan, f'{kind}/indexes.sql', '-v', 'plain=1'))

    def test_rows_that_a_unique_index_would_refuse_are_named(self):
        plan = services_plain.payment()
        database = self.database_of(plan)
        database.query(TWINS)
        done = self.psql(database, plan, 'deploy/unique.sql')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('idx_subscription_one_active cannot be built: rows of subscriptions have the same user_id: twin-1, twin-2;',
                      done.stderr)
        self.assertNotIn('idx_subscription_one_active', database.query(INDEXES))
        with open(os.path.join(MIGRATIONS, 'README.md'), encoding='utf-8') as page:
            database.query(re.search(r'```sql\n(.*?)```', page.read(), re.DOTALL)[1])
        self.assertEqual(database.query("SELECT string_agg(id, ',') FROM subscriptions WHERE user_id = 'twins' AND is_active"), 'twin-2')
        self.good(self.psql(database, plan, 'deploy/unique.sql'))

    def test_the_slow_log_goes_back_to_what_the_operator_had_set(self):
        plan = services_plain.payment()
        database = self.database_of(plan)
        had = ("SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_file_settings"
               " WHERE sourcefile LIKE '%auto.conf' AND name LIKE 'log\\_%'")
        before = database.query(had)
        for name, value in (('log_min_duration_statement', '500'), ('log_line_prefix', "it''s %p ")):
            database.query(f"ALTER SYSTEM SET {name} = '{value}'")
            self.addCleanup(database.query, f'ALTER SYSTEM RESET {name}')
        own = database.query(had)
        for script in ('production', 'development', 'production'):
            self.good(self.psql(database, plan, f'../slow_log_{script}.sql'))
        self.assertIn('log_min_duration_statement=100', database.query(had))
        for _ in range(2):
            self.good(self.psql(database, plan, '../slow_log_reset.sql'))
            self.assertEqual(database.query(had), own)
        for name in ('log_min_duration_statement', 'log_line_prefix'):
            database.query(f'ALTER SYSTEM RESET {name}')
        for script in ('production', 'reset'):
            self.good(self.psql(database, plan, f'../slow_log_{script}.sql'))
        self.assertEqual(database.query(had), before)

    def test_a_constraint_s_index_will_do_and_stays(self):
        plan = services_plain.auth()
        database = self.database_of(plan)
        database.query('ALTER TABLE users ADD CONSTRAINT idx_user_email UNIQUE (email)')
        for kind in ('deploy', 'verify'):
            self.good(self.psql(database, plan, f'{kind}/indexes.sql', '-v', 'plain=1'))
        done = self.psql(database, plan, 'revert/indexes.sql')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('idx_user_email stays: the constraint idx_user_email of users needs it', done.stderr)
        self.assertEqual(self.indexes(database), {'idx_user_email'})

    def test_scripts_name_each_other_s_indexes(self):
        for plan in services_plain.PLANS:
            every = set()
            for change in set(changes_of(plan.folder)) - {'feed'}:
                found = []
                for name in (f'{change}.sql', f'revert/{change}.sql'):
                    with open(os.path.join(MIGRATIONS, plan.folder, name), encoding='utf-8') as file:
                        found.append(sorted(re.findall(r'^\\set index (\w+)$', file.read(), re.MULTILINE)))
                self.assertEqual(found[0], found[1])
                if change == 'indexes':
                    self.assertEqual(set(found[0]), DEPLOYED[plan.name])
                every.update(found[0])
            self.assertLessEqual(set(DOCUMENT[plan.name]), every)


class Disturbed(Case):
    def setUp(self):
        self.plan = services_plain.payment()
        self.database = self.database_of(self.plan)

    def hold(self, text, url=None):
        """A transaction that stays open until its end is called."""
        holder = subprocess.Popen(['psql', '-XqAtw', '-d', url or self.database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holder.stdin.write(f"BEGIN;\n{text};\nSELECT 'held';\n")
        holder.stdin.flush()
        while holder.stdout.readline() != 'held\n':
            self.assertIsNone(holder.poll())

        def end():
            if holder.poll() is None:
                holder.communicate('COMMIT;\n')
            holder.stdout.close()
        self.addCleanup(end)
        return end

    def begin(self, *words):
        """One that runs on."""
        running = subprocess.Popen(['psql', '-XqAtw', '-d', self.database.url, *words], cwd=os.path.join(MIGRATIONS, 'payment'),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: running.poll() is None and (running.kill(), running.wait()))
        return running


class Interrupted(Disturbed):
    def test_one_that_was_killed_goes_on_where_it_was(self):
        end = self.hold("UPDATE invoices SET is_cancelled = false WHERE id = 'invoice-0'")
        deploy = self.begin('-f', 'deploy/indexes.sql')
        self.wait_for(self.database, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid AND"
                      " indexrelid = to_regclass('idx_invoice_user_id_created_at'))")
        # Reads and writes go on meanwhile, and another one that is begun says who is at work.
        self.database.query("UPDATE invoices SET is_cancelled = true WHERE id <> 'invoice-0'")
        first = self.database.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'migration'")
        for script in ('deploy/indexes.sql', 'deploy/unique.sql', 'revert/indexes.sql'):
            other = self.psql(self.database, self.plan, script, '-v', 'patience=0 seconds')
            self.assertNotEqual(other.returncode, 0)
            self.assertIn(f'another migration is at work in this database, process {first}: wait', other.stderr)
        deploy.kill()
        deploy.wait()
        # Nobody waits for a build whose client is gone.
        self.wait_for(self.database, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'migration')")
        self.assertIn('idx_invoice_user_id_created_at false', self.database.query(INDEXES))
        self.assertNotEqual(self.psql(self.database, self.plan, 'verify/indexes.sql').returncode, 0)
        end()
        done = self.psql(self.database, self.plan, 'deploy/indexes.sql')
        self.good(done)
        self.assertIn('left by a build that was interrupted', done.stdout)
        self.good(self.psql(self.database, self.plan, 'verify/indexes.sql'))
        self.assertNotIn('false', self.database.query(INDEXES))

    def test_reads_go_on_while_what_locks_others_out_waits(self):
        """They have a second; a lock that is waited for makes all that come queue up behind it."""
        end = self.hold('SELECT count(*) FROM payments')
        deploy = self.begin('-f', 'deploy/feed.sql')
        self.wait_for(self.database, "EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'migration' AND wait_event IS NOT NULL"
                      " AND state = 'active' AND query ~ 'ALTER|DO')")
        for _ in range(2):
            self.database.psql(['-c', "SET statement_timeout = '2s'", '-c', 'SELECT count(*) FROM payments'])
        self.assertIsNone(deploy.poll())
        end()
        self.assertEqual(deploy.wait(SECONDS), 0)
        self.good(self.psql(self.database, self.plan, 'verify/feed.sql'))

    def test_what_locks_others_out_gives_up_and_names_who_is_in_the_way(self):
        self.good(self.psql(self.database, self.plan, 'deploy/feed.sql'))
        end = self.hold('SELECT count(*) FROM invoices')
        # What is so already takes no lock.
        self.good(self.psql(self.database, self.plan, 'deploy/feed.sql', '-v', 'patience=0 seconds'))
        done = self.psql(self.database, self.plan, 'revert/feed.sql', '-v', 'patience=0 seconds')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r'invoices was in use whenever it was tried, for 0 seconds: by process \d+; end it')
        done = self.psql(self.database, self.plan, 'verify/feed.sql')
        self.assertIn('payments is not there, or has another REPLICA IDENTITY than FULL', done.stderr)
        end()
        self.good(self.psql(self.database, self.plan, 'revert/feed.sql', '-v', 'patience=0 seconds'))

    def test_old_transactions_are_told_before_anything_is_built(self):
        end = self.hold('SELECT count(*) FROM payments')
        done = self.psql(self.database, self.plan, 'deploy/indexes.sql', '-v', 'old=0 seconds')
        self.assertNotEqual(done.returncode, 0, done.stdout + self.database.query(
            'SELECT json_agg(a) FROM pg_stat_activity a WHERE datname = current_database()'))
        self.assertRegex(done.stderr, r'process \d+ \(psql\)')
        self.assertEqual(self.database.query(INDEXES), '')
        end()
        self.good(self.psql(self.database, self.plan, 'deploy/indexes.sql', '-v', 'old=0 seconds'))

    def test_a_prepared_transaction_is_told_with_what_ends_it(self):
        self.database.query("BEGIN; UPDATE payments SET currency = currency WHERE id = 'payment-1'; PREPARE TRANSACTION 'it''s old'")
        try:
            done = self.psql(self.database, self.plan, 'deploy/indexes.sql', '-v', 'old=0 seconds')
        finally:
            self.database.query("ROLLBACK PREPARED 'it''s old'")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("COMMIT PREPARED 'it''s old' or ROLLBACK PREPARED 'it''s old'", done.stderr)
        self.assertEqual(self.database.query(INDEXES), '')


class PlainOwner(Disturbed):
    """A role that owns the tables, and is not told what the sessions of others do."""

    def setUp(self):
        self.role = f'plain_{os.getpid()}'
        admin = OwnDatabase(os.environ['DATABASE_URL'], 'postgres')
        admin.query(f"CREATE ROLE {self.role} LOGIN PASSWORD 'plain'")
        self.addCleanup(admin.query, f'DROP ROLE {self.role}')
        super().setUp()
        self.database.query(f'ALTER DATABASE {self.database.schema} OWNER TO {self.role}')
        self.database.query("DO $$ DECLARE name text; BEGIN FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND"
                            " relnamespace = 'public'::regnamespace LOOP EXECUTE format('ALTER TABLE %I OWNER TO"
                            f" {self.role}', name); END LOOP; END $$")
        parts = urllib.parse.urlsplit(self.database.url)
        self.owner = OwnDatabase(os.environ['DATABASE_URL'], self.database.schema)
        self.owner.url = urllib.parse.urlunsplit(parts._replace(netloc=f"{self.role}:plain@{parts.netloc.rpartition('@')[2]}"))

    def test_old_transactions_are_told_before_anything_is_built(self):
        end = self.hold('SELECT count(*) FROM payments')
        done = self.psql(self.owner, self.plan, 'deploy/indexes.sql', '-v', 'old=0 seconds')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r'are open for more than 0 seconds, and a build would wait for them: process \d+ \(psql\) of ')
        self.assertIn(f'GRANT pg_read_all_stats TO {self.role}', done.stderr)
        self.assertEqual(self.database.query(INDEXES), '')
        end()
        for name in changes_of(self.plan.folder):
            self.good(self.psql(self.owner, self.plan, f'deploy/{name}.sql'))

    def test_who_may_make_no_temporary_table_is_told_what_is_missing(self):
        self.database.query(f'REVOKE TEMPORARY ON DATABASE {self.database.schema} FROM PUBLIC, {self.role}')
        for kind in ('deploy', 'verify'):
            done = self.psql(self.owner, self.plan, f'{kind}/indexes.sql')
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f'GRANT TEMPORARY ON DATABASE {self.database.schema} TO {self.role}', done.stderr)

    def test_what_somebody_builds_by_hand_is_told(self):
        self.hold("UPDATE invoices SET is_cancelled = false WHERE id = 'invoice-0'", self.owner.url)
        self.begin('-c', 'CREATE INDEX CONCURRENTLY idx_invoice_payment_id ON invoices (payment_id)')
        self.wait_for(self.database, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid AND indexrelid = to_regclass('idx_invoice_payment_id'))")
        done = self.psql(self.owner, self.plan, 'deploy/indexes.sql')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('idx_invoice_payment_id is being built by process', done.stderr)


@unittest.skipUnless(shutil.which('sqitch'), 'sqitch is not here')
class Guide(Case):
    def type_in(self, lines, folder, url):
        done = subprocess.run(['bash', '-euc', lines], env={**os.environ, 'DATABASE_URL': url, 'SQITCH_FULLNAME': 'test',
                                                            'SQITCH_EMAIL': 'test@localhost'},
                              cwd=folder, capture_output=True, text=True, check=False, timeout=180)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_what_the_page_tells_to_type(self):
        database = self.database_of(services_plain.payment())
        with open(os.path.join(MIGRATIONS, 'README.md'), encoding='utf-8') as page:
            blocks = re.findall(r'```sh\n(.*?)```', page.read(), re.DOTALL)
        self.type_in(blocks[0], ROOT, database.url)
        self.assertEqual(database.query(INDEXES), '')
        self.type_in(blocks[1], os.path.join(MIGRATIONS, 'payment'), database.url)
        self.assertEqual(database.query('SHOW log_min_duration_statement'), '-1')

    def test_every_project_goes_forth_and_back(self):
        for plan in services_plain.PLANS:
            with self.subTest(plan.name):
                database = self.database_of(plan)
                folder = os.path.join(MIGRATIONS, plan.folder)
                self.type_in('sqitch deploy --verify "db:$DATABASE_URL"; sqitch deploy "db:$DATABASE_URL"', folder, database.url)
                self.assertNotIn('false', database.query(INDEXES))
                self.type_in('sqitch verify "db:$DATABASE_URL"; sqitch revert -y "db:$DATABASE_URL"', folder, database.url)

    def test_a_change_that_fails_leaves_what_was_there(self):
        database = self.database_of(services_plain.payment())
        made = 'CREATE INDEX idx_payment_user_id_status ON payments (user_id, status, created_at DESC, id)'
        database.psql(['-c', made, '-c', 'ALTER TABLE payments REPLICA IDENTITY FULL', '-c', TWINS])
        folder = os.path.join(MIGRATIONS, 'payment')
        self.type_in('! sqitch deploy --verify "db:$DATABASE_URL"', folder, database.url)
        self.assertEqual(self.indexes(database), DEPLOYED['payment'])
        self.assertEqual(database.query("SELECT relreplident FROM pg_class WHERE oid = 'payments'::regclass"), 'f')


if __name__ == '__main__':
    unittest.main()
