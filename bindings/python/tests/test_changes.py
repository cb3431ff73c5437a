# SPDX-License-Identifier: MIT
"""Rules, what a commit invalidates, and turns of a schedule."""

from __future__ import annotations

import asyncio
import unittest
import uuid
from typing import Any

from .support import settings, table

import sugarperf
from sugarperf import errors


class Case(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.entity = f"e{uuid.uuid4().hex}"
        self.quick = sugarperf.AsyncClient(settings())
        self.addAsyncCleanup(self.quick.close)
        self.client = sugarperf.Client(settings())
        self.addCleanup(self.client.close)
        self.loads = 0

    def load(self) -> int:
        self.loads += 1
        return self.loads


class Rows(Case):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.key = self.quick.cache.template(f"py:{self.entity}:{{id}}:full", ttl="1h").key(7)
        self.client.cache.template(f"py:{self.entity}:{{id}}:full", ttl="1h")
        self.text = f"items(id) when title -> py:{self.entity}:{{id}}:full"

    async def value(self) -> Any:
        return await self.quick.cache.get(self.key, self.load)

    async def test_a_row_says_what_it_touches(self) -> None:
        rules = self.client.rules(self.text)
        touched = rules.explain("items", "update", {"id": 7, "title": "new"}, {"title": "old"})
        self.assertEqual([target["text"] for target in touched["targets"]], [self.key])
        self.assertEqual(rules.explain("items", "update", {"id": 7, "title": "same"}, {"title": "same"})["targets"], [])

    async def test_a_changed_row_invalidates_in_both_faces(self) -> None:
        self.assertEqual((await self.value(), await self.value()), (1, 1))
        await self.quick.rules(self.text).invalidate("items", "insert", {"id": 7, "title": None})
        self.assertEqual(await self.value(), 2)
        rules = self.client.rules(self.text)
        self.assertIsNone(rules.invalidate("items", "delete", {"id": 7, "title": "old"}))
        self.assertEqual(self.client.cache.get(self.key, self.load), 3)

    async def test_what_is_wrong_is_said(self) -> None:
        with self.assertRaisesRegex(errors.InvalidError, "^mine:1: "):
            self.client.rules("items(id) -> py:undeclared:{id}:full", "mine")
        with self.assertRaisesRegex(errors.InvalidError, "one of insert, update"):
            self.client.rules(self.text).explain("items", "upsert")

    async def test_a_commit_invalidates_and_a_rollback_does_not(self) -> None:
        name, rules = table(self), self.quick.rules(self.text)
        self.assertEqual(await self.value(), 1)
        with self.assertRaises(KeyError):
            async with self.quick.transaction() as tx:
                await tx.query(f"UPDATE {name} SET n = 1")
                tx.changed(rules, "items", "delete", {"id": 7})
                tx.invalidate(keys=[self.key])
                raise KeyError
        self.assertEqual(await self.value(), 1)
        async with self.quick.transaction() as tx:
            await tx.query(f"UPDATE {name} SET n = 1")
            tx.changed(rules, "items", "delete", {"id": 7})
        self.assertEqual(await self.value(), 2)
        with self.client.transaction() as blocking:
            blocking.query(f"UPDATE {name} SET n = 2")
            blocking.invalidate(keys=[self.key])
        self.assertEqual(self.client.cache.get(self.key, self.load), 3)


class Feeds(Case):
    async def test_what_anybody_writes_drops_what_stands_behind_it(self) -> None:
        name = table(self)
        writer = sugarperf.Client(settings())
        self.addCleanup(writer.close)
        slot = f"s{uuid.uuid4().hex}"
        limits = {"feed.slot": slot, "feed.publication": slot, "redis.url": None}
        client = sugarperf.AsyncClient({**settings(), **limits})
        try:
            client.cache.template(f"py:{self.entity}:{{id}}:full", ttl="1h")
            feed = client.feed(client.rules(f"{name}(id) -> py:{self.entity}:{{id}}:full"))
            while feed.report()["state"] != "leading":
                self.assertIsNone(feed.report()["fault"])
                await asyncio.sleep(0.02)
            key = f"py:{self.entity}:7:full"
            before = await client.cache.get(key, self.load)
            self.assertEqual(await client.cache.get(key, self.load), before)
            writer.query(f"INSERT INTO {name} VALUES (7, 0)")
            while await client.cache.get(key, self.load) == before:
                await asyncio.sleep(0.02)
            self.assertGreaterEqual(feed.report()["changes"], 1)
        finally:
            await client.close()
            writer.query(f"DROP PUBLICATION IF EXISTS {slot}")
            writer.query(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", [slot]
            )


class Turns(Case):
    async def test_one_process_of_the_fleet_has_the_turn(self) -> None:
        seen: list[str] = []

        async def work(client: sugarperf.AsyncClient, name: str) -> None:
            schedule = client.schedule(self.entity, "every 1s")
            while len(seen) < 3:
                async with schedule.turn():
                    seen.append(name)

        tasks = [asyncio.ensure_future(work(self.quick, name)) for name in ("a", "b")]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.quick.close()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        self.assertTrue(all(end is None or isinstance(end, (errors.ClosedError, errors.CancelledError)) for end in ended), ended)
        self.assertGreaterEqual(len(seen), 3)

    async def test_a_turn_that_failed_is_anybodys(self) -> None:
        schedule = self.client.schedule(self.entity, "start")

        def work() -> str:
            try:
                with schedule.turn():
                    raise ValueError
            except ValueError:
                pass
            with schedule.turn():
                return "again"

        self.assertEqual(await asyncio.to_thread(work), "again")

    async def test_what_is_no_time_is_refused(self) -> None:
        with self.assertRaises(errors.InvalidError):
            self.quick.schedule(self.entity, "sometimes")
