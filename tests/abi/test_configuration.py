# SPDX-License-Identifier: MIT
"""docs/configuration.md is what the library's own table says: test_configuration.py --write makes it anew.

SP_CONFIGURATION names the program that prints the table.
"""
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, 'docs', 'configuration.md')
HEAD = """# Configuration

Set a name with `sp_config_set(config, "pool.max", "20", &error)`, in the settings of the Node and Python clients, or in the
environment: `SUGARPERF_` and the name in capitals with `_` for `.` (`SUGARPERF_POOL_MAX`); `sp_config_env()` reads it. What
was set in the program stands over the environment. Durations are written `250ms`, `30s`, `5m`, `12h`, `7d`, sizes `64KB`,
`16MB`. Where "per name" is marked, `pool.<name>.max` configures one named pool, breaker, policy or statement and falls back to `pool.max`.

In the environment `SUGARPERF_POOL_ORDERS_MAX` is `pool.orders.max`: the noun, the name, and the longest setting that the rest
ends with (`SUGARPERF_POLICY_GEO_BACKOFF_MAX` is `policy.geo.backoff_max`). The name is taken in lower case; one with capitals
or `-` in it is set in the program. The breaker of a named pool is the exception: `SUGARPERF_BREAKER_POOL_ORDERS_FAILURES` is
`breaker.pool-orders.failures`. A variable that begins with `SUGARPERF_` and is no setting is an error that names it, but for
`SUGARPERF_BUILD` and `SUGARPERF_PACKAGE`, by which a build is found. An empty variable sets nothing.

Also read from the environment: `DATABASE_URL`, `REDIS_URL`, `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_USER`,
`DATABASE_PASSWORD`, `DATABASE_NAME`, `DB_POOL_SIZE`.

This page is generated from the library's table.

| name | type | default | range | per name | what it is |
| --- | --- | --- | --- | --- | --- |
"""


def rows():
    done = subprocess.run([os.environ['SP_CONFIGURATION']], capture_output=True, text=True, check=True)
    return [line.split('\t') for line in done.stdout.splitlines()]


def page():
    lines = []
    for name, kind, default, allowed, text in rows():
        per_name = 'yes' if name.split('.')[0] in ('pool', 'breaker', 'policy') or name == 'profiler.slow' else ''
        shown = f'`{default}`' if default else ''
        lines.append(f'| `{name}` | {kind} | {shown} | {allowed} | {per_name} | {text} |')
    return HEAD + '\n'.join(lines) + '\n'


class Configuration(unittest.TestCase):
    def test_the_page_is_the_table(self):
        with open(PAGE, encoding='utf-8') as file:
            self.assertEqual(file.read(), page(), 'run: SP_CONFIGURATION=build/tests/abi/configuration python3 tests/abi/test_configuration.py --write')


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        with open(PAGE, 'w', encoding='utf-8') as file:
            file.write(page())
    else:
        unittest.main()
