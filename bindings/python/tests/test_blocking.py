# SPDX-License-Identifier: MIT
from __future__ import annotations

import datetime
import decimal
import os
import signal
import socket
import subprocess
import sys
import threading
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

from .support import PACKAGE, fresh, settings

import sugarperf
from sugarperf import errors


class Queries(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings())
        self.addCleanup(self.client.close)

    def test_a_row_has_the_types_of_python(self) -> None:
        (row,) = self.client.query(
            """SELECT 1::int4 AS i4, 9007199254740993::int8 AS i8, 1.5::float8 AS f8, 0.10::numeric AS num,
                true AS yes, 'text'::text AS txt, NULL::text AS nil, '\\x00ff'::bytea AS bin, '{"a": [1]}'::jsonb AS js,
                '2024-02-29 12:34:56.789+02'::timestamptz AS at, '2024-02-29'::date AS day,
                'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id, ARRAY['a"b', 'NULL', '', NULL] AS texts,
                '{{1,2},{3,4}}'::int4[] AS nested"""
        )
        self.assertEqual(
            row,
            {
                "i4": 1,
                "i8": 9007199254740993,
                "f8": 1.5,
                "num": decimal.Decimal("0.10"),
                "yes": True,
                "txt": "text",
                "nil": None,
                "bin": b"\x00\xff",
                "js": {"a": [1]},
                "at": datetime.datetime(2024, 2, 29, 10, 34, 56, 789000, tzinfo=datetime.timezone.utc),
                "day": datetime.date(2024, 2, 29),
                "id": uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                "texts": ['a"b', "NULL", "", None],
                "nested": [[1, 2], [3, 4]],
            },
        )

    def test_parameters_arrive_as_they_were(self) -> None:
        at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=datetime.timezone.utc)
        values = ['é"\\', 42, 1.25, True, None, b"\x00\x01\xff", at, [1, None, 3], ['a"b', "\\"], {"k": "v"}]
        (row,) = self.client.query(
            """SELECT $1::text AS a, $2::int8 AS b, $3::float8 AS c, $4::bool AS d, $5::text AS e, $6::bytea AS f,
                $7::timestamptz AS g, $8::int4[] AS h, $9::text[] AS i, $10::jsonb AS j""",
            values,
        )
        self.assertEqual(list(row.values()), values)

    def test_rows_tell_their_fields_command_and_what_a_write_affected(self) -> None:
        with self.client.transaction() as session:
            session.query("CREATE TEMPORARY TABLE python_rows (id int) ON COMMIT DROP")
            written = session.query("INSERT INTO python_rows SELECT generate_series(1, 3)")
            self.assertEqual((written.affected, written.command, list(written)), (3, "INSERT 0 3", []))
            read = session.query("SELECT id FROM python_rows ORDER BY id")
            self.assertEqual(read.fields, [("id", 23)])
            self.assertEqual([row["id"] for row in read], [1, 2, 3])

    def test_sql_that_fails_is_an_sql_error_without_the_values(self) -> None:
        with self.assertRaises(sugarperf.SqlError) as caught:
            self.client.query("SELECT $1::text || nothing", ["secret-value"])
        error = caught.exception
        self.assertEqual((error.code, error.sqlstate, error.retryable), ("SP_SQL", "42703", False))
        self.assertNotIn("secret-value", str(error))
        self.assertNotIn("\n", str(error))

    def test_threads_each_get_their_own_answer(self) -> None:
        with ThreadPoolExecutor(64) as threads:
            answers = list(threads.map(lambda i: self.client.query("SELECT $1::int4 AS n", [i])[0]["n"], range(512)))
        self.assertEqual(answers, list(range(512)))

    def test_a_timeout_ends_the_call_not_the_client(self) -> None:
        with self.assertRaises(errors.TimeoutError) as caught:
            self.client.query("SELECT pg_sleep(30)", timeout=0.05)
        self.assertIsInstance(caught.exception, TimeoutError)
        with self.assertRaises(errors.InvalidError):
            self.client.query("SELECT 1", timeout="soon")
        self.assertEqual(self.client.query("SELECT 1 AS one"), [{"one": 1}])

    def test_a_transaction_is_all_or_nothing(self) -> None:
        table = f"python_tx_{os.getpid()}"
        self.client.query(f"CREATE TABLE {table} (id int)")
        try:
            with self.client.transaction() as session:
                session.query(f"INSERT INTO {table} VALUES (1)")
            with self.assertRaises(RuntimeError), self.client.transaction() as session:
                session.query(f"INSERT INTO {table} VALUES (2)")
                raise RuntimeError("no")
            self.assertEqual(self.client.query(f"SELECT id FROM {table}"), [{"id": 1}])
        finally:
            self.client.query(f"DROP TABLE {table}")

    def test_other_threads_run_while_one_waits(self) -> None:
        done = threading.Event()
        turns = 0

        def wait() -> None:
            self.client.query("SELECT pg_sleep(0.3)")
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        while not done.is_set() and turns < 10000:
            turns += 1
        self.assertEqual(turns, 10000)
        thread.join()

    def test_ctrl_c_interrupts_a_blocking_wait(self) -> None:
        program = (
            f"import sys; sys.path[:0] = [{PACKAGE!r}]\n"
            "import sugarperf\n"
            "from tests.support import settings\n"
            "client = sugarperf.Client(settings(pool__application_name=sys.argv[1], pool__statement_timeout=0))\n"
            "try:\n"
            "    client.query('SELECT pg_sleep(300)', timeout=300)\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', client.query('SELECT 1 AS one')[0]['one'], flush=True)\n"
            "client.close()\n"
        )
        name = fresh("interrupted")
        waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'"
        with subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            while child.poll() is None and not self.client.query(waits, [name]):
                pass
            child.send_signal(signal.SIGINT)
            self.assertEqual(child.stdout.readline(), "interrupted 1\n")
            try:
                child.wait(timeout=60)
            except subprocess.TimeoutExpired:
                child.kill()
        self.assertEqual(child.returncode, 0)


