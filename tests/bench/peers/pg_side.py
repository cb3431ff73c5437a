# SPDX-License-Identifier: MIT
"""One side of the pool's benchmarks in Python: asyncpg, psycopg, or the binding (`--peer`), each as its guide advises.

Coroutines of one thread ("ours", "asyncpg"), or a thread a caller ("ours-threads", "psycopg").
"""
import argparse
import asyncio
import json
import os
import random
import resource
import sys
import threading
import time

SQL = 'SELECT id, title FROM bench_items WHERE id = $1'
FORMATTED = 'SELECT id, title FROM bench_items WHERE id = %s'
BATCH = 16


class Clock:
    """Warm-up and measured time of all callers; what they did in it."""

    def __init__(self, options):
        self.options, self.samples, self.going, self.measuring = options, [], True, False

    def measure(self, sleep):
        """Steps of the main flow: yields what is to be awaited or slept."""
        yield sleep(self.options.warmup)
        print('start', flush=True)
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        self.measuring = True
        yield sleep(self.options.seconds)
        self.measuring = self.going = False
        after, end = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        print('stop', flush=True)
        self.used = (end - begin, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)

    def item(self):
        return random.randrange(1, self.options.items + 1)

    def took(self, begin):
        if self.measuring:
            self.samples.append((time.perf_counter() - begin) * 1e6)

    def result(self, batch):
        """The line that the harness reads; percentiles are of one operation."""
        seconds, user, system = self.used
        ordered = sorted(self.samples)
        return json.dumps({'ops': len(ordered) * batch, 'seconds': seconds, 'p50_us': ordered[len(ordered) // 2] / batch,
                           'p99_us': ordered[len(ordered) * 99 // 100] / batch, 'user_cpu': user, 'sys_cpu': system})


def check(row, item):
    if row != item:
        raise RuntimeError('the SELECT did not find its row')


def ours_async(url):
    from sugarperf import AsyncClient
    client = AsyncClient({'pool.url': url})

    async def select(item):
        check((await client.query(SQL, [item]))[0]['id'], item)

    async def acquire():
        async with client.acquire():
            pass
    return select, acquire, client.close


async def asyncpg_side(url):
    import asyncpg
    pool = await asyncpg.create_pool(url)

    async def select(item):
        check((await pool.fetchrow(SQL, item))['id'], item)

    async def acquire():
        async with pool.acquire():
            pass
    return select, acquire, pool.close


def ours_threads(url):
    from sugarperf import Client
    client = Client({'pool.url': url})

    def select(item):
        check(client.query(SQL, [item])[0]['id'], item)

    def acquire():
        with client.acquire():
            pass
    return select, acquire, client.close


def psycopg_side(url):
    import psycopg_pool
    from psycopg import pq
    if pq.__impl__ != 'c':
        sys.exit(f'psycopg runs as "{pq.__impl__}", not as C')
    pool = psycopg_pool.ConnectionPool(url, kwargs={'autocommit': True}, open=True)

    def select(item):
        with pool.connection() as conn:
            check(conn.execute(FORMATTED, (item,), prepare=True).fetchone()[0], item)

    def acquire():
        with pool.connection():
            pass
    return select, acquire, pool.close


async def coroutines(side, options):
    side = side(options.url)
    select, acquire, close = await side if asyncio.iscoroutine(side) else side
    clock = Clock(options)

    async def caller():
        while clock.going:
            begin = time.perf_counter()
            if options.mode == 'acquire':
                for _ in range(BATCH):
                    await acquire()
            else:
                await select(clock.item())
            clock.took(begin)

    await select(1)
    callers = [asyncio.ensure_future(caller()) for _ in range(options.callers)]
    for step in clock.measure(asyncio.sleep):
        # A caller that failed ends it at once.
        done, _ = await asyncio.wait([asyncio.ensure_future(step), *callers], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    await asyncio.gather(*callers)
    await close()
    return clock


def threads(side, options):
    select, acquire, close = side(options.url)
    clock = Clock(options)

    def caller():
        try:
            while clock.going:
                begin = time.perf_counter()
                if options.mode == 'acquire':
                    for _ in range(BATCH):
                        acquire()
                else:
                    select(clock.item())
                clock.took(begin)
        except Exception as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)

    select(1)
    callers = [threading.Thread(target=caller) for _ in range(options.callers)]
    for thread in callers:
        thread.start()
    for _ in clock.measure(time.sleep):
        pass
    for thread in callers:
        thread.join()
    close()
    return clock


SIDES = {'ours': ours_async, 'asyncpg': asyncpg_side, 'ours-threads': ours_threads, 'psycopg': psycopg_side}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--url', required=True)
    parser.add_argument('--peer', required=True, choices=SIDES)
    parser.add_argument('--mode', default='select', choices=('select', 'acquire'))
    parser.add_argument('--callers', type=int, default=1)
    parser.add_argument('--items', type=int, default=1000)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--warmup', type=float, default=0.3)
    options = parser.parse_args()
    sys.path.insert(0, os.environ['SUGARPERF_PACKAGE' if options.peer.startswith('ours') else 'PEERS'])
    if options.peer in ('ours', 'asyncpg'):
        clock = asyncio.run(coroutines(SIDES[options.peer], options))
    else:
        clock = threads(SIDES[options.peer], options)
    print(clock.result(BATCH if options.mode == 'acquire' else 1))


if __name__ == '__main__':
    main()
