# SPDX-License-Identifier: MIT
"""docs/configuration.md is what the library's own table says: test_configuration.py --write makes it anew."""
import ctypes
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, 'docs', 'configuration.md')
HEAD = """# Configuration

Set a name with `sp_config_set(config, "pool.max", "20", &error)`, in the settings of the Node and Python clients, or in the
environment: `SUGARPERF_` and the name in capitals with `_` for `.` (`SUGARPERF_POOL_MAX`); `sp_config_env()` reads it. What
was set in the program stands over the environment. Durations are written `250ms`, `30s`, `5m`, `12h`, `7d`, sizes `64KB`,
`16MB`. Where "per name" is marked, `pool.<name>.max` configures one named pool or breaker and falls back to `pool.max`.

Also read from the environment: `DATABASE_URL`, `REDIS_URL`, `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_USER`,
`DATABASE_PASSWORD`, `DATABASE_NAME`, `DB_POOL_SIZE`.

This page is generated from the library's table.

| name | type | default | range | per name | what it is |
| --- | --- | --- | --- | --- | --- |
"""


def rows():
    library = ctypes.CDLL(os.environ['SP_LIBRARY'])
    columns = []
    for column in ('name', 'type', 'default', 'range', 'help'):
        function = getattr(library, f'sp_config_row_{column}')
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_size_t]
        columns.append(function)
    index = 0
    while columns[0](index) is not None:
        yield [function(index).decode() for function in columns]
        index += 1


def page():
    lines = []
    for name, kind, default, allowed, text in rows():
        per_name = 'yes' if name.split('.')[0] in ('pool', 'breaker') else ''
        shown = f'`{default}`' if default else ''
        lines.append(f'| `{name}` | {kind} | {shown} | {allowed} | {per_name} | {text} |')
    return HEAD + '\n'.join(lines) + '\n'


class Configuration(unittest.TestCase):
    def test_the_page_is_the_table(self):
        with open(PAGE, encoding='utf-8') as file:
            self.assertEqual(file.read(), page(), 'run: SP_LIBRARY=… python3 tests/abi/test_configuration.py --write')


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        with open(PAGE, 'w', encoding='utf-8') as file:
            file.write(page())
    else:
        unittest.main()
