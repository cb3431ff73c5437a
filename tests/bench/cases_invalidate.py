# SPDX-License-Identifier: MIT
"""Invalidation: what a pattern or a tag costs, whatever is under it, and how fast and how much the change feed carries."""
from context import ITEMS, KEYS
from harness import Budget, Case

SIZES = (1_000, 100_000, 1_000_000)


def cases(context):
    remote = ('--url', context.redis)
    # Both servers: the drivers take one URL, and the other as a setting. The private server does not wait for its log, of which
    # the feed sees what is written: that would be every 200 ms (wal_writer_delay).
    postgres = ('--url', f'{context.pg}?options=-c%20synchronous_commit%3Don')
    feed = (*postgres, '--set', f'redis.url={context.redis}')
    # A batch takes the best part of a second: a time that sees one or none of them would tell of the quick ones alone.
    batches = ('--items', ITEMS, '--seconds', max(6, context.seconds))
    trip = context.driver('hiredis, GET', 'bench-redis-raw', *remote, '--items', KEYS)
    # What the server takes of writes without anybody who reads its log.
    updates = ('--url', context.pg, '--items', KEYS, '--mode', 'write')
    write = context.driver('libpq, an update after the other', 'bench-pg-raw', *updates, '--callers', 1)
    writes = context.driver('libpq, 64 updates in flight', 'bench-pg-raw', *updates, '--callers', 64)

    def one(mode, size):
        # Of a million keys one walk takes up to seconds.
        scan = context.driver('SCAN + DEL', 'bench-scan-raw', *remote, '--seconds', max(6 if size == SIZES[-1] else 1, context.seconds))
        ours = context.driver(f'sp_cache_invalidate, {mode}', 'bench-invalidate-ours', *remote, '--mode', mode)
        return Case('invalidate', f'a {mode}, {size:,} keys', ours, scan, 10 if size > SIZES[0] else 1, measure='p50', data=(f'keys_{size}',))

    def bounded(mode, size):
        ours = context.driver(f'sp_cache_invalidate, {mode}', 'bench-invalidate-ours', *remote, '--mode', mode)
        return Case('invalidate', f'a {mode}, {size:,} keys, in ms', ours, Budget(1000), 1.0, measure='p50',
                    data=(f'keys_{size}', 'keys'), floor=trip)

    latency = context.driver('commit to gone elsewhere, 1,000 writes/s', 'bench-feed-ours', *feed, '--mode', 'latency',
                             '--callers', 8, '--items', 4000)
    rows = context.driver('rows of one transaction', 'bench-feed-ours', *feed, '--mode', 'rows', '--items', 5000)
    batch = context.driver('100,000 rows in one', 'bench-feed-ours', *feed, '--mode', 'rows', *batches)
    sends = context.driver('PostgreSQL, 100,000 rows to a reader', 'bench-feed-raw', *postgres, *batches)
    others = context.driver('commit to gone elsewhere behind a batch', 'bench-feed-ours', *feed, '--mode', 'others',
                            '--callers', 4, *batches)
    return [
        *(one(mode, size) for size in SIZES for mode in ('pattern', 'tag')),
        *(bounded(mode, SIZES[-1]) for mode in ('pattern', 'tag')),
        Case('invalidate', 'feed: commit to gone from another memory', latency, Budget(50_000), 1.0, measure='p99',
             data=('counts',), floor=write),
        Case('invalidate', 'feed: changes of rows', rows, Budget(5_000), 1.0, data=('counts',), floor=writes),
        Case('invalidate', 'feed: a batch of 100,000 rows', batch, Budget(5_000), 1.0, data=('counts',), floor=writes),
        # Within the bound of other processes (cache.bound, 1 s), in microseconds.
        Case('invalidate', 'feed: others behind a batch of 100,000 rows', others, Budget(1_000_000), 1.0, measure='p99',
             data=('counts',), floor=sends),
    ]
