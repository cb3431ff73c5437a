# SPDX-License-Identifier: MIT
"""A client that nobody closes is closed by the collector, or at the exit, and says so."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import unittest
import warnings

from .support import PACKAGE, fresh, settings

import sugarperf


class Collected(unittest.TestCase):
    def setUp(self) -> None:
        self.name = fresh("python-life")
        self.settings = settings(pool__application_name=self.name)

    def wait_until_gone(self) -> None:
        """Its connections are the server's to count."""
        with sugarperf.Client(settings()) as client:
            while client.query("SELECT 1 FROM pg_stat_activity WHERE application_name = $1", [self.name]):
                pass

    def test_the_collector_closes_a_blocking_client(self) -> None:
        client = sugarperf.Client(self.settings)
        self.assertEqual(client.query("SELECT 1 AS one"), [{"one": 1}])
        with self.assertWarnsRegex(ResourceWarning, "unclosed <sugarperf.Client open>: close it"):
            del client
            gc.collect()
        self.wait_until_gone()

    def test_what_belongs_to_a_client_keeps_it(self) -> None:
        cache, breaker = (client := sugarperf.Client(self.settings)).cache, client.breaker("kept")
        key = fresh("python:kept")
        del client
        gc.collect()
        self.assertEqual(cache.get(key, lambda: 1), 1)
        del cache
        gc.collect()
        with self.assertWarns(ResourceWarning):
            self.assertEqual(breaker.state, "CLOSED")
            del breaker
            gc.collect()
        self.wait_until_gone()

    def test_the_collector_closes_an_asyncio_client(self) -> None:
        async def use() -> None:
            client = sugarperf.AsyncClient(self.settings)
            self.assertEqual(await client.query("SELECT 1 AS one"), [{"one": 1}])
            with self.assertWarnsRegex(ResourceWarning, "unclosed <sugarperf.AsyncClient open>"):
                del client
                gc.collect()

        asyncio.run(use())
        self.wait_until_gone()

    def test_a_closed_client_says_nothing(self) -> None:
        client = sugarperf.Client(self.settings)
        client.query("SELECT 1")
        client.close()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            del client
            gc.collect()
        self.assertEqual(said, [])


class Exit(unittest.TestCase):
    def check(self, program: str) -> None:
        head = (
            f"import sys, threading; sys.path[:0] = [{PACKAGE!r}]\n"
            "import sugarperf\n"
            "from tests.support import settings\n"
            "client = sugarperf.Client(settings())\n"
            "kept = [client.query('SELECT 1 AS one'), client]\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "always::ResourceWarning", "-c", head + program + "print('end', flush=True)\n"],
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual((done.returncode, done.stdout), (0, "end\n"), done.stderr)
        self.assertIn("ResourceWarning: unclosed <sugarperf.Client open>", done.stderr)
        self.assertNotIn("Exception ignored", done.stderr)

    def test_the_process_ends_with_a_client_open(self) -> None:
        self.check("")

    def test_a_forked_child_ends_and_its_parent_goes_on(self) -> None:
        self.check(
            "import os\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    with sugarperf.Client(settings()) as own:\n"
            "        sys.exit(own.query('SELECT 7 AS seven')[0]['seven'])\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
            "assert client.query('SELECT 1 AS one') == kept[0]\n"
        )

    def test_the_process_ends_with_a_thread_inside(self) -> None:
        self.check(
            "wait = lambda: client.query('SELECT pg_sleep(300)', timeout=300)\n"
            "threading.Thread(target=wait, daemon=True).start()\n"
            "while client.pool_stats()['active'] == 0:\n    pass\n"
        )
