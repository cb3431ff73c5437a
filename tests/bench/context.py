# SPDX-License-Identifier: MIT
"""What the files cases_*.py build their sides from: programs, servers, and the data that all sides read."""
import os
import shutil
import subprocess
import sys

from harness import Side

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'examples', 'recommendation'))
from measure.database import Database  # noqa: E402 (the path comes first)
from servers import Failure, find_program, pg_program  # noqa: E402 (the path comes first)

ITEMS = 100_000
KEYS = 10_000
SERVICE_SIZES = {'users': 500, 'contents': 1000, 'tags': 100}
VALUE_BYTES = 64
NODE = os.path.join(HERE, 'node')
# Seconds; a just-in-time compiler wants more.
WARMUP, WARMUP_NODE = 0.3, 1.0


class Missing(Exception):
    """A side that this machine lacks, and why, in one line."""


class Context:
    """The machine as the cases see it; `pg` and `redis` are URLs of private servers."""

    def __init__(self, build, seconds, pg, redis):
        self.build, self.seconds, self.pg, self.redis = os.path.abspath(build), seconds, pg, redis
        self.done = set()

    def side(self, name, make):
        """A side of the command that `make` returns, or one that says why it is missing."""
        try:
            return Side(name, *make())
        except Missing as reason:
            return Side(name, why=str(reason))

    def program(self, name):
        path = os.path.join(self.build, 'tests', 'bench', name)
        if not os.access(path, os.X_OK):
            raise Missing(f'{name} is not built: ./run bench builds it')
        return path

    def driver(self, name, program, *arguments):
        """A side that is one of our C drivers (driver.h)."""
        return self.side(name, lambda: ((self.program(program), *self.span(), *map(str, arguments)),))

    def span(self, warmup=WARMUP):
        return '--seconds', str(self.seconds), '--warmup', str(min(warmup, self.seconds))

    def pgbench(self, name, *arguments):
        """A side that is pgbench; arguments of its wrapper pgbench.py."""
        def make():
            try:
                program = pg_program('pgbench')
            except Failure as reason:
                raise Missing('pgbench is missing: apt-get install postgresql') from reason
            return ((sys.executable, os.path.join(HERE, 'pgbench.py'), '--program', program, '--seconds',
                     str(self.seconds), '--items', str(ITEMS), '--url', self.pg, *map(str, arguments)),)
        return self.side(name, make)

    def node(self, name, script, *arguments, needs=(), ours=False, least=18):
        """A side that is a script of node/; `needs` are npm modules, which want Node `least`, `ours` the binding of the build."""
        def make():
            program = shutil.which('node')
            if not program:
                raise Missing('node is missing')
            if least > 18 and int(subprocess.check_output([program, '--version'], text=True)[1:].split('.')[0]) < least:
                raise Missing(f'{name} wants Node {least}')
            for module in needs:
                if not os.path.isdir(os.path.join(NODE, 'node_modules', module)):
                    raise Missing(f'npm module {module} is missing: "npm ci" in tests/bench/node')
            if ours and not os.path.exists(os.path.join(self.build, 'bindings', 'node', 'sugarperf.node')):
                raise Missing('the Node binding is not built: -Dbindings=true')
            command = (program, os.path.join(NODE, script), *self.span(WARMUP_NODE), *map(str, arguments))
            return command, (('SUGARPERF_BUILD', self.build),)
        return self.side(name, make)

    def made(self, name, need):
        """A peer that `./run bench` put into the build where `need` is installed."""
        path = os.path.join(self.build, 'peers', name)
        if not os.path.exists(path):
            raise Missing(f'{need} is missing' if not shutil.which(need) else f'{name} could not be built')
        return path

    def gobreaker(self, name, *arguments):
        return self.side(name, lambda: ((self.made('gobreaker', 'go'), *self.span(), *map(str, arguments)),))

    def resilience4j(self, name, *arguments):
        def make():
            classes = os.path.join(self.made('resilience4j', 'mvn'), '*')
            source = os.path.join(HERE, 'peers', 'resilience4j', 'Bench.java')
            return (('java', '-cp', classes, source, *self.span(WARMUP_NODE), *map(str, arguments)),)
        return self.side(name, make)

    def pgx(self, name, *arguments):
        """A side with jackc/pgx."""
        return self.side(name, lambda: ((self.made('pgx', 'go'), *self.span(), '--url', self.pg, *map(str, arguments)),))

    def python(self, name, script, ours, peers, *arguments):
        """A script of peers/ with the binding of the build, or with what `peers` names: (variable, folder of the build)."""
        def make():
            program = '/usr/bin/python3' if os.access('/usr/bin/python3', os.X_OK) else sys.executable
            if ours and not os.path.exists(os.path.join(self.build, 'bindings', 'python', 'native.py')):
                raise Missing('the Python binding is not built: -Dbindings=true')
            package = os.path.join(HERE, '..', '..', 'bindings', 'python')
            variable, folder = peers
            environment = (('SUGARPERF_BUILD', self.build), ('SUGARPERF_PACKAGE', package),
                           (variable, '' if ours else self.made(folder, 'python3')))
            path = os.path.join(HERE, 'peers', script)
            return (program, path, *self.span(), *map(str, arguments)), environment
        return self.side(name, make)

    def python_side(self, name, ours, *arguments):
        """peers/side.py with the binding's breaker, or with pybreaker."""
        return self.python(name, 'side.py', ours, ('PYBREAKER', 'pybreaker'), '--ours', int(ours), *arguments)

    def python_pg(self, name, peer, *arguments):
        """peers/pg_side.py with the binding's pool, asyncpg or psycopg."""
        return self.python(name, 'pg_side.py', peer.startswith('ours'), ('PEERS', 'python-postgres'), '--url', self.pg,
                           '--peer', peer, *arguments)

    def service_open(self, name, *arguments):
        """open_side.py: the recommendation service over the data of recommendation()."""
        def make():
            if not os.access(os.path.join(self.build, 'examples', 'recommendation', 'recommendation-service'), os.X_OK):
                raise Missing('the recommendation service is not built: ./run bench builds it')
            sizes = [word for size, count in SERVICE_SIZES.items() for word in (f'--{size}', str(count))]
            return ((sys.executable, os.path.join(HERE, 'open_side.py'), *self.span(), '--build', self.build, '--url',
                     self.recommendations().url, '--redis', self.redis, *sizes, *arguments),)
        return self.side(name, make)

    def recommendations(self):
        return Database(self.pg, 'bench_recommendation')

    def recommendation(self):
        """The service's tables, small: what is measured reads none of them."""
        if 'recommendation' in self.done:
            return
        database = self.recommendations()
        database.create()
        for name in ('schema.sql', 'data.sql', 'keys.sql', 'indexes.sql'):
            database.run_file(name, **SERVICE_SIZES, interactions=5000)
        self.done.add('recommendation')

    def items(self):
        """bench_items(id, title): once a run, vacuumed, wholly in shared buffers."""
        if 'items' in self.done:
            return
        subprocess.run([find_program('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', self.pg],
                       input='SET client_min_messages TO warning;'
                             'DROP TABLE IF EXISTS bench_items;'
                             'CREATE TABLE bench_items (id int PRIMARY KEY, title text NOT NULL);'
                             f"INSERT INTO bench_items SELECT i, 'title of ' || md5(i::text)"
                             f' FROM generate_series(1, {ITEMS}) i;'
                             'VACUUM (ANALYZE, FREEZE) bench_items;'
                             'SELECT count(title) FROM bench_items;',
                       text=True, check=True, stdout=subprocess.DEVNULL)
        self.done.add('items')

    def counts(self):
        """bench_counts(id, n), one row an item; not logged, so that the disk does not decide."""
        if 'counts' in self.done:
            return
        subprocess.run([find_program('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', self.pg],
                       input='SET client_min_messages TO warning;'
                             'DROP TABLE IF EXISTS bench_counts;'
                             'CREATE UNLOGGED TABLE bench_counts (id int PRIMARY KEY, n int8 NOT NULL) WITH (fillfactor = 50);'
                             f'INSERT INTO bench_counts SELECT i, 0 FROM generate_series(1, {KEYS}) i;'
                             'VACUUM (ANALYZE) bench_counts;',
                       text=True, check=True, stdout=subprocess.DEVNULL)
        self.done.add('counts')

    def keys(self):
        """bench:item:1 … in Redis, filled by the library (there as sp:bench:item:1 …): every side reads the same bytes."""
        if 'keys' in self.done:
            return
        fill = [self.program('bench-redis-ours'), '--mode', 'fill', '--url', self.redis, '--items', str(KEYS),
                '--size', str(VALUE_BYTES)]
        subprocess.run(fill, check=True, stdout=subprocess.DEVNULL)
        self.done.add('keys')

    def keys_1000(self):
        self.populate(1_000)

    def keys_100000(self):
        self.populate(100_000)

    def keys_1000000(self):
        self.populate(1_000_000)

    def populate(self, count):
        """So many keys under one pattern, and no others, made by the server itself."""
        if f'populated {count}' in self.done:
            return
        self.done -= {name for name in self.done if name.startswith('populated ') or name == 'keys'}
        client = [find_program('redis-cli'), '-u', self.redis]
        script = "for i = 1, ARGV[1] do redis.call('set', KEYS[1] .. i + ARGV[2], ARGV[3]) end"
        subprocess.run([*client, 'FLUSHALL'], check=True, stdout=subprocess.DEVNULL)
        for start in range(0, count, 100_000):
            subprocess.run([*client, 'EVAL', script, '1', 'sp:rec:recommendations:user', str(min(count, 100_000)), str(start),
                            'v' * VALUE_BYTES], check=True, stdout=subprocess.DEVNULL)
        self.done.add(f'populated {count}')
