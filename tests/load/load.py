#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The load tests of the four services: ./run load [service...] [--quick] [--rate N] [--seconds S] [--scale N] [--json FILE]

For each service: a database of its own, filled, with the migrations; then the source document's stages (thresholds p95 < 500 ms,
p99 < 1000 ms, failures < 5 %) and, with a cache as it is after an hour of it, a stricter open model (constant arrival rate;
mean < 100, p95 < 300, p99 < 500 ms, failures < 0.1 %, nothing left out). With k6 on PATH the scripts of this folder run under k6; else
our own generator asks the same.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.dirname(os.path.abspath(__file__))]

from measure import Failure  # noqa: E402  # pylint: disable=wrong-import-position
from measure.database import OwnDatabase, Sampler  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program, path_of  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis  # noqa: E402  # pylint: disable=wrong-import-position
import k6  # noqa: E402  # pylint: disable=wrong-import-position
import traffic  # noqa: E402  # pylint: disable=wrong-import-position

POOL_MAX = 20
WARMER = 4    # times the rate of the run itself: how fast the cache is filled before
COLD = 10     # seconds before that at the run's own rate: the database server's buffers are as cold as the cache
DOCUMENT = (('p95, ms', 'p95', 500), ('p99, ms', 'p99', 1000), ('failed, %', 'failed', 5))
STRICT = (('mean, ms', 'mean', 100), ('p95, ms', 'p95', 300), ('p99, ms', 'p99', 500), ('failed, %', 'failed', 0.1),
          ('left out', 'left_out', 1))
SLOW = re.compile(r'slow: \S+ took ')
NAMED = re.compile(r'^db_client_operation_duration_seconds_count{db_system_name="postgresql",db_query_summary="(\w+)".*} (\d+)$',
                   re.MULTILINE)
TIMES = re.compile(r'^Time: ([\d.]+) ms', re.MULTILINE)
FINDINGS = re.compile(r'^sugarperf_profiler_findings{.*} (\S+)$', re.MULTILINE)


def say(text):
    print(f'==> {text}', file=sys.stderr, flush=True)


