# SPDX-License-Identifier: MIT
"""docs/baseline.md and its chart, from what baseline.py measured."""

HEAD = """# Performance baseline

Written by `./run baseline` on {date} at {commit}; all numbers are in [baseline.json](baseline.json).{smoke}

{cpu}, {cores} cores, {memory_gib} GiB; {system}, Linux {kernel}; PostgreSQL {postgresql}{unsafe}, Redis {redis}, libpq {libpq}. Client,
servers and load share this machine. {users:,} users, {contents:,} contents, {interactions:,} interactions. {rounds} rounds: a figure is
the median, [smallest – largest] behind it. "Document" is what [the requirements](../examples/recommendation/README.md) state of the system as
it was found, "naive" that form rebuilt in C and measured here, "library" the service on libsugarperf. Times count from when a request was
due.

![p95 by endpoint](baseline.svg)
"""


def number(value):
    if value is None:
        return ''
    if isinstance(value, str):
        return value
    if value and abs(value) < 10:
        return f'{value:.2f}'
    return f'{value:,.1f}' if abs(value) < 100 else f'{value:,.0f}'


def cell(value):
    if not isinstance(value, dict):
        return number(value)
    text = number(value['median'])
    low, high = number(value['low']), number(value['high'])
    return text if low == high else f'{text} [{low} – {high}]'


def table(heads, rows):
    lines = ['| ' + ' | '.join(heads) + ' |', '|' + ' --- |' * len(heads)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows]) + '\n'


def four(rows):
    return table(['', 'document', 'naive', 'library', 'target'],
                 [[row['name'], number(row['document']), cell(row['naive']), cell(row['library']), number(row['target'])] for row in rows])


def permissions(load):
    """The auth row of the document's first table; nobody wrote a naive form of it."""
    auth = load['services'].get('auth', {}).get('open', {}).get('endpoints', {}).get('GET /auth/user/{id}/permissions')
    if not auth:
        return []
    before = {'p50': 80, 'p95': 200, 'p99': 350, 'max': 500}
    return [{'name': f'GET /auth/user/{{id}}/permissions {key}', 'document': was, 'naive': None, 'library': auth[key], 'target': None}
            for key, was in before.items()]


def verdict_rows(result):
    """(met, what, target, measured)"""
    rows = [(row['met'], f"recommendation: {row['name']}", row['target'], cell(row['measured'])) for row in result['criteria']]
    wanted = {'getRecommendations (cold)': 50, 'getRecommendations (cached)': 5, 'getContentWithTags (cold)': 15,
              'updateEngagementScores, 10,000 rows': 500}
    for row in result['queries']:
        if row['name'] in wanted:
            rows.append((row['library']['high'] < wanted[row['name']], f"{row['name']}, ms", f"< {wanted[row['name']]}",
                         cell(row['library'])))
    rows.append((result['findings'] == 0, 'requests that repeat a statement (N+1), as the profiler told', '0', str(result['findings'])))
    rows.append((result['differences'] == 0, "answers that differ from plain SQL's", '0', str(result['differences'])))
    for name, service in result['load']['services'].items():
        opened = service['open']
        use = 100 * service['connections']['busy_average'] / 20
        for what, bound, value, met in (('mean, ms', '< 100', opened['mean'], opened['mean'] < 100),
                                        ('p95, ms', '< 300', opened['p95'], opened['p95'] < 300),
                                        ('p99, ms', '< 500', opened['p99'], opened['p99'] < 500),
                                        ('hit rate, %', '> 80', service['hit_rate'], service['hit_rate'] > 80),
                                        ('failed, %', '< 0.1', opened['failed'], opened['failed'] < 0.1),
                                        ('use of the pool, %', '< 50', use, use < 50),
                                        ('statements over 100 ms', '0', len(service['slow']), not service['slow'])):
            rows.append((met, f'{name} under load: {what}', bound, number(value)))
    return rows


def by_name(rows, name, side):
    return next((cell(row[side]) for row in rows if row['name'] == name), '?')


def issues(result):
    """The document's list: as it was, what was done, and what is measured now."""
    query = result['queries']
    lists = ('getRecommendations (cold)', 'naive'), ('getRecommendations (cold)', 'library')
    scores = 'updateEngagementScores, 10,000 rows'
    opened = result['connections']
    return [
        ['N+1 in `getRecommendations()`', 'one statement, or none', *(f'{by_name(query, *of)} ms' for of in lists)],
        ['missing indexes', '[migrations](../examples/migrations/README.md)', 'sequential scans', '[plans](queries.md)'],
        ['eager loading of all tags', 'tags of the contents that were picked', f"{by_name(query, *lists[0])} ms",
         f"{by_name(query, *lists[1])} ms"],
        ['`updateContentEngagementScores()` saves one by one', '1,000 rows a statement', f"{by_name(query, scores, 'naive')} ms",
         f"{by_name(query, scores, 'library')} ms"],
        ['generic cache keys, no TTL', 'templates with their own TTL, rules, patterns', '~25 % hits (document)',
         next((cell(row['library']) + ' %' for row in result['cache'] if row['name'].startswith('hit rate under')), '?')],
        ['default connection pool', '20 at most, lanes, time-outs', by_name(opened, 'open, average', 'naive') + ' open',
         by_name(opened, 'open, average', 'library') + ' open'],
        ['no slow query log', 'the library\'s, and [scripts](../examples/migrations/README.md) for the server\'s', 'none',
         f"{sum(len(s['slow']) for s in result['load']['services'].values())} statements over 100 ms under load"],
        ['no query monitoring', '`/metrics`, [rules and alerts](../examples/ops/prometheus/rules.yml), a dashboard', 'none', 'each statement by name'],
        ['no composite indexes', '[migrations](../examples/migrations/README.md)', 'sequential scans', '[plans](queries.md)'],
    ]


