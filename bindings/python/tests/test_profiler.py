# SPDX-License-Identifier: MIT
"""The profiler's reports, findings, plans, advice and spans, as a service sees them, in both faces."""

from __future__ import annotations

import asyncio
import unittest
import uuid
from typing import Any

from .support import settings

import sugarperf
from sugarperf import errors

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Profiler(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.entity = f"e{uuid.uuid4().hex}"
        self.quick = sugarperf.AsyncClient(settings())
        self.addAsyncCleanup(self.quick.close)
        self.client = sugarperf.Client(settings(profiler__slow="50ms"))
        self.addCleanup(self.client.close)
        self.statement = sugarperf.Statement(self.entity, "SELECT oid FROM pg_class WHERE relname = $1", read=True)

    async def test_an_n_plus_1_is_told_once_with_the_statement_that_would_do(self) -> None:
        events = self.quick.profiler.events()
        with self.quick.scope("GET /relations"):
            for name in ("pg_class", "pg_type", "c", "d", "e", "f"):
                await self.quick.query(self.statement, [name])
        event = await anext(events)
        self.assertEqual((event["kind"], event["place"], event["runs"]), ("n+1", "GET /relations", 6))
        self.assertEqual(event["instead"], "SELECT relname, oid FROM pg_class WHERE relname = ANY($1)")
        self.assertEqual(self.quick.profiler.report()["findings"][0]["kind"], "n+1")
        waits = asyncio.ensure_future(anext(events, "ended"))
        await asyncio.sleep(0)
        await self.quick.close()
        self.assertEqual(await waits, "ended")

    def test_the_slow_log_has_timings_and_who_asked(self) -> None:
        sleeper = sugarperf.Statement("sleeper", "SELECT pg_sleep(0.1), 'hunter2'")
        with self.client.scope("job", tag="nightly", trace=TRACE):
            self.client.query(sleeper)
        event = next(event for event in self.client.profiler.events() if event["name"] == "sleeper")
        slow = next(entry for entry in self.client.profiler.slow() if entry["name"] == "sleeper")
        self.assertEqual((event["kind"], event["tag"], event["scope"]), ("slow", "nightly", "job"))
        self.assertGreaterEqual(slow["execute"], 100)
        said = [slow[name] for name in ("rows", "status", "sqlstate", "tag", "trace", "scope", "plan")]
        self.assertEqual(said, [1, "SP_OK", "", "nightly", TRACE, "job", ""])
        self.assertNotIn("hunter2", str((event, slow)))
        self.assertEqual((self.client.profiler.slow_missed, self.client.profiler.slow_limited), (0, 0))

    async def test_a_plan_advice_and_what_the_server_knows_in_both_faces(self) -> None:
        await self.quick.query(self.statement, ["pg_class"])
        self.client.query(self.statement, ["pg_class"])
        report = self.quick.profiler.report()
        self.assertIn(self.entity, [found["name"] for found in report["statements"]])
        self.assertLessEqual(len(self.quick.profiler.report(top=1)["statements"]), 1)
        plan = await self.quick.profiler.explain(self.entity)
        self.assertEqual(plan["name"], self.entity)
        self.assertEqual(self.client.profiler.explain(self.entity)["plan"], plan["plan"])
        with self.assertRaises(errors.NotFoundError):
            self.client.profiler.explain("nobody ran it")
        advice: dict[str, Any] = await self.quick.profiler.advise(timeout=20)
        self.assertEqual(advice["indexes"], [])
        self.assertEqual(self.client.profiler.advise(timeout=20)["pool"], "default")
        server = await self.quick.profiler.server()
        self.assertEqual(server["version"], self.client.profiler.server()["version"])
        self.assertIsInstance(server["lacks"], list)
        with self.assertRaises(errors.NotFoundError):
            await self.quick.profiler.server("nowhere")

    async def test_statements_under_a_sampled_trace_are_spans_under_it(self) -> None:
        spans = self.quick.profiler.spans()
        first = asyncio.ensure_future(anext(spans))
        await asyncio.sleep(0)
        with self.quick.scope(trace=TRACE):
            await self.quick.query(self.statement, ["pg_class"])
        span = next(span for span in (await first)["spans"] if span["name"] == self.entity)
        self.assertEqual((span["traceId"], span["parentSpanId"]), (TRACE[3:35], TRACE[36:52]))


if __name__ == "__main__":
    unittest.main()
