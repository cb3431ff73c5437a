# SPDX-License-Identifier: MIT
"""Pool: a SELECT by primary key over loopback TCP, prepared, one row of two columns."""
from context import ITEMS, KEYS
from harness import Budget, Case

# 64 callers over two lanes, two groups in flight on each.
LANES, GROUP = 2, 16


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS)
    ours_one = context.driver('sp_pool_query, 1 thread', 'bench-pg-ours', *reads)
    ours_threads = context.driver('sp_pool_query, 64 threads', 'bench-pg-ours', *reads, '--callers', 64)
    ours_queue = context.driver('sp_pool_query_async, 64 in flight', 'bench-pg-ours', *reads, '--callers', 64,
                                '--mode', 'async')
    raw = context.driver('libpq, PQexecPrepared', 'bench-pg-raw', *reads)
    pgbench_64 = context.pgbench('pgbench -M prepared -c 64', '--clients', 64)
    pgbench_20 = context.pgbench('pgbench -M prepared -c 20', '--clients', 20)

    pgbench_groups = context.pgbench(f'pgbench, \\startpipeline, {GROUP} a Sync', '--clients', LANES, '--pipeline', GROUP)
    writes = ('--url', context.pg, '--items', KEYS, '--mode', 'write', '--callers', 64)
    ours_write = context.driver('sp_pool_query_async, 64 updates in flight', 'bench-pg-ours', *writes, '--set', 'pool.lanes=1')
    raw_write = context.driver('libpq, a Sync each, 64 in flight', 'bench-pg-raw', *writes)
    acquire = context.driver('acquire + release', 'bench-pg-ours', '--url', context.pg, '--mode', 'acquire')

    def case(name, ours, peer, goal, **more):
        return Case('pool', name, ours, peer, goal, data=('items',), **more)
    return [
        case('1 blocking caller, a CPU each', ours_one, raw, 0.95, measure='p50', cpus=2),
        case('1 blocking caller, one CPU', ours_one, raw, 0.95, measure='p50', cpus=1),
        case('64 callers, blocking', ours_threads, pgbench_64, 1.0),
        case('64 callers, asynchronous', ours_queue, pgbench_64, 1.0),
        case('64 callers, blocking, pool of 20', ours_threads, pgbench_20, 1.0),
        case('64 callers, asynchronous, pool of 20', ours_queue, pgbench_20, 1.0),
        case('64 callers, asynchronous, beside pipelined pgbench', ours_queue, pgbench_groups, 0.9),
        case('64 callers, blocking, beside pipelined pgbench', ours_threads, pgbench_groups, 0.9),
        Case('pool', '64 writes in flight on one connection', ours_write, raw_write, 0.9, data=('counts',)),
        Case('pool', 'acquire + release, uncontended', acquire, Budget(150), 1.0, measure='p50_ns',
             floor=context.driver('a lock, twice', 'bench-guard-floor')),
    ]
