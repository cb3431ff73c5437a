# SPDX-License-Identifier: MIT
"""A scope holds for all calls inside it, however deep, and for nobody else; a transaction is one."""

from __future__ import annotations

import asyncio
import unittest

from .support import fresh, settings

import sugarperf
from sugarperf import errors


class Blocking(unittest.TestCase):
    def test_a_deadline_holds_for_all_that_runs_inside(self) -> None:
        with sugarperf.Client(settings()) as client:
            with self.assertRaises(TimeoutError), client.scope(timeout="1m"), client.scope(timeout=0.1, tag="inner"):
                while True:
                    client.query("SELECT pg_sleep(0.02)")
            self.assertEqual(client.query("SELECT 1 AS one"), [{"one": 1}])
            with self.assertRaisesRegex(errors.InvalidError, "nowhere"), client.scope(reads="nowhere"):
                self.fail("it began")

    def test_what_is_loaded_inside_a_transaction_is_not_kept(self) -> None:
        loads = iter(range(1, 10))
        with sugarperf.Client(settings()) as client:
            key = fresh("scope")
            with client.transaction() as tx:
                tx.query("SELECT 1")
                self.assertEqual(client.cache.get(key, lambda: next(loads)), 1)
            self.assertEqual([client.cache.get(key, lambda: next(loads)) for _ in range(2)], [2, 2])

    def test_a_scope_says_what_its_reads_may_take_from_the_cache(self) -> None:
        loads = iter(range(1, 10))
        with sugarperf.Client(settings()) as client:
            key = fresh("scope")

            def get() -> int:
                return int(client.cache.get(key, lambda: next(loads)))

            def many() -> int:
                return int(client.cache.get_many([key], lambda missing: {key: next(loads)})[key])

            self.assertEqual((get(), get()), (1, 1))
            with client.scope(cache="bypass"):
                self.assertEqual((get(), many()), (2, 3))
            self.assertEqual(get(), 1)
            with client.scope(cache="read"):
                self.assertEqual(get(), 1)
            with client.scope(cache="refresh"), client.scope("inner"):
                self.assertEqual((get(), many()), (4, 5))
            self.assertEqual((get(), many()), (5, 5))


class Asyncio(unittest.IsolatedAsyncioTestCase):
    async def test_tasks_have_scopes_of_their_own(self) -> None:
        async with sugarperf.AsyncClient(settings()) as client:

            async def limited() -> str:
                with client.scope(timeout=0.1):
                    await client.query("SELECT pg_sleep(0.3)")
                return "done"

            async def free() -> str:
                await client.query("SELECT pg_sleep(0.3)")
                return "done"

            first, second = await asyncio.gather(limited(), free(), return_exceptions=True)
            self.assertIsInstance(first, TimeoutError)
            self.assertEqual(second, "done")

    async def test_what_others_load_while_a_transaction_is_open_is_kept(self) -> None:
        loads = iter(range(1, 10))

        async def load() -> int:
            return next(loads)

        async with sugarperf.AsyncClient(settings()) as client:
            inside, outside = fresh("scope"), fresh("scope")
            begun, end = asyncio.Event(), asyncio.Event()

            async def work(tx: sugarperf.AsyncTransaction) -> None:
                await tx.query("SELECT 1")
                self.assertEqual(await client.cache.get(inside, load), 1)
                begun.set()
                await end.wait()

            running = asyncio.create_task(client.transact(work))
            await begun.wait()
            self.assertEqual([await client.cache.get(outside, load) for _ in range(2)], [2, 2])
            end.set()
            await running
            self.assertEqual([await client.cache.get(inside, load) for _ in range(2)], [3, 3])
