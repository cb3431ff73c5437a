# SPDX-License-Identifier: MIT
"""Pool: a SELECT by primary key over loopback TCP, prepared, one row of two columns."""
from context import ITEMS
from harness import Case


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS)
    ours_one = context.driver('sp_pool_query, 1 thread', 'bench-pg-ours', *reads)
    ours_threads = context.driver('sp_pool_query, 64 threads', 'bench-pg-ours', *reads, '--callers', 64)
    ours_queue = context.driver('sp_pool_query_async, 64 in flight', 'bench-pg-ours', *reads, '--callers', 64,
                                '--mode', 'async')
    raw = context.driver('libpq, PQexecPrepared', 'bench-pg-raw', *reads)
    pgbench_64 = context.pgbench('pgbench -M prepared -c 64', '--clients', 64)
    pgbench_20 = context.pgbench('pgbench -M prepared -c 20', '--clients', 20)

    def case(name, ours, peer, goal, **more):
        return Case('pool', name, ours, peer, goal, data=('items',), **more)
    return [
        case('1 blocking caller, a CPU each', ours_one, raw, 0.95, measure='p50', cpus=2),
        case('1 blocking caller, one CPU', ours_one, raw, 0.95, measure='p50', cpus=1),
        case('64 callers, blocking', ours_threads, pgbench_64, 1.0),
        case('64 callers, asynchronous', ours_queue, pgbench_64, 1.0),
        case('64 callers, blocking, pool of 20', ours_threads, pgbench_20, 1.0),
        case('64 callers, asynchronous, pool of 20', ours_queue, pgbench_20, 1.0),
    ]
