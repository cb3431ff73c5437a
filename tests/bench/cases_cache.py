# SPDX-License-Identifier: MIT
"""Cache: hits in Redis and in process, and the keys."""
import os
import sys

from context import HERE, KEYS, VALUE_BYTES, Missing
from harness import Budget, Case
from servers import Failure, find_program

CALLERS = 64
# What traces of others are to be held of; SP_TRACES names a directory of them.
MADE, OTHERS = ('zipf', 'scan', 'loop', 'shifting', 'mixed'), {'gli': 1000, 'loop': 500, 'oltp': 1000, 'web12': 1000, 'corda': 512}
BOUND = 128 << 20


def redis_benchmark(context, clients):
    """As its manual pipelines: 50 commands at a time, all of one key."""
    def make():
        try:
            program = find_program('redis-benchmark')
        except Failure as reason:
            raise Missing('redis-benchmark is missing: apt-get install redis-tools') from reason
        return ((sys.executable, os.path.join(HERE, 'redis_benchmark.py'), '--program', program, '--url', context.redis,
                 '--clients', str(clients), '--seconds', str(context.seconds)),)
    return context.side(f'redis-benchmark -P 50 -c {clients}', make)


def rueidis(context, callers):
    return context.side(f'rueidis, {callers} goroutines', lambda: (
        (context.made('rueidis', 'go'), *context.span(), '--url', context.redis, '--items', str(KEYS), '--callers',
         str(callers)),))


def holds(context, name, *arguments):
    return context.side(name, lambda: ((context.program('bench-cache-holds'), *arguments),))


def traces(context):
    """Hits of each trace, beside what they are to reach with as many bytes."""
    folder = os.environ.get('SP_TRACES', '')
    named = [(f'{name}, made', name) for name in MADE]
    named += [(name, f'{folder}/{name}={entries}') for name, entries in OTHERS.items() if folder]
    return [Case('cache', f'hit ratio, {name}', holds(context, 'in-process level', 'hits', trace),
                 holds(context, 'LRU; better of S3-FIFO and W-TinyLFU - 2', 'asked', trace), 1.0, measure='hits')
            for name, trace in named]


def node_hits(context):
    """In-process hits from Node, decoded: each caller's own objects, with Redis behind; the peers are in process alone."""
    near = ('--items', 1000)
    peek, get = (context.node(f'cache.{mode}()', 'l1_ours.js', *near, '--url', context.redis, '--mode', mode, ours=True)
                 for mode in ('peek', 'get'))

    def peer(name, package=None, least=18):
        package = package or name
        return context.node(name, 'l1_peer.js', *near, '--peer', name, needs=(package,), least=least)

    awaited = [peer('bentocache', least=20), peer('cacheable', least=20), peer('cache-manager', least=20)]
    lru = peer('lru-cache, JSON', 'lru-cache')
    return [
        Case('cache', 'Node: hit in process', peek, Budget(400), 1.0, measure='p50_ns', floor=peer('lru-cache')),
        Case('cache', 'Node: hit in process, awaited', get, Budget(400), 1.0, measure='p50_ns', floor=peer('lru-cache')),
        Case('cache', 'Node: hit in process, beside lru-cache with an object for each caller', peek, lru, 1.0, measure='p50_ns'),
        *(Case('cache', f'Node: hit in process, awaited, beside {side.name}', get, side, 1.0, measure='p50_ns') for side in awaited),
    ]


def node_gets(context):
    gets = ('--url', context.redis, '--items', KEYS, '--callers', CALLERS)
    return Case('cache', 'Node: 64 callers, Redis hit, beside ioredis',
                context.node('client.cache.get', 'redis_ours.js', *gets, ours=True),
                context.node('ioredis, enableAutoPipelining', 'redis_peer.js', *gets, needs=['ioredis']), 2.0, data=('keys',))


def takes(context, name, mode, most):
    return Case('cache', name, holds(context, 'in-process level', mode), Budget(most), 1.0, measure='bytes')


