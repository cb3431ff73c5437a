# SPDX-License-Identifier: MIT
"""Bindings: 64 concurrent callers in one process, results of 10,000 rows, and how the event loop fares."""
from context import ITEMS
from harness import Case


def python(context):
    """Beside asyncpg and psycopg (C build) as their guides advise, each with a pool of its default size."""
    reads = ('--items', ITEMS, '--callers', 64)
    peers = (('asyncpg', 'asyncpg'), ('psycopg, asyncio', 'psycopg-async'))
    query = context.python_pg('AsyncClient.query', 'ours', *reads)
    rows = context.python_pg('AsyncClient.query, 10,000 rows', 'ours', '--mode', 'rows')
    return [
        *(Case('bindings', f'Python: 64 coroutines, beside {name}', query, context.python_pg(name, peer, *reads), 3.0,
               data=('items',)) for name, peer in peers),
        *(Case('bindings', f'Python: 10,000 rows, beside {name}', rows, context.python_pg(f'{name}, 10,000 rows', peer, '--mode', 'rows'),
               1.0, data=('items',)) for name, peer in peers),
    ]


def event_loop(context):
    """How long Node's other work waits for its turn under 64 callers."""
    more = ('--url', context.pg, '--items', ITEMS, '--callers', 64, '--count', 'delay')
    ours = context.node('client.query', 'pg_ours.js', *more, ours=True)
    peers = (('node-postgres', 'pg'), ('pipelined', 'pg'), ('postgres.js', 'postgres'), ('postgres.js-1', 'postgres'))
    return [Case('bindings', f'Node: event-loop delay p99, beside {peer}', ours,
                 context.node(peer, 'pg_peer.js', *more, '--peer', peer, needs=[module]), 1.0, measure='delay', data=('items',))
            for peer, module in peers]


def drop_in(context):
    """The same program on sugarperf/pg and on node-postgres."""
    def side(name, driver, mode):
        return context.node(name, 'orm.js', '--url', context.pg, '--items', ITEMS, '--callers', 64, '--driver', driver, '--mode', mode,
                            needs=['pg', 'typeorm'], ours=driver == 'ours')
    return [Case('bindings', f'Node: {what}, sugarperf/pg in place of node-postgres', side('sugarperf/pg', 'ours', mode),
                 side('node-postgres', 'node-postgres', mode), 1.0, data=('items',))
            for what, mode in (('pool.query, 64 callers', 'plain'), ('TypeORM findOneBy, 64 callers', 'orm'))]


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS, '--callers', 64)
    return [
        Case('bindings', 'Node, 64 callers, SELECT by key',
             context.node('client.query', 'pg_ours.js', *reads, ours=True),
             context.node('node-postgres, pool.query, named', 'pg_peer.js', *reads, '--peer', 'node-postgres', needs=['pg']), 1.0, data=('items',)),
        *event_loop(context),
        *drop_in(context),
        *python(context),
    ]
