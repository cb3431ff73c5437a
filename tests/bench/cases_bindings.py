# SPDX-License-Identifier: MIT
"""Bindings: 64 concurrent callers in one process, and results of 10,000 rows."""
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


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS, '--callers', 64)
    return [
        Case('bindings', 'Node, 64 callers, SELECT by key',
             context.node('client.query', 'pg_ours.js', *reads, ours=True),
             context.node('node-postgres, pool.query, named', 'pg_peer.js', *reads, '--peer', 'node-postgres', needs=['pg']), 1.0, data=('items',)),
        *python(context),
    ]