def cases(context):
    remote = ('--url', context.redis, '--items', KEYS)
    near = ('--items', 1000, '--size', VALUE_BYTES)
    lookup = context.driver('sp_cache_lookup', 'bench-redis-ours', *remote)
    command = context.driver('sp_redis_command, GET', 'bench-redis-ours', *remote, '--mode', 'command')
    raw = context.driver('hiredis, GET', 'bench-redis-raw', *remote)
    alone = context.driver('sp_cache_peek, no Redis', 'bench-l1-ours', *near)
    both = context.driver('sp_cache_peek, Redis behind', 'bench-l1-ours', *near, '--url', context.redis)
    two = context.driver('sp_cache_peek, 2 threads', 'bench-l1-ours', *near, '--callers', 2)
    floor = context.driver('hash, probe, reference', 'bench-l1-floor', *near)
    two_floor = context.driver('hash, probe, reference, 2 threads', 'bench-l1-floor', *near, '--callers', 2)
    key = context.driver('sp_key_format', 'bench-key-ours')
    copied = context.driver('its bytes, copied', 'bench-key-ours', '--mode', 'floor')
    params = context.driver('sp_params_add_text twice, sp_key_format', 'bench-key-ours', '--mode', 'params')

    def many(name, mode, callers=CALLERS):
        return context.driver(f'{name}, {callers}', 'bench-redis-ours', *remote, '--mode', mode, '--callers', callers)

    def of_one_key(callers):
        """In flight as many as redis-benchmark has: keys that differ cost the server twice as much."""
        return context.driver(f'sp_redis_command_async, {callers:,}', 'bench-redis-ours', '--url', context.redis, '--items', 1,
                              '--mode', 'command-async', '--callers', callers)

    def lone(name, ours, cpus):
        return Case('cache', f'1 blocking caller, {name}', ours, raw, 0.95, measure='p50', data=('keys',), cpus=cpus)

    def crowd(name, ours, peer, goal):
        return Case('cache', name, ours, peer, goal, data=('keys',))

    def near_hit(name, ours, data=()):
        return Case('cache', name, ours, Budget(60), 1.0, measure='p50_ns', floor=floor, data=data)

    commands = many('sp_redis_command_async', 'command-async')
    lookups = many('sp_cache_lookup_async', 'lookup-async')
    return [
        lone('Redis hit, a CPU each', lookup, 2),
        lone('Redis hit, one CPU', lookup, 1),
        lone('raw command, one CPU', command, 1),
        crowd('64 asynchronous callers, raw command, beside rueidis', commands, rueidis(context, CALLERS), 1.0),
        crowd('64 asynchronous callers, Redis hit, beside rueidis', lookups, rueidis(context, CALLERS), 1.0),
        crowd('64 threads, raw command, beside rueidis', many('sp_redis_command', 'command'), rueidis(context, CALLERS), 1.0),
        crowd('64 threads, Redis hit, beside hiredis', many('sp_cache_lookup', 'lookup'),
              context.driver('hiredis, a connection each, 64', 'bench-redis-raw', *remote, '--callers', CALLERS), 1.0),
        crowd('64 asynchronous callers of one key, raw command, beside redis-benchmark', of_one_key(CALLERS), redis_benchmark(context, 1), 0.5),
        crowd('2,500 asynchronous callers of one key, raw command, beside redis-benchmark, 50 connections', of_one_key(2500),
              redis_benchmark(context, 50), 0.5),
        near_hit('in-process hit', alone),
        near_hit('in-process hit, two levels', both, ('keys',)),
        Case('cache', 'in-process hits, two threads against one', two, alone, 1.8, floor=two_floor),
        Case('cache', 'a key of two parameters', key, Budget(100), 1.0, measure='p50_ns', floor=copied),
        Case('cache', 'a key, its parameters filled first', params, Budget(100), 1.0, measure='p50_ns',
             floor=copied),
        takes(context, 'bytes of an entry beyond key and value', 'beyond', 64),
        takes(context, 'bytes resident, a million entries and as many after them in 128 MB', 'resident',
              BOUND + BOUND // 10),
        node_gets(context),
        *node_hits(context),
        *traces(context),
    ]
