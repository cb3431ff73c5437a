# SPDX-License-Identifier: MIT
"""Ctrl-C ends what waits, in both faces, and the process ends by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest

from .support import PACKAGE

HEAD = f"""
import asyncio, sys
sys.path[:0] = [{PACKAGE!r}]
import sugarperf
from tests.support import settings
"""
BLOCKING = """
with sugarperf.Client(settings()) as client:
    try:
        for message in client.listen("interrupt"):
            print("ready", flush=True)
    finally:
        print(client.query("SELECT 7 AS n")[0]["n"], flush=True)
"""
HELD = """
with sugarperf.Client(settings()) as client, client.transaction() as tx:
    tx.query("SELECT 1")
    print("ready", flush=True)
    tx.query("SELECT pg_sleep(300)", timeout=300)
"""
ASYNCIO = """
async def main():
    async with sugarperf.AsyncClient(settings()) as client:
        async for message in client.listen("interrupt"):
            print("ready", flush=True)
asyncio.run(main())
"""


class Interrupt(unittest.TestCase):
    def check(self, program: str, rest: str = "") -> None:
        with subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", HEAD + program],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout is not None
            self.assertEqual(running.stdout.readline(), "ready\n")
            running.send_signal(signal.SIGINT)
            said, why = running.communicate(timeout=60)
        self.assertEqual((said, running.returncode), (rest, -signal.SIGINT), why)
        self.assertRegex(why, "KeyboardInterrupt\n$")
        self.assertNotIn("Exception ignored", why)

    def test_a_blocking_wait_ends_and_the_client_goes_on(self) -> None:
        self.check(BLOCKING, "7\n")

    def test_a_statement_in_a_transaction_ends(self) -> None:
        self.check(HELD)

    def test_a_task_ends(self) -> None:
        self.check(ASYNCIO)