class Errors(unittest.TestCase):
    def test_a_wrong_configuration_name_or_value_is_refused_at_once(self) -> None:
        for name, value in (("pool.maximum", 20), ("pool.max", "many")):
            with self.assertRaisesRegex(errors.ConfigError, name.replace(".", r"\.")):
                sugarperf.Client({name: value})

    def test_without_a_database_the_error_says_what_to_set(self) -> None:
        with sugarperf.Client() as client:
            for pool in (None, "default"):
                with self.assertRaises(errors.NotFoundError) as caught:
                    client.query("SELECT 1", pool=pool)
                self.assertEqual(str(caught.exception), "no database is configured: set pool.url (DATABASE_URL)")
            with self.assertRaisesRegex(errors.NotFoundError, r'"orders" .* pool\.orders\.url'):
                client.query("SELECT 1", pool="orders")

    def test_an_invalid_url_does_not_show_its_password(self) -> None:
        with self.assertRaisesRegex(errors.Error, r"pool\.url") as caught:
            sugarperf.Client({"pool.url": "http://app:hunter2@db/x"})
        self.assertNotIn("hunter2", str(caught.exception))

    def test_an_unreachable_server_is_named_and_the_process_goes_on(self) -> None:
        with sugarperf.Client({"pool.url": "postgresql://app:hunter2@127.0.0.1:1/db"}) as client:
            with self.assertRaisesRegex(errors.UnavailableError, r"127\.0\.0\.1") as caught:
                client.query("SELECT 1", timeout=10)
            self.assertNotIn("hunter2", str(caught.exception) + repr(client))

    def test_a_refused_password_is_an_auth_error_that_does_not_show_it(self) -> None:
        with _refusing() as port, sugarperf.Client(
            {"pool.url": f"postgresql://app:hunter2@127.0.0.1:{port}/db"}
        ) as client:
            with self.assertRaises(errors.AuthError) as caught:
                client.query("SELECT 1", timeout=10)
            self.assertNotRegex(str(caught.exception), r"hunter2|\n")

    def test_after_close_everything_refuses(self) -> None:
        client = sugarperf.Client(settings())
        client.close()
        client.close()
        for call in (
            lambda: client.query("SELECT 1"),
            lambda: client.cache.get("a:b", lambda: 1),
            lambda: client.cache.invalidate(keys=["a:b"]),
            lambda: client.metrics(),
            lambda: client.profiler.stats("x"),
        ):
            with self.assertRaises(errors.ClosedError):
                call()
        self.assertEqual(repr(client), "<sugarperf.Client closed>")

    def test_arguments_of_the_wrong_kind_are_type_errors(self) -> None:
        with sugarperf.Client(settings()) as client:
            with self.assertRaises(TypeError):
                client.query("SELECT 1", "not a list")
            with self.assertRaises(TypeError):
                client.query("SELECT $1", [object()])


