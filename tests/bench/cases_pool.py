# SPDX-License-Identifier: MIT
"""Pool: a SELECT by primary key over loopback TCP, prepared, one row of two columns; and what a pool costs besides."""
from context import ITEMS, KEYS
from harness import Budget, Case

# 64 callers over two lanes, two groups in flight on each.
LANES, GROUP = 2, 16


def select(name, ours, peer, goal, **more):
    return Case('pool', name, ours, peer, goal, data=('items',), **more)


def beside_libpq(context, ours, many, queued):
    """One caller, and the pool that one writes first: 20 connections and a mutex."""
    reads = ('--url', context.pg, '--items', ITEMS)
    raw = context.driver('libpq, PQexecPrepared', 'bench-pg-raw', *reads)
    shared = context.driver('libpq, 20 connections, a mutex', 'bench-pg-raw', *reads, '--mode', 'shared', '--callers', 64)
    writes = ('--url', context.pg, '--items', KEYS, '--mode', 'write', '--callers', 64)
    ours_write = context.driver('sp_pool_query_async, 64 updates in flight', 'bench-pg-ours', *writes, '--set', 'pool.lanes=1')
    raw_write = context.driver('libpq, a Sync each, 64 in flight', 'bench-pg-raw', *writes)
    return [
        select('1 blocking caller, a CPU each', ours, raw, 0.95, measure='p50', cpus=2),
        select('1 blocking caller, one CPU', ours, raw, 0.95, measure='p50', cpus=1),
        select('64 callers, blocking, beside a mutex', many, shared, 1.0),
        select('64 callers, asynchronous, beside a mutex', queued, shared, 1.0),
        Case('pool', '64 writes in flight on one connection', ours_write, raw_write, 0.9, data=('counts',)),
    ]


def beside_pgbench(context, many, queued):
    """The 0.9 of pipelined pgbench is a goal for libpq 17; with 15, twice pgbench's 20 connections is."""
    pgbench_64 = context.pgbench('pgbench -M prepared -c 64', '--clients', 64)
    pgbench_20 = context.pgbench('pgbench -M prepared -c 20', '--clients', 20)
    groups = context.pgbench(f'pgbench, \\startpipeline, {GROUP} a Sync', '--clients', LANES, '--pipeline', GROUP)
    return [
        select('64 callers, blocking', many, pgbench_64, 1.0),
        select('64 callers, asynchronous', queued, pgbench_64, 1.0),
        select('64 callers, blocking, pool of 20', many, pgbench_20, 2.0),
        select('64 callers, asynchronous, pool of 20', queued, pgbench_20, 2.0),
        select('64 callers, asynchronous, beside pipelined pgbench', queued, groups, 0.9),
        select('64 callers, blocking, beside pipelined pgbench', many, groups, 0.9),
    ]


def budgets(context, acquire):
    waiting = context.driver('10,000 waiting, one of them', 'bench-pg-crowd', '--url', context.pg, '--callers', 10000)
    spike = context.driver('50 callers, connecting takes 150 ms', 'bench-pg-crowd', '--url', context.pg, '--callers', 50,
                           '--mode', 'spike')
    return [
        Case('pool', 'acquire + release, uncontended', acquire, Budget(150), 1.0, measure='p50_ns',
             floor=context.driver('a lock, twice', 'bench-guard-floor')),
        Case('pool', 'memory of a waiting caller', waiting, Budget(1024), 1.0, measure='bytes'),
        Case('pool', 'connections after a spike', spike, Budget(6), 1.0, measure='connections'),
    ]


def beside_plainer_ways(context):
    """What the library does that it need not do, beside the same without it."""
    pages = ('--url', context.pg, '--mode', 'stream')
    return [
        select('a stream, a millisecond of work a page', context.driver('sp_pool_stream, a page ahead', 'bench-pg-ours', *pages),
               context.driver('libpq, FETCH after FETCH', 'bench-pg-raw', *pages), 1.0),
        Case('pool', 'a turn of 16 answers to a queue', context.driver('at once', 'bench-queue-turn', '--mode', 'turn'),
             context.driver('one by one', 'bench-queue-turn', '--mode', 'each'), 1.0),
    ]