def quantiles(times):
    """Of times in milliseconds, as the load generator tells them."""
    times = sorted(times)
    return {'count': len(times), **{f'p{q}': times[min(len(times) - 1, len(times) * q // 100)] for q in (50, 95, 99)}, 'max': times[-1]}


def permissions_as_found(database, count):
    """What a user may do as the source document's form asks: N+1 statements, no index but keys, no cache. Neither HTTP nor a trip counts
    but psql's own."""
    rows = json.loads(database.query(
        "SELECT json_agg(json_build_array(id, role_id, (SELECT json_agg(permission_id) FROM role_permissions p WHERE p.role_id = u.role_id)))"
        f" FROM (SELECT id, role_id FROM users WHERE is_active ORDER BY hashtext(id) LIMIT {count}) u"))
    with tempfile.NamedTemporaryFile('w', encoding='utf-8') as file:
        print('\\timing on', file=file)
        for user, role, permissions in rows:
            print(f"SELECT * FROM users WHERE id = '{user}';\nSELECT * FROM roles WHERE id = '{role}';\n"
                  f"SELECT permission_id FROM role_permissions WHERE role_id = '{role}';", file=file)
            for permission in permissions:
                print(f"SELECT * FROM permissions WHERE id = '{permission}';", file=file)
        file.flush()
        times = iter(float(time) for time in TIMES.findall(database.psql(['-f', file.name])))
    return quantiles([sum(next(times) for _ in range(3 + len(permissions))) for _, _, permissions in rows])


def sizes_of(service, scale):
    """What there are few of (tags, roles) stays."""
    return {name: value if name == 'tags' else max(20, int(value * scale)) for name, value in service.sizes.items()}


class World:
    """A service on a database of its own, filled and migrated."""

    def __init__(self, build, service, sizes):
        self.service, self.sizes, self.told = service, sizes, 0
        word = service.name.replace('-', '_')
        self.database = OwnDatabase(os.environ['DATABASE_URL'], f'load_{word}_{os.getpid()}')
        self.build = build

    def __enter__(self):
        self.database.create()
        try:
            for name in self.service.files:
                self.database.run_file(f'../{self.service.name}/{name}', **self.sizes)
            self.found = permissions_as_found(self.database, 200) if self.service.name == 'auth' else None
            self.database.migrate(self.service.name, 'feed', verify=True)
            self.database.psql(['-c', 'VACUUM (ANALYZE)'])
            name = 'service' if self.service.name == 'recommendation' else self.service.name
            self.program = Program(self.build, name, {
                'DATABASE_URL': self.database.url, 'REDIS_URL': os.environ['REDIS_URL'], 'JOBS': 'on', 'AUTH_SECRET': 'load' * 4,
                'SUGARPERF_CACHE_NAMESPACE': self.database.schema, 'SUGARPERF_POOL_MAX': str(POOL_MAX)})
        except BaseException:
            self.database.drop()
            raise
        return self

    def __exit__(self, *_):
        self.program.stop()
        self.program.log.close()
        self.database.drop()
        with Redis(os.environ['REDIS_URL']) as redis:
            for pattern in (f'{self.database.schema}:*', f'{{{self.database.schema}}}:*', f'{{{self.database.schema}:*'):
                redis.remove(pattern)

    def tokens(self):
        """Of users who are active."""
        if self.service.name != 'auth':
            return []
        users = self.database.query("SELECT string_agg(id, ' ') FROM (SELECT id FROM users WHERE is_active ORDER BY id LIMIT 200) x")
        return [self.program.json('POST', '/auth/token', {'userId': user})['token'] for user in users.split()]

    def indexes(self):
        """How many of the migration's there are, all of them valid: else it would not have been verified."""
        return int(self.database.query("SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid"
                                       " WHERE relname LIKE 'idx%' AND indisvalid"))

    def statements(self):
        """What the page of metrics tells of them: how many names, how often they ran, and units of work that repeated one (N+1)."""
        page = self.program.request('GET', '/metrics')[2]
        named = NAMED.findall(page)
        return {'named': len({name for name, _ in named}), 'ran': sum(int(count) for _, count in named),
                'findings': int(sum(float(count) for count in FINDINGS.findall(page)))}

    def slow(self):
        """Lines of the service's slow log since it was last asked that are of statements that somebody waits for."""
        time.sleep(1.2)     # it is written when the service is idle, or each second
        lines = self.program.messages()
        lines, self.told = lines[self.told:], len(lines)
        return [line for line in lines if SLOW.match(line) and ' list' not in line]


def write(path, lines):
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(lines)


def summed(run):
    """One row of all endpoints. Quantiles are of the worst endpoint."""
    kinds = run['endpoints'].values()
    count = sum(kind['count'] for kind in kinds)
    return {'count': count, 'mean': sum(kind['mean'] * kind['count'] for kind in kinds) / max(1, count),
            'p95': max(kind['p95'] for kind in kinds), 'p99': max(kind['p99'] for kind in kinds),
            'max': max(kind['max'] for kind in kinds),
            'failed': 100 * sum(kind['errors'] for kind in kinds) / max(1, count), 'left_out': run['unfinished'],
            'achieved': run['achieved'], 'endpoints': run['endpoints']}


def ours(world, profile, requests, **options):
    words = [word for key, value in options.items() for word in (f'--{key}', str(value))]
    done = subprocess.run([path_of(world.build, 'load'), '--port', str(world.program.port), '--profile', profile, '--file', requests,
                           '--grace', '10', *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failure(f'recommendation-load ended with status {done.returncode}')
    return summed(json.loads(done.stdout))


def run_stages(world, folder, tokens, options):
    if k6.found():
        return k6.run(world, folder, tokens, SCALE=options.stages / 120)
    path = os.path.join(folder, 'stages')
    traffic.write_stages(path, world.service, tokens)
    return ours(world, 'stages', path, seconds=options.stages)


def run_open(world, folder, tokens, rate, seconds, seed):  # pylint: disable=too-many-arguments
    if k6.found():
        return k6.run(world, folder, tokens, MODEL='open', RATE=rate, SECONDS=seconds)
    path = os.path.join(folder, 'open')
    traffic.write_open(path, world.service, world.sizes, tokens, int(rate * seconds), seed)
    return ours(world, 'file', path, rate=rate, seconds=seconds)


def hit_rate(before, after):
    hits, misses = (after[name] - before[name] for name in ('cache_hits_total', 'cache_misses_total'))
    return 100 * hits / max(1, hits + misses)


def warm(world, folder, tokens, options):
    """As the cache is after a time of this load: each reading that it would have asked for, once. Not by k6: it is not measured, but for
    its slow statements."""
    path = os.path.join(folder, 'warm')
    count = traffic.write_warm(path, world.service, world.sizes, tokens, int(options.rate * options.warm), 1)
    say(f'{world.service.name}: {count:,} readings to warm, as after {options.warm:g} s')
    with open(path, encoding='utf-8') as file:
        readings = file.readlines()
    cold = COLD * options.rate
    for some, rate in ((readings[:cold], options.rate), (readings[cold:], WARMER * options.rate)):
        if some:
            write(path, some)
            ours(world, 'file', path, rate=rate, seconds=len(some) / rate)


def measure_stages(options, world):
    with tempfile.TemporaryDirectory() as folder:
        return run_stages(world, folder, world.tokens(), options)


def measure_open(options, world):
    """All of a service but its stages; slow statements are counted from its start."""
    name, slow = world.service.name, world.slow()
    with tempfile.TemporaryDirectory() as folder:
        tokens = world.tokens()
        warm(world, folder, tokens, options)
        slow += world.slow()    # that is when most statements run cold
        before = world.program.json('GET', '/metrics/cache')
        say(f'{name}: open model, {options.rate} requests/s for {options.seconds:g} s')
        with Sampler(world.database, name, world.database.url) as sampler:
            opened = run_open(world, folder, tokens, options.rate, options.seconds, 2)
        after = world.program.json('GET', '/metrics/cache')
        slow += world.slow()
    return {'sizes': world.sizes, 'open': opened, 'hit_rate': hit_rate(before, after), 'connections': sampler.summary(), 'slow': slow,
            'found': world.found, 'indexes': world.indexes(), 'statements': world.statements()}


def measure(options, services):
    """The stages of all services at once, fifty callers each who mostly sleep; then one service after the other."""
    with contextlib.ExitStack() as stack:
        worlds = []
        for service in services:
            sizes = sizes_of(service, options.scale)
            say(f'{service.name}: ' + ', '.join(f'{value:,} {name}' for name, value in sizes.items()))
            worlds.append(stack.enter_context(World(options.build, service, sizes)))
        say(f'the stages of the document, {options.stages:g} s, of all of them at once')
        with concurrent.futures.ThreadPoolExecutor(len(worlds)) as pool:
            stages = list(pool.map(lambda world: measure_stages(options, world), worlds))
        return {world.service.name: {'stages': run, **measure_open(options, world)} for world, run in zip(worlds, stages)}


def verdicts(result):
    rows = [('stages', name, f'< {bound}', result['stages'][key], result['stages'][key] < bound) for name, key, bound in DOCUMENT]
    rows += [('open', name, f'< {bound}', result['open'][key], result['open'][key] < bound) for name, key, bound in STRICT]
    use = 100 * result['connections']['busy_average'] / POOL_MAX
    return rows + [('open', 'hit rate, %', '> 80', result['hit_rate'], result['hit_rate'] > 80),
                   ('open', 'use of the pool, %', '< 50', use, use < 50),
                   ('open', 'statements over 100 ms', '< 1', len(result['slow']), not result['slow'])]


def show(name, result, strict):
    good = True
    for model, what, bound, value, met in verdicts(result):
        print(f"{'PASS' if met else 'FAIL'}  {name:18} {model:7} {what:24} {bound:>7}  {value:10.2f}")
        good &= met or not strict
    return good


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('services', nargs='*', help=', '.join(traffic.SERVICES))
    parser.add_argument('--build', required=True)
    parser.add_argument('--quick', action='store_true', help='a tenth of the data, seconds in place of minutes')
    parser.add_argument('--smoke', action='store_true', help='whether it works: the figures mean nothing and fail nothing')
    parser.add_argument('--rate', type=int, default=500, help='of the open model')
    parser.add_argument('--seconds', type=float, help='of the open model')
    parser.add_argument('--scale', type=float, help='of the data')
    parser.add_argument('--k6', action='store_true', help='by k6, which Go builds where PATH has none')
    parser.add_argument('--json')
    options = parser.parse_args()
    small = options.quick or options.smoke
    options.stages = 2 if options.smoke else 12 if options.quick else 120
    options.warm = 1 if options.smoke else 180 if options.quick else 3600
    options.seconds = options.seconds or (1 if options.smoke else 5 if options.quick else 60)
    options.scale = options.scale or (0.01 if options.smoke else 0.1 if small else 1)
    options.rate = 50 if options.smoke else options.rate
    for name in options.services:
        if name not in traffic.SERVICES:
            parser.error(f'there is no service {name}')
    return options


def main():
    options, good = parse(), True
    if options.k6:
        k6.fetch()
    results = measure(options, [traffic.SERVICES[name] for name in options.services or traffic.SERVICES])
    for name, result in results.items():
        good &= show(name, result, not options.smoke)
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump({'generator': 'k6' if k6.found() else 'recommendation-load', 'rate': options.rate,
                       'services': results}, file, indent=1)
    return 0 if good else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f'load: {failure}')