class _refusing:
    """Speaks as much of PostgreSQL's protocol as a refused password takes."""

    _TEXT = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "app"\0\0'

    def __enter__(self) -> int:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self._server.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(4096):
                if len(data) == 8:
                    peer.sendall(b"N")
                elif data[:1] == b"p":
                    peer.sendall(b"E" + (4 + len(self._TEXT)).to_bytes(4, "big") + self._TEXT)
                    return
                else:
                    peer.sendall(b"R\0\0\0\x08\0\0\0\x03")


class Cache(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings())
        self.addCleanup(self.client.close)
        self.cache = self.client.cache

    def test_many_threads_on_a_cold_key_make_one_load(self) -> None:
        key, loads, gate = fresh("python:cold"), [], threading.Barrier(32)

        def load() -> dict[str, int]:
            loads.append(1)
            return {"n": 1}

        def get(_: int) -> object:
            gate.wait()
            return self.cache.get(key, load)

        with ThreadPoolExecutor(32) as threads:
            values = list(threads.map(get, range(32)))
        self.assertEqual((len(loads), values), (1, [{"n": 1}] * 32))

    def test_a_loader_that_raises_gives_the_lease_back(self) -> None:
        key = fresh("python:raises")
        with self.assertRaises(ZeroDivisionError):
            self.cache.get(key, lambda: 1 / 0)
        self.assertEqual(self.cache.get(key, lambda: "good"), "good")

    def test_values_come_back_as_they_went_in(self) -> None:
        with sugarperf.Client(settings()) as other:
            for value in ("text é", b"\x00\xff", {"a": [None, True, 1.5]}, [1], 0, False, None, ""):
                key = fresh("python:codec")
                self.assertEqual(self.cache.get(key, lambda: value), value)
                self.assertEqual(self.cache.get(key, lambda: self.fail("loaded twice")), value)
                self.assertEqual(other.cache.get(key, lambda: self.fail("not shared")), value)

    def test_invalidation_by_key_and_by_pattern(self) -> None:
        user = fresh("u").replace(":", "-")
        recs = self.cache.template(
            "pyrec:recommendations:{userId}:{limit}", ttl="1h", patterns=["pyrec:recommendations:{userId}:*"]
        )
        counts: dict[str, int] = {}

        def get(key: str) -> int:
            def load() -> int:
                counts[key] = counts.get(key, 0) + 1
                return counts[key]

            return self.cache.get(key, load)

        mine, theirs = recs.key(user, 10), recs.key(userId=user + "x", limit=10)
        self.assertEqual((get(mine), get(theirs)), (1, 1))
        self.cache.invalidate(keys=[mine])
        self.assertEqual((get(mine), get(theirs)), (2, 1))
        self.cache.invalidate(patterns=[("pyrec:recommendations:{userId}:*", [user])])
        self.assertEqual((get(mine), get(theirs)), (3, 1))
        with self.assertRaises(errors.InvalidError):
            self.cache.invalidate(patterns=["pyrec:nobody:*"])

    def test_a_query_through_the_cache_runs_once(self) -> None:
        key, sql = fresh("python:query"), "SELECT clock_timestamp()::text AS at, $1::int4 AS n"
        first = self.cache.query(key, sql, [7])
        self.assertEqual(first[0]["n"], 7)
        self.assertEqual(self.cache.query(key, sql, [7]), first)
        self.assertEqual(self.cache.query(fresh("python:cell"), "SELECT '{\"a\": 1}'::jsonb", cell=True), {"a": 1})
        self.assertIsNone(self.cache.query(fresh("python:none"), "SELECT 1 WHERE false", cell=True))


    def test_an_invalidation_takes_a_timeout(self) -> None:
        key = fresh("python:time")
        self.assertEqual(self.cache.get(key, lambda: 1), 1)
        self.cache.invalidate(keys=[key], timeout="60s")
        self.assertEqual(self.cache.get(key, lambda: 2), 2)
        with self.assertRaisesRegex(errors.InvalidError, "timeout"):
            self.cache.invalidate(keys=[key], timeout="soon")

    def test_a_coroutine_function_is_no_loader_of_the_blocking_face(self) -> None:
        async def load() -> int:
            return 1

        with self.assertRaisesRegex(TypeError, "AsyncClient"):
            self.cache.get(fresh("python:coroutine"), load)


