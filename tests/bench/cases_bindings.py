# SPDX-License-Identifier: MIT
"""Bindings: 64 concurrent callers in one Node process."""
from context import ITEMS, KEYS
from harness import Case


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS, '--callers', 64)
    gets = ('--url', context.redis, '--items', KEYS, '--callers', 64)
    return [
        Case('bindings', 'Node, 64 callers, SELECT by key',
             context.node('client.query', 'pg_ours.js', *reads, ours=True),
             context.node('node-postgres, pool.query, named', 'pg_peer.js', *reads, '--peer', 'node-postgres', needs=['pg']), 1.0, data=('items',)),
        Case('bindings', 'Node, 64 callers, Redis hit',
             context.node('client.cache.get', 'redis_ours.js', *gets, ours=True),
             context.node('ioredis, enableAutoPipelining', 'redis_peer.js', *gets, needs=['ioredis']), 1.0, data=('keys',)),
    ]
