# SPDX-License-Identifier: MIT
"""Bindings: 64 concurrent callers in one process, results of 10,000 rows, and how the event loop fares."""
from context import ITEMS
from harness import Budget, Case


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


def node(context):
    """One process, 64 callers: beside each peer, as its guide advises and in the form in which it is fastest."""
    reads = ('--url', context.pg, '--items', ITEMS, '--callers', 64)
    peers = (('node-postgres', 'pg', 3.5), ('pipelined', 'pg', 1.1), ('postgres.js', 'postgres', 2.0), ('postgres.js-1', 'postgres', 2.0))

    def sides(*more):
        ours = context.node('client.query', 'pg_ours.js', *reads, *more, ours=True)
        return [(ours, context.node(peer, 'pg_peer.js', *reads, *more, '--peer', peer, needs=[module]), goal)
                for peer, module, goal in peers]

    def one(name, script, *more, **options):
        return context.node(name, script, '--url', context.pg, '--items', ITEMS, '--callers', 1, *more, **options)
    return [
        *(Case('bindings', f'Node: 64 callers, beside {peer.name}', ours, peer, goal, data=('items',)) for ours, peer, goal in sides()),
        *(Case('bindings', f'Node: 64 callers, p99, beside {peer.name}', ours, peer, 1.0, measure='p99', data=('items',))
          for ours, peer, _ in sides()),
        # How long other work waits for its turn under 64 callers.
        *(Case('bindings', f'Node: event-loop delay p99, beside {peer.name}', ours, peer, 1.0, measure='delay', data=('items',))
          for ours, peer, _ in sides('--count', 'delay')),
        *(Case('bindings', f'Node: one caller,{setting} latency, beside {peer}', one(name, 'pg_ours.js', '--spin', spin, ours=True),
               one(peer, 'pg_peer.js', '--peer', peer, needs=['postgres']), 1 / 0.9, measure='p50', data=('items',))
          for name, spin, setting in (('client.query', 0, ''), ('client.query, spinning', 50, ' pool.spin_us=50,'))
          for peer in ('postgres.js', 'postgres.js-1')),
    ]


def memory(context):
    """What is resident grows by no more than a heap breathes (V8's by half of this within a second), however long it runs: --seconds 200
    are ten million operations."""
    reads = ('--items', ITEMS, '--callers', 64, '--count', 'memory', '--warmup', 5)
    breath = Budget(32 << 20)
    return [
        Case('bindings', 'Node: memory that it grows by', context.node('client.query', 'pg_ours.js', '--url', context.pg, *reads, ours=True),
             breath, 1.0, measure='bytes', data=('items',)),
        Case('bindings', 'Python: memory that it grows by', context.python_pg('AsyncClient.query', 'ours', *reads), breath, 1.0,
             measure='bytes', data=('items',)),
    ]


def drop_in(context):
    """The same program on sugarperf/pg and on node-postgres; TypeORM also where its pool stands on a client of the library."""
    def side(name, driver, mode):
        return context.node(name, 'orm.js', '--url', context.pg, '--items', ITEMS, '--callers', 64, '--driver', driver, '--mode', mode,
                            needs=['pg', 'typeorm'], ours=driver == 'ours')
    return [Case('bindings', f'Node: {what}, sugarperf/pg in place of node-postgres', side('sugarperf/pg', 'ours', mode),
                 side('node-postgres', 'node-postgres', peer), goal, data=('items',))
            for what, mode, peer, goal in (('pool.query, 64 callers', 'plain', 'plain', 3.5), ('TypeORM findOneBy, 64 callers', 'orm', 'orm', 1.0),
                                           ('TypeORM findOneBy on the library\'s client, 64 callers', 'library', 'orm', 1.0))]


def cases(context):
    return [*node(context), *drop_in(context), *python(context), *memory(context)]
