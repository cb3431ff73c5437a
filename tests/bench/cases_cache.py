# SPDX-License-Identifier: MIT
"""Cache: hits in Redis and in process, and the keys."""
from context import KEYS, VALUE_BYTES
from harness import Budget, Case


def cases(context):
    remote = ('--url', context.redis, '--items', KEYS)
    near = ('--items', 1000, '--size', VALUE_BYTES)
    lookup = context.driver('sp_cache_lookup', 'bench-redis-ours', *remote)
    raw = context.driver('hiredis, GET', 'bench-redis-raw', *remote)
    alone = context.driver('sp_cache_peek, no Redis', 'bench-l1-ours', *near)
    both = context.driver('sp_cache_peek, Redis behind', 'bench-l1-ours', *near, '--url', context.redis)
    two = context.driver('sp_cache_peek, 2 threads', 'bench-l1-ours', *near, '--callers', 2)
    floor = context.driver('hash, probe, reference', 'bench-l1-floor', *near)
    two_floor = context.driver('hash, probe, reference, 2 threads', 'bench-l1-floor', *near, '--callers', 2)
    key = context.driver('sp_key_format', 'bench-key-ours')
    params = context.driver('sp_params_add_text twice, sp_key_format', 'bench-key-ours', '--mode', 'params')

    def lone(name, cpus):
        return Case('cache', name, lookup, raw, 0.95, measure='p50', data=('keys',), cpus=cpus)

    def near_hit(name, ours, data=()):
        return Case('cache', name, ours, Budget(60), 1.0, measure='p50_ns', floor=floor, data=data)
    return [
        lone('1 blocking caller, Redis hit, a CPU each', 2),
        lone('1 blocking caller, Redis hit, one CPU', 1),
        near_hit('in-process hit', alone),
        near_hit('in-process hit, two levels', both, ('keys',)),
        Case('cache', 'in-process hits, two threads against one', two, alone, 1.8, floor=two_floor),
        Case('cache', 'a key of two parameters', key, Budget(100), 1.0, measure='p50_ns'),
        Case('cache', 'a key, its parameters filled first', params, Budget(100), 1.0, measure='p50_ns'),
    ]
