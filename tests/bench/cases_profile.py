# SPDX-License-Identifier: MIT
"""Profiler: what a record costs, what a scrape costs, and what all of it takes of a pool's throughput."""
from context import ITEMS
from harness import Budget, Case


def cases(context):
    def record(mode, callers=1):
        return context.driver(f'profiler, {mode}', 'bench-profile-record', '--mode', mode, '--callers', callers)

    def budget(name, mode, ns, floor=None):
        return Case('profile', name, record(mode), Budget(ns), 1.0, measure='p50_ns', floor=floor)

    def pool(name, *settings):
        return context.driver(name, 'bench-pg-ours', '--url', context.pg, '--items', ITEMS, '--callers', 64, *settings)

    prom = context.node('prom-client, 1,007 series', 'prom_peer.js', '--mode', 'scrape', needs=('prom-client',))
    observe = context.node('prom-client, observe', 'prom_peer.js', '--mode', 'observe', needs=('prom-client',))
    counters = record('count')
    return [
        budget('a statement, known name and fingerprint', 'statement', 100, counters),
        budget('a statement in a unit of work', 'scope', 150, counters),
        budget('a histogram record on a held handle', 'histogram', 20, counters),
        budget('named work, with its clock reads', 'work', 200, record('clock')),
        Case('profile', 'a histogram record beside prom-client', record('histogram'), observe, 1.0, measure='p50_ns'),
        Case('profile', 'scrape of 1,007 series', record('scrape'), Budget(1e6), 1.0, measure='p50_ns',
             floor=record('print')),
        Case('profile', 'scrape of 1,007 series beside prom-client', record('scrape'), prom, 1.0, measure='p50_ns'),
        Case('profile', '64 callers, blocking, with the profiler beside without',
             pool('profiler.enabled true'), pool('profiler.enabled false', '--set', 'profiler.enabled=false'), 0.99,
             data=('items',)),
        Case('profile', '64 callers, asynchronous, with the profiler beside without',
             pool('profiler.enabled true', '--mode', 'async'),
             pool('profiler.enabled false', '--mode', 'async', '--set', 'profiler.enabled=false'), 0.99, data=('items',)),
    ]
