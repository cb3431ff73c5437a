# SPDX-License-Identifier: MIT
"""Cache: hits in Redis and in process."""
from context import KEYS, VALUE_BYTES
from harness import Budget, Case


def cases(context):
    remote = ('--url', context.redis, '--items', KEYS)
    near = ('--items', 1000, '--size', VALUE_BYTES)
    floor = context.driver('hash, probe, reference', 'bench-l1-floor', *near)
    return [
        Case('cache', '1 blocking caller, Redis hit', context.driver('sp_cache_lookup', 'bench-redis-ours', *remote),
             context.driver('hiredis, GET', 'bench-redis-raw', *remote), 0.95,
             data=('keys',)),
        Case('cache', 'in-process hit', context.driver('sp_cache_peek, no Redis', 'bench-l1-ours', *near),
             Budget(60), 1.0, measure='time', floor=floor),
        Case('cache', 'in-process hit, two levels',
             context.driver('sp_cache_peek, Redis behind', 'bench-l1-ours', *near, '--url', context.redis),
             Budget(60), 1.0, measure='time', floor=floor, data=('keys',)),
    ]