def beside_peers(context, queued, acquire):
    """Each with a pool of its default size; those in other languages beside C and beside the binding of their own."""
    reads = ('--items', ITEMS, '--callers', 64)
    node_reads, url = ('--url', context.pg, *reads), ('--url', context.pg)
    pgx = context.pgx('pgxpool', *reads)
    asyncpg = context.python_pg('asyncpg, pool.fetchrow', 'asyncpg', *reads)
    psycopg = context.python_pg('psycopg pool, 64 threads', 'psycopg', *reads)

    def node(name, peer, *arguments, module='pg'):
        return context.node(name, 'pg_peer.js', *arguments, '--peer', peer, needs=[module])
    node_postgres = node('node-postgres, pool.query, named', 'node-postgres', *node_reads)
    pipelined = node('node-postgres, one client, pipelined', 'pipelined', *node_reads)
    postgres_js = node('postgres.js', 'postgres.js', *node_reads, module='postgres')
    postgres_js_1 = node('postgres.js, max 1', 'postgres.js-1', *node_reads, module='postgres')
    ours_node = context.node('client.query', 'pg_ours.js', *node_reads, ours=True)
    ours_python = context.python_pg('AsyncClient.query', 'ours', *reads)
    ours_threads = context.python_pg('Client.query, 64 threads', 'ours-threads', *reads)

    acquires = [
        ('acquire + release, beside pgx', acquire, context.pgx('pgxpool, Acquire + Release', '--mode', 'acquire')),
        ('Node: acquire + release, beside node-postgres',
         context.node('client.acquire', 'pg_ours.js', *url, '--mode', 'acquire', ours=True),
         node('node-postgres, pool.connect', 'node-postgres', *url, '--mode', 'acquire')),
        ('Python: acquire + release, beside asyncpg', context.python_pg('AsyncClient.acquire', 'ours', '--mode', 'acquire'),
         context.python_pg('asyncpg, pool.acquire', 'asyncpg', '--mode', 'acquire')),
        ('Python: acquire + release, beside psycopg', context.python_pg('Client.acquire', 'ours-threads', '--mode', 'acquire'),
         context.python_pg('psycopg, pool.connection', 'psycopg', '--mode', 'acquire')),
    ]
    return [
        *(select(f'64 callers, beside {name}', queued, peer, 1.0)
          for name, peer in (('pgx', pgx), ('asyncpg', asyncpg), ('psycopg', psycopg), ('node-postgres', node_postgres),
                             ('postgres.js', postgres_js))),
        *(select(f'Node: 64 callers, beside {peer.name}', ours_node, peer, 1.0)
          for peer in (node_postgres, pipelined, postgres_js, postgres_js_1)),
        select('Python: 64 coroutines, beside asyncpg', ours_python, asyncpg, 1.0),
        select('Python: 64 threads, beside psycopg', ours_threads, psycopg, 1.0),
        *(Case('pool', name, ours, peer, 1.0, measure='p50_ns') for name, ours, peer in acquires),
    ]


def cases(context):
    reads = ('--url', context.pg, '--items', ITEMS)
    one = context.driver('sp_pool_query, 1 thread', 'bench-pg-ours', *reads)
    many = context.driver('sp_pool_query, 64 threads', 'bench-pg-ours', *reads, '--callers', 64)
    queued = context.driver('sp_pool_query_async, 64 in flight', 'bench-pg-ours', *reads, '--callers', 64, '--mode', 'async')
    acquire = context.driver('acquire + release', 'bench-pg-ours', '--url', context.pg, '--mode', 'acquire')
    return [*beside_libpq(context, one, many, queued), *beside_pgbench(context, many, queued), *budgets(context, acquire),
            *beside_plainer_ways(context), *beside_peers(context, queued, acquire)]
