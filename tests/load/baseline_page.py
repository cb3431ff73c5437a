# SPDX-License-Identifier: MIT
"""docs/baseline.md and its chart, from what baseline.py measured."""

# Of baseline.json, counted up when what page() reads of it changes: figures of another run cannot be shown then.
FORMAT = 2

HEAD = """# Performance baseline

Written by `./run baseline` on {date} at {commit}; all numbers are in [baseline.json](baseline.json).{smoke}

{cpu}, {cores} cores, {memory_gib} GiB; {system}, Linux {kernel}; PostgreSQL {postgresql}{unsafe}, Redis {redis}, libpq {libpq}. Client,
servers and load share this machine. {users:,} users, {contents:,} contents, {interactions:,} interactions. {rounds} rounds,
{minutes:.0f} minutes in all: a figure is the median, [smallest – largest] behind it. "Document" is what [the requirements](../examples/recommendation/README.md) state of the system as
it was found, "naive" that form rebuilt in C and measured here, "library" the service on libsugarperf. Times count from when a request was
due.

![p95 by endpoint](baseline.svg)

"Times below" is the target divided by the worst round (of a hit rate, its misses).

![how far below the targets](baseline-targets.svg)
"""


def number(value):
    if value is None:
        return ''
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f'{value:,}'
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
    """The auth row of the document's first table."""
    service = load['services'].get('auth', {})
    auth, found = service.get('open', {}).get('endpoints', {}).get('GET /auth/user/{id}/permissions'), service.get('found')
    if not auth or not found:
        return []
    before = {'p50': 80, 'p95': 200, 'p99': 350, 'max': 500}
    rows = [{'name': f'GET /auth/user/{{id}}/permissions {key}', 'document': was, 'naive': found[key], 'library': auth[key], 'target': None}
            for key, was in before.items()]
    return rows + [{'name': 'answers', 'document': None, 'naive': f"{found['count']:,}", 'library': f"{auth['count']:,}", 'target': None}]


def below(target, measured, better='less'):
    """How many times better than the target; of a hit rate its misses."""
    if better == 'more':
        target, measured = 100 - target, 100 - measured
    if not measured:
        return 'none'
    return f'{target / measured:,.1f} ×' if target / measured < 10 else f'{target / measured:,.0f} ×'


def less(what, target, measured):
    """(met, what, target, measured, how far below); `measured` a number or a spread, whose worst round counts."""
    worst = measured['high'] if isinstance(measured, dict) else measured
    return worst < target, what, f'< {target:g}', cell(measured), below(target, worst)


def none(what, count):
    return count == 0, what, '0', number(int(count)), 'none' if count == 0 else ''


def hits(what, measured):
    worst = measured['low'] if isinstance(measured, dict) else measured
    return worst > 80, what, '> 80', cell(measured), below(80, worst, 'more')


def demo_rows(result):
    rows = []
    for row in result['criteria']:
        name, measured = f"recommendation: {row['name']}", row['measured']
        rows.append(hits(name, measured) if 'hit' in name else none(name, measured['high']) if 'statements' in name
                    else less(name, float(row['target'].split()[-1]), measured))
    return rows


def query_rows(result):
    wanted = {'getRecommendations (cold)': 50, 'getRecommendations (cached)': 5, 'getContentWithTags (cold)': 15,
              'updateEngagementScores, 10,000 rows': 500}
    rows = [less(f"{row['name']}, ms", wanted[row['name']], row['library']) for row in result['queries'] if row['name'] in wanted]
    scores = result['scores']
    return rows + [less(f"updateEngagementScores, 10,000 of {scores['rows']:,} rows, ms", 500, scores['each']),
                   less('updateEngagementScores, its slowest statement, ms', 100, scores['slowest'])]


