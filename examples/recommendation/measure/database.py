# SPDX-License-Identifier: MIT
"""A schema of its own in the database that DATABASE_URL names, over psql."""
import os
import re
import subprocess
import threading
import time
import urllib.parse

from . import Failure

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = ('users', 'contents', 'content_tags', 'content_tag_links', 'user_interests', 'user_interactions')


def with_search_path(url, schema):
    """The same URL, whose sessions look into the schema first."""
    base, _, query = url.partition('?')
    if not base.startswith(('postgres://', 'postgresql://')):
        raise Failure('DATABASE_URL must begin with postgresql://')
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    options['options'] = (options.get('options', '') + f' -csearch_path={schema}').strip()
    return base + '?' + urllib.parse.urlencode(options, quote_via=urllib.parse.quote)


def changes_of(folder):
    """The names of the changes in a project's plan."""
    with open(os.path.join(HERE, '..', 'migrations', folder, 'sqitch.plan'), encoding='utf-8') as plan:
        return [line.split()[0] for line in plan if line.strip() and line[0] not in '%#']


def without_password(text, url):
    """libpq quotes the part of a URL that it does not understand, which may be the password."""
    secret = re.search(r'://[^/?#]*?:([^/?#]*)@', url) or re.search(r'[?&]password=([^&]*)', url)
    if secret and secret[1]:
        for word in (secret[1], urllib.parse.unquote(secret[1])):
            text = text.replace(word, '***')
    return text


class Database:
    """Made by create(), gone with drop(); `url` is what a service is given."""

    def __init__(self, url, schema):
        self.plain, self.schema, self.made = url, schema, False
        self.url = with_search_path(url, schema)

    def psql(self, arguments, url=None):
        environment = dict(os.environ, PGOPTIONS='--client-min-messages=warning', PGCONNECT_TIMEOUT='5')
        try:
            done = subprocess.run(['psql', '-XqAtw', '-v', 'ON_ERROR_STOP=1', '-d', url or self.url, *arguments],
                                  env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise Failure('psql is missing: ./run setup installs postgresql-client') from None
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ['psql failed'])[0].removeprefix('psql: error: ')
            raise Failure(f'PostgreSQL, which DATABASE_URL names: {without_password(line, self.plain)}')
        return done.stdout

    def create(self):
        self.made = True    # also when we are interrupted before we know
        try:
            self.psql(['-c', f'CREATE SCHEMA {self.schema}'], self.plain)
        except Failure as failure:
            self.made = False
            hint = ': a role that may create a schema is needed' if 'permission denied' in str(failure) else ''
            raise Failure(f'{failure}{hint}') from None

    def drop(self):
        if self.made:
            self.psql(['-c', f'DROP SCHEMA IF EXISTS {self.schema} CASCADE'], self.plain)
            self.made = False

    def run_file(self, name, **variables):
        arguments = []
        for key, value in variables.items():
            arguments += ['-v', f'{key}={value}']
        self.psql([*arguments, '-f', os.path.join(HERE, name)])

    def query(self, text):
        """One value or line of text."""
        return self.psql(['-c', text]).strip()

    def migrate(self, folder, *left_out, verify=False):
        """Deploys the changes of a project of ../migrations, in their order."""
        for name in changes_of(folder):
            for kind in ('deploy', 'verify') if verify else ('deploy',):
                if name not in left_out:
                    self.run_file(f'../migrations/{folder}/{kind}/{name}.sql', plain=1)

    def wait_for_locks(self, count, application='', seconds=60):
        """Until so many sessions, of an application if it is named, wait for a lock in this database."""
        text = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                f" AND '{application}' IN ('', application_name)")
        deadline = time.monotonic() + seconds
        while (waiting := self.query(text)) != str(count):
            if time.monotonic() > deadline:
                raise Failure(f'{waiting} sessions wait for a lock, not {count}, after {seconds} s')
            time.sleep(.02)

    def unsafe(self):
        """The settings that let this server lose what it has confirmed, as text: "fsync=off, …"."""
        return self.query("SELECT coalesce(string_agg(name || '=' || setting, ', ' ORDER BY name), '') FROM pg_settings"
                          " WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'off'")

    def vacuum(self):
        for table in TABLES:
            self.psql(['-c', f'VACUUM (ANALYZE) {table}'])


class OwnDatabase(Database):
    """The same in a database of its own, as a service has it in production: a change feed reads a whole database."""

    def __init__(self, url, name):
        super().__init__(url, name)
        parts = urllib.parse.urlsplit(url)
        self.url = urllib.parse.urlunsplit(parts._replace(path='/' + name))

    def create(self):
        self.made = True
        self.psql(['-c', f'CREATE DATABASE {self.schema}'], self.plain)

    def drop(self):
        if self.made:
            self.psql(['-c', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots'
                       f" WHERE database = '{self.schema}' AND NOT active"], self.plain)
            self.psql(['-c', f'DROP DATABASE IF EXISTS {self.schema} WITH (FORCE)'], self.plain)
            self.made = False


class Sampler:
    """Counts the connections of an application, open and busy, several times a second, from one session of its own."""

    INTERVAL = 0.2

    def __init__(self, database, application, url=None):
        self.text = ("SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity"
                     f" WHERE application_name = '{application}' AND datname = current_database()"
                     " AND backend_type = 'client backend';\n")
        self.process = subprocess.Popen(['psql', '-XqAtw', '-d', url or database.plain], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.samples = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def sample(self):
        while not self.stopped.wait(self.INTERVAL):
            try:
                self.process.stdin.write(self.text)
                self.process.stdin.flush()
            except OSError:
                return
            line = self.process.stdout.readline()
            if not line:
                return
            self.samples.append([int(number) for number in line.split('|')])

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(5)
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:
            pass    # what was written to it as it ended

    def summary(self):
        columns = list(zip(*self.samples)) or [(0,), (0,)]
        return {'open_average': sum(columns[0]) / len(columns[0]), 'open_peak': max(columns[0]),
                'busy_average': sum(columns[1]) / len(columns[1]), 'busy_peak': max(columns[1])}
