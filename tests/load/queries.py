#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/queries.md: each query that was fixed beside its naive form, with its plan before and after, from a real database."""
import argparse
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.dirname(os.path.abspath(__file__))]

from measure.database import OwnDatabase  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import path_of  # noqa: E402  # pylint: disable=wrong-import-position
import traffic  # noqa: E402  # pylint: disable=wrong-import-position

TIME = re.compile(r'Execution Time: ([\d.]+) ms')
TAGS = """SELECT name FROM content_tags JOIN content_tag_links ON tag_id = content_tags.id
WHERE content_id = '{}' ORDER BY name"""
NAIVE_LIST = """SELECT id, title, creator_id, engagement_score FROM contents WHERE id IN
    (SELECT content_id FROM content_tag_links WHERE tag_id = ANY (ARRAY(SELECT tag_id FROM user_interests WHERE user_id = '{}')))
ORDER BY engagement_score DESC, id LIMIT 10"""
BLOWN = """SELECT contents.id, title, name FROM contents
LEFT JOIN content_tag_links ON content_id = contents.id LEFT JOIN content_tags ON content_tags.id = tag_id
ORDER BY engagement_score DESC, contents.id LIMIT 10"""
WHOLE = """UPDATE contents SET engagement_score = (view_count + like_count * 5 + share_count * 10)
    / (1 + POW(2, -least(EXTRACT(EPOCH FROM (NOW() - created_at)) / (24 * 60 * 60), 1000)::float8))"""
SAVES = 500

PAGE = """# Queries that were fixed

Each beside its naive form, with its plan before the [migrations](../examples/migrations/README.md) and after. Written by
`./run baseline`; {users:,} users, {contents:,} contents, {interactions:,} interactions, PostgreSQL {version}. Times are the
server's own, of one run with everything in memory.

| query | naive | fixed |
| --- | --- | --- |
{summary}

## Recommendations: N+1

The naive form asks for the contents, then for the tags of each one: {count} statements, each a trip.

```sql
{naive_list};
{tags};  -- once for each of {contents_found} contents
```

Before: {before_ms:.2f} ms for the first, {tags_before_ms:.2f} ms for each of the others, {naive_ms:.1f} ms in all.

```
{before_plan}
```

```
{tags_before_plan}
```

One statement gathers the tags of the contents that were picked (`getRecommendations` in
[catalog.c](../examples/recommendation/catalog.c), which tells why it is cut in that way). After: {after_ms:.2f} ms in all.

```
{after_plan}
```

Not a join with LIMIT behind it: rows are multiplied by tags before they are cut, so that ten rows are {blown} contents.

```sql
{blown_text};
```

## A content with its tags

`getContentWithTags`, one statement. Before the migration the tags came from the links' primary key already; what the naive form
pays is the second trip: {content_naive_ms:.2f} ms in two statements, {content_ms:.2f} ms in one.

```
{content_plan}
```

## Engagement scores

The naive form saves each content by itself: {saves} of them took {saves_ms:.0f} ms on the server, in one session and without trips.
One statement for all, as the source document has it, takes {whole_ms:.0f} ms for {contents:,} contents and holds all their rows locked so
long. `updateEngagementScores` does 1,000 rows a statement, {chunk_ms:.1f} ms the slowest of {chunks}, {chunked_ms:.0f} ms in all: linear in
rows, no row is locked for longer than its chunk, and rows whose score stays are not written.

```
{chunk_plan}
```

The formula favours old contents over new ones (it approaches the plain weighted sum with age): it is the source document's, and the
default. A decay by half each day would be `… * POW(0.5, age in days)`.
"""


class Bench:
    def __init__(self, database, statements):
        self.database, self.statements = database, statements

    def explain(self, text, *parameters, options='ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF'):
        """(milliseconds, plan); parameters: as the library runs it, prepared, by its generic plan."""
        lines = ['SET plan_cache_mode = force_generic_plan', f'PREPARE asked AS {text}'] if parameters else []
        target = f'EXECUTE asked ({", ".join(parameters)})' if parameters else text
        run = f'EXPLAIN ({options}) {target}'
        words = [word for line in [*lines, target if not target.startswith('UPDATE') and 'UPDATE contents' not in text else 'SELECT 1',
                                   run] for word in ('-c', line)]
        plan = self.database.psql(words)
        plan = plan[re.search(r'^[ A-Z].*\(actual', plan, re.MULTILINE).start():].rstrip()
        return float(TIME.findall(plan)[-1]), self.shorten(plan)

    @staticmethod
    def shorten(plan):
        """What was not run, and lines that are longer than a page, say nothing."""
        lines = [line[:118] for line in plan.splitlines() if 'never executed' not in line]
        return '\n'.join(lines if len(lines) <= 44 else [*lines[:40], '…', *lines[-2:]])

    def best(self, text, *parameters):
        return min((self.explain(text, *parameters) for _ in range(3)), key=lambda found: found[0])


