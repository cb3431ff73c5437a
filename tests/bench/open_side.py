# SPDX-License-Identifier: MIT
"""The recommendation service while its breaker is open: how long an open load of 1,000 requests a second waits for answers.

PostgreSQL itself is not stopped, other sides want it: an open breaker keeps every call from it, so it does not matter (that it does
is what tests/fault/test_guard_faults.py is for). With --floor the breaker is closed and every answer is one from the cache.
"""
import argparse
import json
import os
import resource
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'examples', 'recommendation'))

from measure.program import Program, path_of  # noqa: E402  # pylint: disable=wrong-import-position

RATE = 1000
LISTS = 'GET /recommendations/{userId}'


def loaded(options, service, seconds):
    """The figures of the lists: each has a fallback."""
    command = [path_of(options.build, 'load'), '--port', str(service.port), '--profile', 'single' if options.floor else 'mix',
               '--rate', str(RATE), '--seconds', str(seconds), '--users', str(options.users), '--contents',
               str(options.contents), '--tags', str(options.tags)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said)['endpoints'][LISTS]


def measured(options, service):
    loaded(options, service, max(options.warmup, 0.5))
    if not options.floor:
        service.request('POST', '/admin/breaker/open')
    print('start', flush=True)
    lists = loaded(options, service, options.seconds)
    print('stop', flush=True)
    if lists['errors'] or (lists['fallback'] == 0) != options.floor or lists['miss']:
        raise SystemExit(f'answers are not what they should be: {lists}')
    return lists


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, kind in (('build', str), ('url', str), ('redis', str), ('users', int), ('contents', int), ('tags', int)):
        parser.add_argument(f'--{name}', required=True, type=kind)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--warmup', type=float, default=0)
    parser.add_argument('--floor', action='store_true')
    options = parser.parse_args()
    with Program(options.build, 'service', {'DATABASE_URL': options.url, 'REDIS_URL': options.redis}) as service:
        lists = measured(options, service)
        service.stop()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({'ops': lists['count'], 'seconds': options.seconds, 'p50_us': lists['p50'] * 1e3,
                      'p99_us': lists['p99'] * 1e3, 'user_cpu': used.ru_utime, 'sys_cpu': used.ru_stime}))


if __name__ == '__main__':
    main()
