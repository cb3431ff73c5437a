# SPDX-License-Identifier: MIT
"""Profiler: what a record costs, what a scrape costs, and what all of it takes of a pool's throughput."""
from context import ITEMS
from harness import Budget, Case


def cases(context):
    def record(mode, callers=1):
        return context.driver(f'profiler, {mode}', 'bench-profile-record', '--mode', mode, '--callers', callers)

    def budget(name, mode, ns, floor=None):
        return Case('profile', name, record(mode), Budget(ns), 1.0, measure='p50_ns', floor=floor)

    def share(mode):
        return context.driver(f'profiler, {mode}', 'bench-profile-share', '--url', context.pg, '--items', ITEMS,
                              '--callers', 64, '--mode', mode)

    def taken(name, mode):
        return Case('profile', f'64 callers: {name}, profiler on over off, slices of 20 ms in one process', share(mode),
                    Budget(1.01), 1.0, measure='times', floor=share(f'{mode}-none'), data=('items',))

    prom = context.node('prom-client, 1,007 series', 'prom_peer.js', '--mode', 'scrape', needs=('prom-client',))
    observe = context.node('prom-client, observe', 'prom_peer.js', '--mode', 'observe', needs=('prom-client',))
    counters = record('count')
    return [
        budget('a statement, known name and fingerprint', 'statement', 100, counters),
        budget('a statement in a unit of work', 'scope', 150, counters),
        budget('a unit of work of four statements, with its context and parameters', 'unit', 800, counters),
        budget('a histogram record on a held handle', 'histogram', 20, counters),
        budget('a count on a held handle', 'counter', 20, counters),
        budget('named work, with its clock reads', 'work', 200, record('clock')),
        Case('profile', 'a histogram record beside prom-client', record('histogram'), observe, 1.0, measure='p50_ns'),
        Case('profile', 'scrape of 1,007 series', record('scrape'), Budget(1e6), 1.0, measure='p50_ns',
             floor=record('print')),
        Case('profile', 'scrape of 1,007 series beside prom-client', record('scrape'), prom, 1.0, measure='p50_ns'),
        taken('client CPU a statement, units of work of four', 'cpu'),
        taken('client CPU a statement, no unit of work', 'cpu-plain'),
        taken('time a statement, units of work of four', 'rate'),
        taken('time a statement, no unit of work', 'rate-plain'),
    ]
