# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import datetime
import gc
import unittest
import weakref

from .support import fresh, settings

import sugarperf
from sugarperf import errors


class Asyncio(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.client = sugarperf.AsyncClient(settings())
        self.addAsyncCleanup(self.client.close)
        self.cache = self.client.cache

    async def test_hundreds_of_concurrent_callers_each_get_their_own_answer(self) -> None:
        answers = await asyncio.gather(*(self.client.query("SELECT $1::int4 AS n", [i]) for i in range(512)))
        self.assertEqual([rows[0]["n"] for rows in answers], list(range(512)))

    async def test_one_statement_that_fails_touches_nobody_else(self) -> None:
        answers = await asyncio.gather(
            *(self.client.query("SELECT 10 / $1::int4 AS n", [i % 2]) for i in range(64)), return_exceptions=True
        )
        for i, answer in enumerate(answers):
            if i % 2:
                self.assertEqual(answer, [{"n": 10}])
            else:
                self.assertIsInstance(answer, sugarperf.SqlError)
                self.assertEqual(answer.sqlstate, "22012")

    async def test_500_callers_on_a_cold_key_make_one_load(self) -> None:
        key, loads = fresh("python:acold"), 0

        async def load() -> dict[str, list[int]]:
            nonlocal loads
            loads += 1
            await asyncio.sleep(0)
            return {"items": [1, 2]}

        values = await asyncio.gather(*(self.cache.get(key, load) for _ in range(500)))
        self.assertEqual((loads, values), (1, [{"items": [1, 2]}] * 500))

    async def test_a_loader_that_raises_fails_its_caller_alone(self) -> None:
        key, loads = fresh("python:araises"), 0

        async def load() -> str:
            nonlocal loads
            loads += 1
            await asyncio.sleep(0)
            if loads == 1:
                raise RuntimeError("first one fails")
            return "good"

        answers = await asyncio.gather(*(self.cache.get(key, load) for _ in range(20)), return_exceptions=True)
        self.assertEqual([str(answer) for answer in answers if answer != "good"], ["first one fails"])
        self.assertEqual(loads, 2)

    async def test_a_cancelled_task_cancels_its_query_and_gives_its_lease_back(self) -> None:
        query = asyncio.create_task(self.client.query("SELECT pg_sleep(30)"))
        key, started = fresh("python:acancel"), asyncio.Event()

        async def load() -> str:
            started.set()
            await asyncio.Event().wait()
            return "never"

        async def good() -> str:
            return "good"

        get = asyncio.create_task(self.cache.get(key, load))
        await started.wait()
        for task in (query, get):
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        self.assertEqual(await self.cache.get(key, good), "good")

    async def test_a_timeout_ends_the_callers_own_load_and_gives_the_lease_back(self) -> None:
        key, cancelled = fresh("python:alate"), False

        async def load() -> str:
            nonlocal cancelled
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise
            return "never"

        # On a busy machine the time may be over before the loader's turn.
        while not cancelled:
            with self.assertRaises(TimeoutError) as caught:
                await self.cache.get(key, load, timeout=0.1)
            self.assertEqual(caught.exception.code, "SP_TIMEOUT")
        self.assertEqual(await self.cache.get(key, lambda: "good", timeout="60s"), "good")
        self.assertEqual(await self.cache.get(key, lambda: self.fail("loaded twice")), "good")

    async def test_a_loaders_own_timeout_stays_its_own(self) -> None:
        async def load() -> str:
            raise TimeoutError("mine")

        with self.assertRaisesRegex(TimeoutError, "mine"):
            await self.cache.get(fresh("python:amine"), load, timeout=60)

    async def test_plain_functions_load_and_answer_too(self) -> None:
        key = fresh("python:aplain")
        self.assertEqual(await self.cache.get(key, lambda: {"plain": 1}), {"plain": 1})
        self.assertEqual(await self.cache.get(key, lambda: self.fail("loaded twice")), {"plain": 1})
        later = fresh("python:alambda")
        self.assertEqual(await self.cache.get(later, lambda: self.client.query("SELECT 1 AS one")), [{"one": 1}])
        self.assertEqual(await self.client.breaker("plain").run_async(lambda: 1), 1)
        self.assertEqual(await self.client.policy("plain").run_async(lambda attempt: attempt.number), 1)

    async def test_an_invalidation_takes_a_timeout(self) -> None:
        key = fresh("python:atime")
        self.assertEqual(await self.cache.get(key, lambda: 1), 1)
        await self.cache.invalidate(keys=[key], timeout="60s")
        self.assertEqual(await self.cache.get(key, lambda: 2), 2)
        with self.assertRaisesRegex(errors.InvalidError, "timeout"):
            await self.cache.invalidate(keys=[key], timeout="soon")

    async def test_a_timeout_is_the_builtin_one_too(self) -> None:
        with self.assertRaises(TimeoutError) as caught:
            await self.client.query("SELECT pg_sleep(30)", timeout=0.05)
        self.assertEqual(caught.exception.code, "SP_TIMEOUT")

    async def test_the_event_loop_turns_while_a_slow_query_runs(self) -> None:
        query = asyncio.create_task(self.client.query("SELECT pg_sleep(0.3)"))
        turns = 0
        while not query.done() and turns < 100:
            turns += 1
            await asyncio.sleep(0)
        self.assertEqual(turns, 100)
        await query

    async def test_invalidation_by_key_and_tag(self) -> None:
        key, tag, loads = fresh("python:ainvalidate"), fresh("tag"), 0

        async def load() -> int:
            nonlocal loads
            loads += 1
            return loads

        self.assertEqual(await self.cache.get(key, load, tags=[tag]), 1)
        await self.cache.invalidate(keys=[key])
        self.assertEqual(await self.cache.get(key, load, tags=[tag]), 2)
        await self.cache.invalidate(tags=[tag])
        self.assertEqual(await self.cache.get(key, load, tags=[tag]), 3)

    async def test_query_through_the_cache(self) -> None:
        key, sql = fresh("python:aquery"), "SELECT clock_timestamp()::text AS at"
        first = await self.cache.query(key, sql)
        self.assertEqual(await self.cache.query(key, sql), first)

    async def test_a_transaction_and_a_session(self) -> None:
        async with self.client.transaction() as session:
            await session.query("CREATE TEMPORARY TABLE python_async (id int) ON COMMIT DROP")
            await session.query("INSERT INTO python_async VALUES (1)")
            self.assertEqual(await session.query("SELECT id FROM python_async"), [{"id": 1}])
        with self.assertRaises(errors.ClosedError):
            await session.query("SELECT 1")

    async def test_a_timedelta_is_an_interval(self) -> None:
        span = datetime.timedelta(days=1, seconds=-90)
        rows = await self.client.query("SELECT extract(epoch FROM $1::interval)::int AS seconds", [span])
        self.assertEqual(rows, [{"seconds": 86310}])

    async def test_the_breaker_around_coroutines(self) -> None:
        breaker = self.client.breaker("async-payments")

        async def fail() -> str:
            raise ConnectionError("down")

        async def fallback(error: Exception) -> str:
            return "fallback"

        for _ in range(5):
            with self.assertRaises(ConnectionError):
                await breaker.run_async(fail)
        self.assertEqual(await breaker.run_async(fail, fallback), "fallback")
        self.assertEqual(breaker.state, "OPEN")

    async def test_health_is_that_of_the_whole(self) -> None:
        health = await self.client.health(timeout="5s")
        self.assertEqual((health["status"], health["pools"], health["redis"]["status"]), ("healthy", {}, "connected"))
        self.assertIn("poolMetrics", await self.client.pool().health())

    async def test_close_settles_what_is_under_way(self) -> None:
        async with sugarperf.AsyncClient(settings()) as client:
            tasks = [asyncio.create_task(client.query("SELECT pg_sleep(0.02)")) for _ in range(100)]
            await client.query("SELECT 1")
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            self.assertTrue(isinstance(answer, (list, errors.ClosedError)), repr(answer))


class Loops(unittest.TestCase):
    def test_one_client_serves_several_event_loops_in_turn(self) -> None:
        client = sugarperf.AsyncClient(settings())

        async def one() -> int:
            return (await client.query("SELECT 1 AS one"))[0]["one"]

        self.assertEqual([asyncio.run(one()) for _ in range(3)], [1, 1, 1])
        asyncio.run(client.close())


class Loops(unittest.TestCase):
    def test_a_loop_that_was_closed_is_not_kept_by_its_client(self) -> None:
        client = sugarperf.AsyncClient(settings())
        kept = []
        for _ in range(3):
            loop = asyncio.new_event_loop()
            self.assertEqual(loop.run_until_complete(client.query("SELECT 1 AS one")), [{"one": 1}])
            loop.close()
            kept.append(weakref.ref(loop))
        del loop
        gc.collect()
        self.assertEqual([ref() for ref in kept], [None, None, None])
        asyncio.run(client.close())
