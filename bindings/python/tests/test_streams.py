# SPDX-License-Identifier: MIT
"""Rows, COPY and messages as iterators of both faces: complete, in order, in bounded memory, given back whenever they end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import unittest
from collections.abc import AsyncIterator, Iterator
from typing import Any

from .support import fresh, settings, table

import sugarperf
from sugarperf import errors

PATIENT = {"pool__statement_timeout": "1m", "pool__query_timeout": "1m"}
SERIES = "SELECT i FROM generate_series(1, $1::int4) i"
MANY = "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"


def lines(start: int, end: int) -> Iterator[str]:
    for i in range(start, end):
        yield f"{i}\t{i}\n"


def dry() -> Iterator[str]:
    yield "1000\t1\n"
    raise RuntimeError("the source is dry")


class Blocking(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings(pool__max=2, **PATIENT))
        self.addCleanup(self.client.close)

    def idle(self) -> None:
        while self.client.pool_stats()["active"]:
            pass

    def test_every_row_comes_once_in_order(self) -> None:
        for count, page_size in ((0, 10), (1, 10), (10, 10), (25, 10), (2500, 0)):
            rows = [row["i"] for row in self.client.stream(SERIES, [count], page_size=page_size)]
            self.assertEqual(rows, list(range(1, count + 1)))
        self.idle()

    def test_one_that_is_left_early_or_never_begun_holds_nothing(self) -> None:
        for _ in range(20):
            self.client.stream(SERIES, [10])
            for row in self.client.stream(SERIES, [100000], page_size=10):
                if row["i"] == 15:
                    break
        self.idle()

    def test_what_the_server_says_is_raised(self) -> None:
        rows = self.client.stream("SELECT 10 / (3 - i) AS n FROM generate_series(1, 5) i", page_size=1)
        self.assertEqual([next(rows)["n"], next(rows)["n"]], [5, 10])
        with self.assertRaises(sugarperf.SqlError):
            next(rows)
        with self.assertRaises(errors.InvalidError):
            next(self.client.stream("DELETE FROM pg_class"))
        self.idle()

    def test_copy(self) -> None:
        name = table(self)
        into = f"COPY {name} FROM STDIN"
        self.assertEqual(self.client.copy_from(into, "2\t2\n3\t3\n"), 2)
        self.assertEqual(self.client.copy_from(into, [b"4\t", bytearray(b"4\n")]), 1)
        self.assertEqual(self.client.copy_from(into, lines(1000, 51000)), 50000)
        for source, kind in ((dry(), RuntimeError), ("5\t5\n5\t5\n", sugarperf.SqlError), ([7], TypeError)):
            with self.assertRaises(kind):
                self.client.copy_from(into, source)
        self.assertEqual(self.client.query(f"SELECT count(*)::int4 AS n FROM {name}"), [{"n": 50004}])
        data = b"".join(self.client.copy_to(f"COPY (SELECT id FROM {name} ORDER BY id LIMIT 3) TO STDOUT"))
        self.assertEqual(data, b"1\n2\n3\n")
        for _ in range(3):
            for chunk in self.client.copy_to(MANY):
                self.assertTrue(chunk.endswith(b"\n"))
                break
        self.idle()

    def test_a_listener_hears_until_its_client_ends(self) -> None:
        channel = fresh("python")
        heard = self.client.listen(channel)
        self.assertEqual(next(heard), {"channel": channel, "notice": "listening", "lost": False})
        self.client.query("SELECT pg_notify($1, 'one')", [channel])
        self.assertEqual(next(heard)["payload"], "one")
        self.client.close()
        self.assertEqual(list(heard), [])


class Asyncio(unittest.IsolatedAsyncioTestCase):
    async def open(self, **more: Any) -> sugarperf.AsyncClient:
        client = sugarperf.AsyncClient(settings(**more))
        self.addAsyncCleanup(client.close)
        return client

    async def idle(self, client: sugarperf.AsyncClient) -> None:
        while client.pool_stats()["active"]:
            await asyncio.sleep(0)

    async def test_every_row_comes_once_in_order(self) -> None:
        client = await self.open()
        for count, page_size in ((0, 10), (1, 10), (25, 10), (2500, 0)):
            rows = [row["i"] async for row in client.stream(SERIES, [count], page_size=page_size)]
            self.assertEqual(rows, list(range(1, count + 1)))

    async def test_one_that_is_left_early_or_never_begun_holds_nothing(self) -> None:
        client = await self.open(pool__max=2)
        for _ in range(20):
            client.stream(SERIES, [10])
            async for row in client.stream(SERIES, [100000], page_size=10):
                if row["i"] == 15:
                    break
        async with contextlib.aclosing(client.stream(SERIES, [100])) as rows:
            async for row in rows:
                break
        gc.collect()
        await self.idle(client)

    async def test_a_cancelled_task_ends_what_it_waits_for(self) -> None:
        client = await self.open(pool__max=2)

        async def slow() -> None:
            async for _ in client.stream("SELECT pg_sleep(30)"):
                pass

        async def held() -> None:
            async with client.transaction() as tx:
                await tx.query("SELECT pg_sleep(30)")

        async def acquiring() -> None:
            async with client.acquire():
                await asyncio.sleep(300)

        for work in (slow, held):
            task = asyncio.create_task(work())
            while not client.pool_stats()["active"]:
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await self.idle(client)
        # Cancelled before, while and after the session was on its way, and when it was there but the task did not know.
        queue = client._queues[asyncio.get_running_loop()]()
        for turn in range(20):
            task = asyncio.create_task(acquiring())
            await asyncio.sleep(0)
            while turn % 2 and queue._pending:
                queue.drain()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await self.idle(client)

    async def test_copy(self) -> None:
        client, name = await self.open(**PATIENT), table(self)
        into = f"COPY {name} FROM STDIN"

        async def source() -> AsyncIterator[str]:
            for line in lines(100, 200):
                await asyncio.sleep(0)
                yield line

        self.assertEqual(await client.copy_from(into, source()), 100)
        self.assertEqual(await client.copy_from(into, lines(1000, 51000)), 50000)
        with self.assertRaisesRegex(RuntimeError, "dry"):
            await client.copy_from(into, dry())
        data = b"".join([chunk async for chunk in client.copy_to(f"COPY (SELECT id FROM {name}) TO STDOUT")])
        self.assertEqual(data.count(b"\n"), 50101)
        async for chunk in client.copy_to(MANY):
            self.assertTrue(chunk.endswith(b"\n"))
            break
        await self.idle(client)

    async def test_a_listener_hears_what_is_sent_and_is_told_when_something_may_be_missing(self) -> None:
        channel = fresh("python")
        client = await self.open(pool__application_name=channel)
        heard = client.listen(channel)
        self.assertEqual(await anext(heard), {"channel": channel, "notice": "listening", "lost": False})
        await client.query("SELECT pg_notify($1, 'one')", [channel])
        self.assertEqual((await anext(heard))["payload"], "one")
        others = "FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()"
        await client.query(f"SELECT pg_terminate_backend(pid) {others}", [channel])
        self.assertEqual(await anext(heard), {"channel": channel, "notice": "listening", "lost": True})
        rest = asyncio.create_task(anext(heard, None))
        await asyncio.sleep(0)
        await client.close()
        self.assertIsNone(await rest)

    async def test_a_transaction_is_made_again_with_savepoints_and_batches(self) -> None:
        client, name = await self.open(pool__tx_attempts=3, pool__tx_backoff="1ms"), table(self)
        calls = 0

        async def work(tx: sugarperf.AsyncTransaction) -> int:
            nonlocal calls
            calls += 1
            await tx.query(f"SELECT n FROM {name}")
            if calls < 3:
                await client.query(f"UPDATE {name} SET n = n + 100")
            with contextlib.suppress(RuntimeError):
                async with tx.savepoint():
                    await tx.query(f"UPDATE {name} SET n = n + 1")
                    raise RuntimeError("taken back")
            await tx.batch(f"UPDATE {name} SET n = n + $1", [[1], [2]])
            return calls

        self.assertEqual(await client.transact(work, isolation="repeatable read"), 3)
        self.assertEqual(await client.query(f"SELECT n FROM {name}"), [{"n": 203}])

    async def test_the_pool_tells_of_a_session_that_is_kept_and_is_resized(self) -> None:
        client = await self.open(pool__max=2, pool__leak_after="100ms")
        pool = client.pool()
        events = pool.events()
        async with pool.acquire():
            event = await anext(events)
        self.assertEqual((event["kind"], event["heldMs"] >= 100), ("leak", True))
        pool.resize(8)
        self.assertEqual(((await pool.advice())["max"], pool.stats()["max"]), (8, 8))
        with self.assertRaises(errors.InvalidError):
            pool.resize(0)
        await events.aclose()
