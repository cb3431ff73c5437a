# SPDX-License-Identifier: MIT
"""The tables: the source document's figure, the naive form as measured, the library as measured."""

QUANTILES = ('p50', 'p95', 'p99', 'max')
# Milliseconds, "before optimization", as BACK-006 states them.
DOCUMENT = {
    'GET /recommendations/{userId}': (245, 580, 850, 1200),
    'GET /content/{id}': (120, 280, 420, 650),
    'POST /content': (150, 350, 500, 800),
    'POST /interactions': (None, None, None, None),
}


def figure(value):
    if value is None:
        return '-'
    if isinstance(value, str):
        return value
    if value and abs(value) < 10:
        return f'{value:.2f}'
    return f'{value:,.1f}' if abs(value) < 100 else f'{value:,.0f}'


def table(title, heads, rows):
    """Text with aligned columns, the first one to the left."""
    cells = [[row[0], *(figure(value) for value in row[1:])] for row in rows]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    lines = ['', title, '']
    for line in [heads, ['-' * width for width in widths], *cells]:
        lines.append('  ' + '  '.join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    return '\n'.join(lines)


def count_of(run, endpoint):
    return f"{run['endpoints'].get(endpoint, {}).get('count', 0):,}"


def endpoint_rows(naive, library):
    rows = []
    for endpoint, document in DOCUMENT.items():
        for quantile, figure_then in zip(QUANTILES, document):
            sides = [run['endpoints'].get(endpoint, {}).get(quantile) for run in (naive, library)]
            rows.append((f'{endpoint} {quantile}', figure_then, *sides))
        rows.append(('  answers', None, *(count_of(run, endpoint) for run in (naive, library))))
    return rows


def bearable(side):
    """With the new contents, which were asked for alone."""
    return {'endpoints': {**side['bearable']['endpoints'], **side['posts']['endpoints']}}


def mean_of(run):
    kinds = run['endpoints'].values()
    count = sum(kind['count'] for kind in kinds)
    return sum(kind['mean'] * kind['count'] for kind in kinds) / count if count else 0


def errors_of(run):
    kinds = run['endpoints'].values()
    return sum(kind['errors'] for kind in kinds) / max(1, sum(kind['count'] for kind in kinds))


def worst(run, quantile):
    return max(kind[quantile] for kind in run['endpoints'].values())


def load_row(name, naive, library):
    return [(f'{name}: answered a second', None, naive['achieved'], library['achieved']),
            (f'{name}: failed or unanswered, %', None, errors_of(naive) * 100, errors_of(library) * 100),
            (f'{name}: mean, ms', None, mean_of(naive), mean_of(library)),
            (f'{name}: worst endpoint p95, ms', None, worst(naive, 'p95'), worst(library, 'p95')),
            (f'{name}: worst endpoint p99, ms', None, worst(naive, 'p99'), worst(library, 'p99'))]


HEADS = ['', 'document', 'naive', 'library']


def disk(unsafe):
    return f'\nPostgreSQL has {unsafe}: no write waits for the disk, on neither side.' if unsafe else ''


def tables(result):
    """All of them, as one text."""
    naive, library = result['naive'], result['library']
    parts = [
        "\n{users:,} users, {contents:,} contents, {interactions:,} interactions.".format(**result['sizes'])
        + " The load: 95 % reads, Zipf's law over {users:,} of the users and {contents:,} of the contents.".format(
            **result['loaded']) + disk(result['unsafe']),
        table(f"Endpoints at {result['rate']:.0f} requests/s, which the naive form can bear; ms (POST /content alone, at 50/s)", HEADS,
              endpoint_rows(bearable(naive), bearable(library))),
        table(f"Endpoints at {result['heavy_rate']:.0f} requests/s, where the naive form is saturated; ms\n"
              f"(what was still unanswered {result['grace']} s after the end counts with its time until then)", HEADS,
              endpoint_rows(naive['heavy'], library['heavy'])),
        table('The same loads as a whole', HEADS,
              [*load_row(f"{result['rate']:.0f}/s", naive['bearable'], library['bearable']),
               *load_row(f"{result['heavy_rate']:.0f}/s", naive['heavy'], library['heavy'])]),
        table(f"The document's load test: 50 virtual users, ten users, fifty contents, {result['document_seconds']:.0f} s",
              HEADS, [*load_row('document', naive['document'], library['document']),
                      ('document: its checks pass, %', None, naive['document']['checks'] * 100,
                       library['document']['checks'] * 100)]),
        table('Queries; one caller, median, ms', ['', 'document', 'naive', 'library', 'target'], query_rows(result)),
        table('Cache', ['', 'document', 'naive', 'library', 'target'], cache_rows(result)),
        table(f"Connections to PostgreSQL at {result['heavy_rate']:.0f} requests/s",
              ['', 'document', 'naive', 'library', 'target'], connection_rows(result)),
        table(f"The document's criteria, the library at {result['heavy_rate']:.0f} requests/s",
              ['', 'target', 'measured', ''], criteria(result)),
    ]
    return '\n'.join(parts)


def median(run, endpoint):
    return run['single']['endpoints'][endpoint]['p50']


def query_rows(result):
    naive, library = result['naive'], result['library']
    return [
        ('getRecommendations (cold)', 850, median(naive, 'first list'), median(library, 'first list'), '< 50'),
        ('getRecommendations (cached)', 5, median(naive, 'GET /recommendations/{userId}'),
         median(library, 'GET /recommendations/{userId}'), '< 5'),
        ('getContentWithTags (cold)', 45, median(naive, 'first content'), median(library, 'first content'), '< 15'),
        ('getContentWithTags (cached)', None, median(naive, 'GET /content/{id}'), median(library, 'GET /content/{id}'), None),
        ('updateEngagementScores, 10,000 rows', 12500, f"{figure(naive['scores_ms'])} *", library['scores']['milliseconds'],
         '< 500'),
        (f"updateEngagementScores, all {library['scores_all']['rows']:,} rows", None, None,
         library['scores_all']['milliseconds'], None),
        ('  its slowest statement', None, None, library['scores_all']['slowest'], None),
        (f"  * {naive['scores']['rows']:,} saves were measured, one a content; the figure is extrapolated", '', '', '', ''),
    ]


def sourced(run, *sources):
    kinds = run['endpoints'].values()
    return sum(kind[source] for kind in kinds for source in sources)


def cache_rows(result):
    library, cold = result['library'], result['library']['single']['endpoints']
    return [('hit rate under the heavy load, %', 25, 0, library['hit_rate'], '> 80'),
            ('hit rate since the start, warm-up included, %', None, 0, library['hit_rate_all'], None),
            ('a list from the cache, ms', 10, None, cold['GET /recommendations/{userId}']['p50'], None),
            ('a list not in the cache, ms', 320, None, cold['first list']['p50'], None),
            ('memory in the process, MB', 450, None, library['memory']['process'], None),
            ('memory in Redis, MB', None, None, library['memory']['redis'], None),
            ('stale answers', None, None, sourced(library['heavy'], 'stale'), None),
            ('answers of the fallback', None, None, sourced(library['heavy'], 'fallback'), None)]


def connection_rows(result):
    naive, library = result['naive']['connections'], result['library']['connections']
    return [('at most', 100, 10, result['pool_max'], 20),
            ('time-out for one, ms (set; naive: none)', 5000, None, result['acquire_ms'], 2000),
            ('open, average', 45, naive['open_average'], library['open_average'], 8),
            ('open, peak', None, naive['open_peak'], library['open_peak'], None),
            ('busy, average', None, naive['busy_average'], library['busy_average'], None),
            ('busy, peak', None, naive['busy_peak'], library['busy_peak'], None)]


def criteria(result):
    heavy, connections = result['library']['heavy'], result['library']['connections']
    use = 100 * connections['busy_average'] / result['pool_max']
    rows = [('mean time, ms', 100, mean_of(heavy), mean_of(heavy) < 100),
            ('p95, ms', 300, worst(heavy, 'p95'), worst(heavy, 'p95') < 300),
            ('p99, ms', 500, worst(heavy, 'p99'), worst(heavy, 'p99') < 500),
            ('cache hit rate, %', 80, result['library']['hit_rate'], result['library']['hit_rate'] > 80),
            ('use of the pool, %', 50, use, use < 50),
            ('connections open, average', 8, connections['open_average'], connections['open_average'] < 8),
            ('statements over 100 ms', 1, len(result['library']['slow']), not result['library']['slow']),
            ('errors, %', 0.1, errors_of(heavy) * 100, errors_of(heavy) < 0.001)]
    signs = {True: 'PASS', False: 'FAIL'}
    return [(name, f"{'>' if 'hit' in name else '<'} {target}", value, signs[met]) for name, target, value, met in rows]
