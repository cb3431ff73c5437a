# SPDX-License-Identifier: MIT
"""A schema of its own in the database that DATABASE_URL names, over psql."""
import os
import subprocess
import threading
import urllib.parse

from . import Failure

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = ('users', 'contents', 'content_tags', 'content_tag_links', 'user_interests', 'user_interactions')


def with_search_path(url, schema):
    """The same URL, whose sessions look into the schema first."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ('postgres', 'postgresql'):
        raise Failure('DATABASE_URL must begin with postgresql://')
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    query['options'] = (query.get('options', '') + f' -csearch_path={schema}').strip()
    text = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    return urllib.parse.urlunsplit(parts._replace(query=text))


class Database:
    """Made by create(), gone with drop(); `url` is what a service is given."""

    def __init__(self, url, schema):
        self.plain, self.schema = url, schema
        self.url = with_search_path(url, schema)

    def psql(self, arguments, url=None):
        environment = dict(os.environ, PGOPTIONS='--client-min-messages=warning', PGCONNECT_TIMEOUT='5')
        try:
            done = subprocess.run(['psql', '-XqAtw', '-v', 'ON_ERROR_STOP=1', '-d', url or self.url, *arguments],
                                  env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise Failure('psql is missing: ./run setup installs postgresql-client') from None
        if done.returncode:
            raise Failure('PostgreSQL: ' + (done.stderr.strip().splitlines() or ['psql failed'])[0]
                          + ': does DATABASE_URL name a database in which this role may create a schema?')
        return done.stdout

    def create(self):
        self.psql(['-c', f'CREATE SCHEMA {self.schema}'], self.plain)

    def drop(self):
        self.psql(['-c', f'DROP SCHEMA IF EXISTS {self.schema} CASCADE'], self.plain)

    def run_file(self, name, **variables):
        arguments = []
        for key, value in variables.items():
            arguments += ['-v', f'{key}={value}']
        self.psql([*arguments, '-f', os.path.join(HERE, name)])

    def query(self, text):
        """One value or line of text."""
        return self.psql(['-c', text]).strip()

    def vacuum(self):
        for table in TABLES:
            self.psql(['-c', f'VACUUM (ANALYZE) {table}'])


class Sampler:
    """Counts the connections of an application, open and busy, several times a second, from one session of its own."""

    INTERVAL = 0.2

    def __init__(self, database, application):
        self.text = ("SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity"
                     f" WHERE application_name = '{application}' AND datname = current_database()"
                     " AND backend_type = 'client backend';\n")
        self.process = subprocess.Popen(['psql', '-XqAtw', '-d', database.plain], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.samples = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def sample(self):
        while not self.stopped.wait(self.INTERVAL):
            self.process.stdin.write(self.text)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                return
            self.samples.append([int(number) for number in line.split('|')])

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(5)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def summary(self):
        columns = list(zip(*self.samples)) or [(0,), (0,)]
        return {'open_average': sum(columns[0]) / len(columns[0]), 'open_peak': max(columns[0]),
                'busy_average': sum(columns[1]) / len(columns[1]), 'busy_peak': max(columns[1])}
