# SPDX-License-Identifier: MIT
"""Transactions of the blocking face: all or nothing, again where the library says so, savepoints, nothing left behind."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from .support import settings, table

import sugarperf
from sugarperf import errors


class Contention:
    """A rival changes the row between look and change, as often as said."""

    def __init__(self, client: sugarperf.Client, name: str, rivalries: int) -> None:
        self.client, self.name, self.rivalries, self.calls = client, name, rivalries, 0

    def __call__(self, tx: sugarperf.Transaction) -> int:
        self.calls += 1
        tx.query(f"SELECT n FROM {self.name} WHERE id = 1")
        if self.calls <= self.rivalries:
            self.client.query(f"UPDATE {self.name} SET n = n + 100 WHERE id = 1")
        tx.query(f"UPDATE {self.name} SET n = n + 1 WHERE id = 1")
        return self.calls


class Transactions(unittest.TestCase):
    def open(self, **more: Any) -> sugarperf.Client:
        client = sugarperf.Client(settings(**more))
        self.addCleanup(client.close)
        self.name = table(self)
        return client

    def test_it_commits_or_takes_back(self) -> None:
        client = self.open()
        with client.transaction() as tx:
            tx.query(f"INSERT INTO {self.name} VALUES (2, 5)")
        with self.assertRaisesRegex(RuntimeError, "no"), client.transaction() as tx:
            tx.query(f"INSERT INTO {self.name} VALUES (3, 5)")
            raise RuntimeError("no")
        self.assertEqual([row["id"] for row in client.query(f"SELECT id FROM {self.name} ORDER BY id")], [1, 2])
        with self.assertRaises(errors.ClosedError):
            tx.query("SELECT 1")

    def test_a_serialization_failure_is_tried_again_as_often_as_the_pool_says(self) -> None:
        client = self.open(pool__tx_attempts=3, pool__tx_backoff="1ms")
        self.assertEqual(client.transact(Contention(client, self.name, 2), isolation="repeatable read"), 3)
        self.assertEqual(client.query(f"SELECT n FROM {self.name}")[0]["n"], 201)
        with self.assertRaises(sugarperf.SqlError) as caught:
            client.transact(Contention(client, self.name, 1000), isolation="serializable")
        self.assertEqual(caught.exception.sqlstate, "40001")
        self.assertEqual(client.query(f"SELECT n FROM {self.name}")[0]["n"], 501)
        self.assertRegex(client.metrics(), r"sugarperf_pool_retries_total\{[^}]*\} 4")

    def test_its_options_are_the_librarys(self) -> None:
        client = self.open()
        shown = "SELECT current_setting('transaction_isolation') AS a, current_setting('transaction_read_only') AS b"
        with client.transaction(isolation="serializable", read_only=True, deferrable=True) as tx:
            self.assertEqual(tx.query(shown), [{"a": "serializable", "b": "on"}])
        with self.assertRaisesRegex(errors.InvalidError, "chaos"), client.transaction(isolation="chaos"):
            self.fail("it began")

    def test_savepoints_nest_and_what_one_did_is_taken_back_alone(self) -> None:
        client = self.open()
        with client.transaction() as tx:
            with tx.savepoint():
                tx.query(f"UPDATE {self.name} SET n = n + 1")
                with self.assertRaises(sugarperf.SqlError), tx.savepoint():
                    tx.query(f"UPDATE {self.name} SET n = n + 10")
                    tx.query("SELECT 1 / 0")
            tx.query(f"UPDATE {self.name} SET n = n + 100")
        self.assertEqual(client.query(f"SELECT n FROM {self.name}")[0]["n"], 101)

    def test_a_timeout_holds_for_the_whole(self) -> None:
        client = self.open()
        with self.assertRaises(TimeoutError), client.transaction(timeout=0.1) as tx:
            while True:
                tx.query("SELECT pg_sleep(0.02)")
        self.assertEqual(client.query("SELECT 1 AS one"), [{"one": 1}])

    def test_a_coroutine_function_is_no_work(self) -> None:
        client = self.open()

        async def work(tx: Any) -> None:
            self.fail("it ran")

        with self.assertRaisesRegex(TypeError, "AsyncClient"):
            client.transact(work)

    def test_a_session_has_transactions_and_stays(self) -> None:
        client = self.open()
        with client.acquire() as session:
            session.query("CREATE TEMPORARY TABLE own (n int)")
            with session.transaction() as tx:
                tx.query("INSERT INTO own VALUES (1)")
            with self.assertRaises(RuntimeError), session.transaction() as tx:
                tx.query("INSERT INTO own VALUES (2)")
                raise RuntimeError("no")
            self.assertEqual(session.query("SELECT count(*)::int4 AS n FROM own"), [{"n": 1}])
        with self.assertRaises(errors.ClosedError):
            session.query("SELECT 1")

    def test_a_batch_is_all_or_nothing(self) -> None:
        client = self.open()
        insert = f"INSERT INTO {self.name} VALUES ($1, $2) RETURNING id"
        done = client.batch(insert, [(i + 2, i) for i in range(1000)])
        self.assertEqual((len(done), done.affected, done[999]), (1000, 1000, [{"id": 1001}]))
        with self.assertRaisesRegex(sugarperf.SqlError, "set 1") as caught:
            client.batch(insert, [[5000, 1], [1, 1], [5001, 1]])
        self.assertEqual(caught.exception.sqlstate, "23505")
        self.assertEqual(client.query(f"SELECT id FROM {self.name} WHERE id >= 5000"), [])
        self.assertEqual(client.batch(insert, [[6000, 1]])[0], [{"id": 6000}])
        refused: list[tuple[Callable[[], Any], type[Exception], str]] = [
            (lambda: client.batch(insert, []), errors.InvalidError, "no set"),
            (lambda: client.batch(insert, [[1, 2], [3]]), errors.InvalidError, "set 1 has 1 parameters, set 0 has 2"),
            (lambda: client.batch(insert, "12"), TypeError, "sets must be"),
        ]
        for call, kind, says in refused:
            with self.assertRaisesRegex(kind, says):
                call()
        with client.transaction() as tx:
            self.assertEqual(tx.batch(f"UPDATE {self.name} SET n = $2 WHERE id = $1", [[1, 7], [2, 7]]).affected, 2)