def load_tables(load):
    parts = []
    for name, service in load['services'].items():
        rows = [[endpoint, f"{kind['count']:,}", *(number(kind[key]) for key in ('mean', 'p50', 'p95', 'p99', 'max')), f"{kind['errors']:,}"]
                for endpoint, kind in service['open']['endpoints'].items()]
        stages, opened = service['stages'], service['open']
        parts.append(f"### {name}\n\n" + ', '.join(f'{value:,} {what}' for what, value in service['sizes'].items()) + '.\n\n'
                     + table(['', 'answered', 'a second', 'mean', 'p95', 'p99', 'max', 'failed, %', 'left out'],
                             [[what, f"{run['count']:,}", *(number(run[key]) for key in ('achieved', 'mean', 'p95', 'p99', 'max', 'failed')),
                               number(run['left_out'])] for what, run in (("the document's stages", stages), ('open model', opened))])
                     + '\n' + (table(['open model, ms', 'answered', 'mean', 'p50', 'p95', 'p99', 'max', 'failed'], rows) if rows else ''))
    return '\n'.join(parts)


def analysis(result):
    services = result['load']['services'].items()
    slowest = max(services, key=lambda item: item[1]['open']['p99'])
    busiest = max(services, key=lambda item: item[1]['connections']['busy_average'])
    missed = [row for row in verdict_rows(result) if not row[0]]
    return (f"The worst p99 of an endpoint is {slowest[0]}'s, {number(slowest[1]['open']['p99'])} ms; the most connections busy on average are "
            f"{busiest[0]}'s, {number(busiest[1]['connections']['busy_average'])} of 20. "
            + ('Every criterion is met.' if not missed else 'Not met: ' + '; '.join(f'{row[1]} ({row[3]}, wanted {row[2]})' for row in missed) + '.')
            + ' What misses is loaded once, whoever asks; what a hit costs is the HTTP server around it. The times at the tail are those of a '
              'machine that runs the load, the services and both servers on the same cores.')


def page(result):
    rows = verdict_rows(result)
    good = all(row[0] for row in rows)
    rate = cell(result['rates']['bearable'])
    smoke = ' **A smoke run: the figures mean nothing.**' if result['smoke'] else ' A quick run.' if result['quick'] else ''
    text = HEAD.format(**result['machine'], **result['sizes'], rounds=result['rounds'], smoke=smoke,
                       unsafe=f" ({result['unsafe']})" if result['unsafe'] else '')
    text += '\n## Success criteria\n\n' + table(['', 'criterion', 'target', 'measured'],
                                               [['PASS' if met else 'FAIL', what, target, value] for met, what, target, value in rows])
    text += (f'\n## API response times, ms\n\nAt {rate} requests/s, which the naive form can bear'
             ' (auth: the load test below; it has no naive form).\n\n' + four(result['endpoints'] + permissions(result['load'])))
    text += (f"\nAt {result['rates']['heavy']} requests/s, where the naive form is saturated.\n\n" + four(result['endpoints_heavy']))
    text += '\n## Database query times\n\nOne caller, median, ms.\n\n' + four(result['queries']) + '\nThe plans: [queries.md](queries.md).\n'
    text += '\n## Cache\n\n' + four(result['cache']) + '\n## Connections\n\n' + four(result['connections'])
    text += '\n## The issues that the document lists\n\n' + table(['issue', 'fix', 'before', 'after'], issues(result))
    load = result['load']
    text += (f"\n## Load tests\n\nGenerator: {load['generator']}. Thresholds: [tests/load](../tests/load/README.md). The open model asks "
             f"{load['rate']} times a second, whatever the answers take.\n\n" + load_tables(load) + '\n## Analysis\n\n' + analysis(result) + '\n')
    return text, good


def bar(x, y, width, colour):
    return f'<rect x="{x}" y="{y}" width="{max(1, width):.1f}" height="14" fill="{colour}"/>'


def svg(result):
    """p95 of each endpoint, on a logarithmic scale: document, naive, library."""
    import math     # pylint: disable=import-outside-toplevel
    rows = [row for row in result['endpoints'] if row['name'].endswith(' p95')]
    colours = {'document': '#9aa0a6', 'naive': '#d9822b', 'library': '#2b7de9'}
    parts, y = [], 30
    for row in rows:
        parts.append(f'<text x="10" y="{y + 12}" font-weight="bold">{row["name"].removesuffix(" p95")}</text>')
        y += 20
        for side, colour in colours.items():
            value = row[side]['median'] if isinstance(row[side], dict) else row[side]
            if not value:
                continue
            width = 60 * (math.log10(max(value, 0.01)) + 2)
            parts.append(bar(120, y, width, colour))
            parts.append(f'<text x="10" y="{y + 12}">{side}</text><text x="{126 + width:.0f}" y="{y + 12}">{number(value)} ms</text>')
            y += 18
        y += 8
    head = '<text x="10" y="18">p95, milliseconds, logarithmic</text>'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="560" height="{y + 10}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="white"/>{head}{"".join(parts)}</svg>\n')
