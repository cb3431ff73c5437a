# SPDX-License-Identifier: MIT
"""Nothing is left of operations that ended, whichever way: SP_LEAK_OPERATIONS of them (20,000), 64 at a time."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from .support import settings

import sugarperf

OPERATIONS = int(os.environ.get("SP_LEAK_OPERATIONS", "20000"))
CALLERS = 64


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def some(source: AsyncIterator[Any], count: int) -> None:
    async for _ in source:
        count -= 1
        if count == 0:
            break


class Leak(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        seed = int(os.environ.get("SP_SEED", time.time()))
        print(f"# SP_SEED={seed}")
        self.random = random.Random(seed)
        limits = {"pool__max": 10, "pool__acquire_timeout": "60s", "pool__tx_backoff": "0ms"}
        self.client = sugarperf.AsyncClient(settings(**limits))
        self.addAsyncCleanup(self.client.close)

    async def cancelled(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        for _ in range(self.random.randrange(3)):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def transaction(self, sql: str) -> None:
        async with self.client.transaction() as tx, tx.savepoint():
            await tx.query(sql)

    async def acquire(self) -> None:
        async with self.client.acquire():
            pass

    async def load(self) -> str:
        if self.random.randrange(2):
            raise ValueError("no")
        return "value"

    def kinds(self) -> dict[Callable[[], Awaitable[Any]], int]:
        client = self.client
        series = "SELECT generate_series(1, 30)"
        return {
            lambda: client.query("SELECT $1::int4 AS n, $2::text AS t", [1, "text"]): 400,
            lambda: client.query("SELECT 1 / 0"): 60,
            lambda: client.query("SELECT pg_sleep(10)", timeout="1ms"): 20,
            lambda: self.cancelled(client.query("SELECT pg_sleep(0.01)")): 40,
            lambda: client.batch("SELECT $1::int4", [[1], [2], [3]]): 60,
            lambda: self.transaction("SELECT 1"): 40,
            lambda: self.transaction("SELECT 1 / 0"): 20,
            lambda: self.cancelled(self.transaction("SELECT pg_sleep(0.01)")): 10,
            self.acquire: 20,
            lambda: self.cancelled(self.acquire()): 20,
            lambda: some(client.stream(series, page_size=10), -1): 20,
            lambda: some(client.stream(series, page_size=10), 15): 20,
            lambda: self.cancelled(some(client.stream(series, page_size=10), 15)): 10,
            lambda: some(client.copy_to("COPY (SELECT generate_series(1, 30)) TO STDOUT"), -1): 5,
            lambda: client.copy_from("COPY pg_class FROM STDIN", "nothing\n"): 5,
            lambda: self.cancelled(some(client.listen("leak"), -1)): 10,
            lambda: client.cache.get(f"leak:{self.random.randrange(50)}", self.load): 40,
        }

    async def turn(self, count: int) -> None:
        kinds = self.kinds()
        picked = self.random.choices(list(kinds), list(kinds.values()), k=count)

        async def caller(mine: list[Callable[[], Awaitable[Any]]]) -> None:
            for work in mine:
                with suppress(sugarperf.Error, ValueError):
                    await work()

        await asyncio.gather(*(caller(picked[i::CALLERS]) for i in range(CALLERS)))
        gc.collect()
        # The ear's session may stand.
        while self.client.pool_stats()["active"] > 1:
            await asyncio.sleep(0)

    async def test_memory_descriptors_and_sessions_do_not_grow(self) -> None:
        await self.turn(OPERATIONS // 4)
        memory, fds = [resident()], [descriptors()]
        for _ in range(3):
            await self.turn(OPERATIONS // 4)
            memory.append(resident())
            fds.append(descriptors())
        self.assertLess(memory[3] - memory[0], 8e6 + 50 * OPERATIONS, f"resident: {memory}")
        self.assertLessEqual(fds[3] - fds[0], 20, f"descriptors: {fds}")
        self.assertEqual(self.client.pool_stats()["waiting"], 0)
        self.assertEqual(self.client._held._ends, {})