def chunks_of(bench):
    """(chunks, all, slowest, plan of the first)"""
    last, times, plan = '', [], None
    while True:
        took, text = bench.explain(bench.statements['updateEngagementScores'], f"'{last}'", '1000')
        times.append(took)
        plan = plan or text
        found = bench.database.query(f"SELECT max(id), count(*) FROM (SELECT id FROM contents WHERE id > '{last}' ORDER BY id LIMIT 1000) x")
        last, count = found.rsplit('|', 1)
        if int(count) < 1000:
            return len(times), sum(times), max(times), plan


def saves_of(bench):
    """Milliseconds that so many saves took, one a content."""
    return float(bench.database.query(
        f"DO $$ DECLARE row record; BEGIN FOR row IN SELECT id FROM contents LIMIT {SAVES} LOOP"
        " UPDATE contents SET engagement_score = engagement_score WHERE id = row.id; END LOOP; END $$;"
        ' SELECT extract(epoch FROM clock_timestamp() - now()) * 1000').splitlines()[-1])


def measure(database, sizes, statements):
    bench = Bench(database, statements)
    user = database.query('SELECT user_id FROM user_interests GROUP BY user_id ORDER BY abs(count(*) - 4), user_id LIMIT 1')
    content = 'content-7'
    facts = dict(sizes, version=database.query('SHOW server_version').split()[0], naive_list=NAIVE_LIST.format(user),
                 tags=TAGS.format(content), blown_text=BLOWN)
    facts['before_ms'], facts['before_plan'] = bench.best(NAIVE_LIST.format(user))
    facts['tags_before_ms'], facts['tags_before_plan'] = bench.best(TAGS.format(content))
    found = int(database.query(f'SELECT count(*) FROM ({NAIVE_LIST.format(user)}) x'))
    facts['contents_found'], facts['count'] = found, found + 2
    facts['naive_ms'] = facts['before_ms'] + found * facts['tags_before_ms']
    facts['saves'], facts['saves_ms'] = SAVES, saves_of(bench)
    database.run_file('../migrations/recommendation/deploy/indexes.sql', plain=1)
    database.psql(['-c', 'VACUUM (ANALYZE)'])
    facts['after_ms'], facts['after_plan'] = bench.best(statements['getRecommendations'], f"'{user}'", '10')
    facts['blown'] = database.query(f'SELECT count(DISTINCT id) FROM ({BLOWN}) x')
    facts['content_ms'], facts['content_plan'] = bench.best(statements['getContentWithTags'], f"'{content}'")
    facts['content_naive_ms'] = facts['tags_before_ms'] + bench.best(f"SELECT * FROM contents WHERE id = '{content}'")[0]
    facts['chunks'], facts['chunked_ms'], facts['chunk_ms'], facts['chunk_plan'] = chunks_of(bench)
    facts['whole_ms'], _ = bench.explain(WHOLE)
    each = facts['saves_ms'] / SAVES * sizes['contents']
    facts['summary'] = '\n'.join([
        f"| recommendations of a user | {facts['naive_ms']:.1f} ms, {facts['count']} statements | {facts['after_ms']:.2f} ms, 1 statement |",
        f"| a content with its tags | {facts['content_naive_ms']:.2f} ms, 2 statements | {facts['content_ms']:.2f} ms, 1 statement |",
        f"| scores of {sizes['contents']:,} contents | {each:,.0f} ms, {sizes['contents']:,} statements (from {SAVES:,}) |"
        f" {facts['chunked_ms']:,.0f} ms, {facts['chunks']} statements, the slowest {facts['chunk_ms']:.1f} ms |"])
    return facts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    parser.add_argument('--scale', type=float, default=1)
    parser.add_argument('--out', default=os.path.join(ROOT, 'docs', 'queries.md'))
    options = parser.parse_args()
    service = traffic.SERVICES['recommendation']
    sizes = {name: value if name == 'tags' else max(50, int(value * options.scale)) for name, value in service.sizes.items()}
    statements = json.loads(subprocess.run([path_of(options.build, 'service'), '--statements'], stdout=subprocess.PIPE, check=True).stdout)
    database = OwnDatabase(os.environ['DATABASE_URL'], f'queries_{os.getpid()}')
    database.create()
    try:
        for name in service.files:
            database.run_file(name, **sizes)
        database.psql(['-c', 'VACUUM (ANALYZE)'])
        facts = measure(database, sizes, statements)
    finally:
        database.drop()
    with open(options.out, 'w', encoding='utf-8') as file:
        file.write(PAGE.format(**facts))


if __name__ == '__main__':
    main()
