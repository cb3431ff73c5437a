# SPDX-License-Identifier: MIT
"""One side of the pool's benchmarks in Python: asyncpg, psycopg, or the binding (`--peer`), each as its guide advises.

Coroutines of one thread ("ours", "asyncpg", "psycopg-async"), or a thread a caller ("ours-threads", "psycopg").
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
ROWS = 10_000
MEMORY_SAMPLES = 1000
MANY = f'SELECT id, title FROM bench_items WHERE id <= {ROWS}'


def resident():
    with open('/proc/self/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Clock:
    """Warm-up and measured time of all callers; what they did in it."""

    def __init__(self, options):
        self.options, self.samples, self.going, self.measuring = options, [], True, False
        self.ops = self.grown = 0

    def measure(self, sleep):
        """Steps of the main flow: yields what is to be awaited or slept."""
        yield sleep(self.options.warmup)
        print('start', flush=True)
        held = resident()
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        self.measuring = True
        yield sleep(self.options.seconds)
        self.measuring = self.going = False
        after, end = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        print('stop', flush=True)
        self.grown = max(1, resident() - held)
        self.used = (end - begin, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)

    def item(self):
        return random.randrange(1, self.options.items + 1)

    def took(self, begin):
        if self.measuring:
            if self.options.count == 'memory' and len(self.samples) == MEMORY_SAMPLES:
                # More of them would be most of what grows.
                self.ops += 1
            else:
                self.samples.append((time.perf_counter() - begin) * 1e6)

    def result(self, batch):
        """The line that the harness reads; percentiles are of one operation."""
        seconds, user, system = self.used
        ordered = sorted(self.samples)
        return json.dumps({'ops': (self.ops + len(ordered)) * batch, 'count': self.grown, 'seconds': seconds, 'p50_us': ordered[len(ordered) // 2] / batch,
                           'p99_us': ordered[len(ordered) * 99 // 100] / batch, 'user_cpu': user, 'sys_cpu': system})


def check(row, item):
    if row != item:
        raise RuntimeError('the SELECT did not find its row')


def check_all(found):
    if len(found) != ROWS:
        raise RuntimeError(f'the SELECT found {len(found)} rows')


def ours_async(url):
    from sugarperf import AsyncClient
    client = AsyncClient({'pool.url': url})

    async def select(item):
        check((await client.query(SQL, [item]))[0]['id'], item)

    async def acquire():
        async with client.acquire():
            pass

    async def rows():
        check_all(await client.query(MANY))
    return {'select': select, 'acquire': acquire, 'rows': rows}, client.close


async def asyncpg_side(url):
    import asyncpg
    pool = await asyncpg.create_pool(url)

    async def select(item):
        check((await pool.fetchrow(SQL, item))['id'], item)

    async def acquire():
        async with pool.acquire():
            pass

    async def rows():
        check_all(await pool.fetch(MANY))
    return {'select': select, 'acquire': acquire, 'rows': rows}, pool.close


def wants_c():
    from psycopg import pq
    if pq.__impl__ != 'c':
        sys.exit(f'psycopg runs as "{pq.__impl__}", not as C')


async def psycopg_async(url):
    import psycopg_pool
    wants_c()
    pool = psycopg_pool.AsyncConnectionPool(url, kwargs={'autocommit': True}, open=False)
    await pool.open(wait=True)

    async def select(item):
        async with pool.connection() as conn:
            check((await (await conn.execute(FORMATTED, (item,), prepare=True)).fetchone())[0], item)

    async def acquire():
        async with pool.connection():
            pass

    async def rows():
        async with pool.connection() as conn:
            check_all(await (await conn.execute(MANY, prepare=True)).fetchall())
    return {'select': select, 'acquire': acquire, 'rows': rows}, pool.close


def ours_threads(url):
    from sugarperf import Client
    client = Client({'pool.url': url})

    def select(item):
        check(client.query(SQL, [item])[0]['id'], item)

    def acquire():
        with client.acquire():
            pass

    def rows():
        check_all(client.query(MANY))
    return {'select': select, 'acquire': acquire, 'rows': rows}, client.close


def psycopg_side(url):
    import psycopg_pool
    wants_c()
    pool = psycopg_pool.ConnectionPool(url, kwargs={'autocommit': True}, open=True)

    def select(item):
        with pool.connection() as conn:
            check(conn.execute(FORMATTED, (item,), prepare=True).fetchone()[0], item)

    def acquire():
        with pool.connection():
            pass

    def rows():
        with pool.connection() as conn:
            check_all(conn.execute(MANY, prepare=True).fetchall())
    return {'select': select, 'acquire': acquire, 'rows': rows}, pool.close


async def coroutines(side, options):
    side = side(options.url)
    calls, close = await side if asyncio.iscoroutine(side) else side
    select, call, clock = calls['select'], calls[options.mode], Clock(options)

    async def caller():
        while clock.going:
            begin = time.perf_counter()
            if options.mode == 'select':
                await select(clock.item())
            else:
                for _ in range(options.batch):
                    await call()
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
    calls, close = side(options.url)
    select, call, clock = calls['select'], calls[options.mode], Clock(options)

    def caller():
        try:
            while clock.going:
                begin = time.perf_counter()
                if options.mode == 'select':
                    select(clock.item())
                else:
                    for _ in range(options.batch):
                        call()
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


SIDES = {'ours': ours_async, 'asyncpg': asyncpg_side, 'psycopg-async': psycopg_async, 'ours-threads': ours_threads,
         'psycopg': psycopg_side}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--url', required=True)
    parser.add_argument('--peer', required=True, choices=SIDES)
    parser.add_argument('--mode', default='select', choices=('select', 'acquire', 'rows'))
    parser.add_argument('--callers', type=int, default=1)
    parser.add_argument('--items', type=int, default=1000)
    parser.add_argument('--count', choices=('memory',))
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--warmup', type=float, default=0.3)
    options = parser.parse_args()
    options.batch = BATCH if options.mode == 'acquire' else 1
    sys.path.insert(0, os.environ['SUGARPERF_PACKAGE' if options.peer.startswith('ours') else 'PEERS'])
    if options.peer in ('ours', 'asyncpg', 'psycopg-async'):
        clock = asyncio.run(coroutines(SIDES[options.peer], options))
    else:
        clock = threads(SIDES[options.peer], options)
    print(clock.result(options.batch))


if __name__ == '__main__':
    main()