def load_rows(name, service):
    opened, busy = service['open'], service['connections']
    return [less(f'{name} under load: mean, ms', 100, opened['mean']), less(f'{name} under load: p95, ms', 300, opened['p95']),
            less(f'{name} under load: p99, ms', 500, opened['p99']), hits(f'{name} under load: hit rate, %', service['hit_rate']),
            less(f'{name} under load: failed, %', 0.1, opened['failed']),
            less(f"{name} under load: use of the pool, % (at its peak {100 * busy['busy_peak'] / 20:.0f})", 50,
                 100 * busy['busy_average'] / 20),
            none(f'{name} under load: statements over 100 ms', len(service['slow'])),
            less(f"{name}, the document's stages: p95, ms", 500, service['stages']['p95']),
            less(f"{name}, the document's stages: p99, ms", 1000, service['stages']['p99']),
            less(f"{name}, the document's stages: failed, %", 5, service['stages']['failed'])]


def verdict_rows(result):
    """(met, what, target, measured, how far below)"""
    rows = demo_rows(result) + query_rows(result)
    rows.append(none("requests that repeat a statement (N+1), as the four services' profilers told", result['findings']))
    rows.append(none("answers that differ from plain SQL's", result['differences']))
    for name, service in result['load']['services'].items():
        rows += load_rows(name, service)
    rows.append(none("issues of the document's list that are open", sum(not row[0] for row in issues(result))))
    return rows


# Why a criterion is met by less than ten times, by a word of its name.
SHORT = (
    ('payment under load: hit rate', 'one of twenty requests is a payment and drops its user\'s lists, most often those of users who are asked '
                                     'for most; three lists a user, and what was never asked for before is a miss'),
    ('hit rate', 'an id that was not asked for before is a miss, and by Zipf\'s law there are always some; what a write changed is another. '
                 'Ten times fewer misses than the target allows would be 98 % hits'),
    ('connections open', '`pool.min`, 5, are kept open so that a burst finds them; none of them is busy most of the time. A smaller '
                         '`pool.min` would meet it by more and serve worse'),
    ('updateEngagementScores', 'each row is written anew, with its entry in the index on scores: that is PostgreSQL\'s own time, of which the '
                               'library adds a trip for 1,000 rows. A longer statement would have fewer trips and hold its locks for longer'),
    ('use of the pool', 'statements that a miss needs; a connection is held for no longer than one runs'),
    ('p9', 'the tail is that of a machine that runs the load, the services and both servers on the same cores'),
    ('', 'it is bound by the server that is asked, not by how it is asked'))


def factor(row):
    """How far below its target; None: there is no saying."""
    return float(row[4].removesuffix(' ×').replace(',', '')) if row[4].endswith('×') else None


def short(result):
    """Of what is met by less than ten times: which, and why."""
    reasons = {}
    for row in verdict_rows(result):
        if row[0] and factor(row) is not None and factor(row) < 10:
            reasons.setdefault(next(why for word, why in SHORT if word in row[1]), []).append(f'{row[1]} ({row[4]})')
    if not reasons:
        return '\nAll that has a figure is met by ten times and more.\n'
    return '\nMet, but by less than ten times:\n\n' + ''.join(f"- {', '.join(names)}: {why}.\n" for why, names in reasons.items())


def by_name(rows, name, side):
    text = next((cell(row[side]) for row in rows if row['name'] == name), '?')
    return text.removesuffix(' *')