class Parts(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings(profiler__slow="50ms"))
        self.addCleanup(self.client.close)

    def test_the_breaker_opens_and_answers_with_the_fallback(self) -> None:
        breaker = self.client.breaker("payments")
        for _ in range(5):
            with self.assertRaises(ConnectionError):
                breaker.run(self._fail)
        self.assertEqual(breaker.state, "OPEN")
        with self.assertRaises(errors.OpenError):
            breaker.run(self._fail)
        self.assertEqual(breaker.run(self._fail, lambda error: "fallback"), "fallback")
        self.assertEqual(breaker.report()["state"], "OPEN")

    def test_the_callers_own_errors_do_not_open_it(self) -> None:
        breaker = self.client.breaker("database")
        for _ in range(10):
            with self.assertRaises(sugarperf.SqlError):
                breaker.run(lambda: self.client.query("SELECT 1/0"), lambda error: "fallback")
        self.assertEqual((breaker.state, breaker.failures), ("CLOSED", 0))

    @staticmethod
    def _fail() -> str:
        raise ConnectionError("down")

    def test_the_profiler_knows_statements_and_work_by_name(self) -> None:
        with self.client.profiler.run("work"):
            self.client.query(sugarperf.Statement("named-select", "SELECT 1"))
        self.client.query(sugarperf.Statement("sleeper", "SELECT pg_sleep($1::float8)"), [0.1])
        self.assertEqual(self.client.profiler.stats("work")["count"], 1)
        self.assertEqual(self.client.profiler.stats("named-select")["count"], 1)
        slow = [entry for entry in self.client.profiler.slow() if entry["name"] == "sleeper"]
        self.assertGreaterEqual(slow[0]["duration"], 100)
        self.assertIn("pg_sleep", slow[0]["text"])

    def test_metrics_are_prometheus_text_or_openmetrics(self) -> None:
        self.client.query("SELECT 1")
        self.assertIn("# HELP ", self.client.metrics())
        self.assertTrue(self.client.metrics("openmetrics").rstrip().endswith("# EOF"))
        with self.assertRaises(errors.InvalidError):
            self.client.metrics("xml")
        self.assertGreater(self.client.pool_stats()["max"], 0)

    def test_health_is_that_of_the_whole(self) -> None:
        health = self.client.health()
        self.assertEqual((health["status"], health["database"], health["redis"]["status"]), ("healthy", "connected", "connected"))
        self.assertEqual((health["pools"], health["feeds"]), ({}, []))
        self.client.breaker("ill").force("OPEN")
        health = self.client.health(timeout=5)
        self.assertEqual((health["status"], health["breakers"][0]["name"]), ("degraded", "ill"))
        self.assertEqual(self.client.pool().health()["status"], "healthy")
        with sugarperf.Client(settings(pool__orders__url="postgresql://app:hunter2@127.0.0.1:1/db")) as away:
            health = away.health()
        self.assertEqual((health["status"], health["pools"]["orders"]["database"]), ("unhealthy", "disconnected"))
        self.assertNotIn("hunter2", str(health))

    def test_what_a_service_counts_itself_stands_on_the_page(self) -> None:
        orders = self.client.counter("shop_orders", "Orders taken.", {"method": "card"})
        opened = self.client.gauge("shop_open", "Orders that are open.")
        times = self.client.histogram("shop_order_seconds", "Time of an order.")
        orders.add()
        self.client.counter("shop_orders", "Orders taken.", {"method": "card"}).add(2)
        opened.set(4)
        opened.add(-1.5)
        times.record(0.25)
        self.assertEqual((orders.value, opened.value, times.count), (3, 2.5, 1))
        self.assertAlmostEqual(times.quantile(0.5), 0.25, delta=0.005)
        page = self.client.metrics()
        for line in ('shop_orders_total{method="card"} 3', "shop_open 2.5", "shop_order_seconds_sum 0.25"):
            self.assertIn(f"\n{line}\n", page)
        with self.assertRaisesRegex(errors.InvalidError, "another kind"):
            self.client.gauge("shop_orders", "Orders taken.")
        with self.assertRaises(TypeError):
            times.record("1s")  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            orders.add(-1)
        self.client.close()
        orders.add()
        times.record(1)
        self.assertEqual((orders.value, opened.value, times.count, times.quantile(1)), (0, 0, 0, 0))
        with self.assertRaises(errors.ClosedError):
            self.client.counter("shop_orders", "Orders taken.")


if __name__ == "__main__":
    unittest.main()