def issues(result):
    """The document's list: (closed, issue, what was done, as it was, what is measured now)."""
    query, services = result['queries'], result['load']['services'].values()
    cold, scores = 'getRecommendations (cold)', 'updateEngagementScores, 10,000 rows'
    was, now = (f'{by_name(query, cold, side)} ms' for side in ('naive', 'library'))
    faster = next((row['library']['high'] < row['naive']['low'] for row in query if row['name'] == cold), False)
    saved = next((row['library']['high'] < 500 for row in query if row['name'] == scores), False)
    migrations, scripts = ('[migrations](../examples/migrations/README.md)', '[scripts](../examples/migrations/README.md)')
    indexed = all(service['indexes'] for service in services)
    plans = f"{sum(service['indexes'] for service in services)} indexes, all valid; [plans](queries.md)"
    hit = min(service['hit_rate'] for service in services)
    busy = max(100 * service['connections']['busy_average'] / 20 for service in services)
    slow, named, ran = (sum(counts) for counts in zip(*(
        (len(service['slow']), service['statements']['named'], service['statements']['ran']) for service in services)))
    return [
        (faster and result['findings'] == 0, 'N+1 in `getRecommendations()`', 'one statement, or none', was,
         f"{now}; {int(result['findings'])} findings of the profiler"),
        (indexed, 'missing indexes', migrations, 'sequential scans', plans),
        (faster, 'eager loading of all tags', 'tags of the contents that were picked', was, now),
        (saved, '`updateContentEngagementScores()` saves one by one', '1,000 rows a statement',
         f"{by_name(query, scores, 'naive')} ms (extrapolated)", f"{by_name(query, scores, 'library')} ms"),
        (hit > 80, 'generic cache keys, no TTL', 'templates with their own TTL, rules, patterns', '~25 % hits (document)',
         f'{number(hit)} % hits, the worst of the four'),
        (busy < 50, 'default connection pool', '20 at most, lanes, time-outs',
         by_name(result['connections'], 'open, average', 'naive') + ' open',
         f"{by_name(result['connections'], 'open, average', 'library')} open; {number(busy)} % busy, the most of the four"),
        (slow == 0 and ran > 0, 'no slow query log', f"the library's, and {scripts} for the server's", 'none',
         f"{slow} of {ran:,} statements over 100 ms, by the four services' slow logs during the load tests (without the lists of what to warm)"),
        (named > 0, 'no query monitoring', '`/metrics`, [rules and alerts](../examples/ops/prometheus/rules.yml), a dashboard', 'none',
         f'{named} statements by name on the pages of metrics'),
        (indexed, 'no composite indexes', migrations, 'sequential scans', plans),
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
    if result.get('format') != FORMAT:
        raise SystemExit(f"baseline: its figures have format {result.get('format', 1)}, this page wants {FORMAT}: ./run baseline measures anew")
    rows = verdict_rows(result)
    good = all(row[0] for row in rows)
    rate = cell(result['rates']['bearable'])
    smoke = ' **A smoke run: the figures mean nothing.**' if result['smoke'] else ' A quick run.' if result['quick'] else ''
    text = HEAD.format(**result['machine'], **result['sizes'], rounds=result['rounds'], minutes=result['seconds'] / 60, smoke=smoke,
                       unsafe=f" ({result['unsafe']})" if result['unsafe'] else '')
    text += '\n## Success criteria\n\n' + table(['', 'criterion', 'target', 'measured', 'times below'],
                                               [['PASS' if row[0] else 'FAIL', *row[1:]] for row in rows])
    text += short(result)
    text += (f'\n## API response times, ms\n\nAt {rate} requests/s, which the naive form can bear'
             '. `POST /content`, of which few are among them, was asked alone, 50 times a second. Of auth "library" is the load test below, '
             '"naive" the N+1 statements of one caller without index or cache, in which no HTTP counts.\n\n' + four(result['endpoints'] + permissions(result['load'])))
    text += (f"\nAt {result['rates']['heavy']} requests/s, where the naive form is saturated.\n\n" + four(result['endpoints_heavy']))
    text += '\n## Database query times\n\nOne caller, median, ms.\n\n' + four(result['queries'])
    text += f"\n\\* Extrapolated from {result['scores']['saves']:,} saves, one a content.\n\nThe plans: [queries.md](queries.md).\n"
    text += '\n## Cache\n\n' + four(result['cache']) + '\n## Connections\n\n' + four(result['connections'])
    text += '\n## The issues that the document lists\n\n' + table(
        ['', 'issue', 'fix', 'before', 'after'], [['PASS' if row[0] else 'FAIL', *row[1:]] for row in issues(result)])
    load = result['load']
    text += (f"\n## Load tests\n\nGenerator: {load['generator']}. Thresholds: [tests/load](../tests/load/README.md). The open model asks "
             f"{load['rate']} times a second, whatever the answers take.\n\n" + load_tables(load) + '\n## Analysis\n\n' + analysis(result) + '\n')
    return text, good
