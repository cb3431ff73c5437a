# SPDX-License-Identifier: MIT
"""PEP 249, sentence by sentence, and what sugarperf.dbapi adds to it."""

from __future__ import annotations

import datetime
import decimal
import gc
import os
import threading
import time
import unittest
import uuid
from typing import Any

from .support import settings, table, url

import sugarperf
from sugarperf import dbapi

COLORS = ["amber", "blue", "crimson", "denim", "ecru"]


class Module(unittest.TestCase):
    def test_it_says_what_it_is(self) -> None:
        self.assertEqual((dbapi.apilevel, dbapi.threadsafety, dbapi.paramstyle), ("2.0", 2, "pyformat"))

    def test_the_exceptions_are_of_one_family(self) -> None:
        self.assertTrue(issubclass(dbapi.Warning, Exception) and not issubclass(dbapi.Warning, dbapi.Error))
        for name in ("InterfaceError", "DatabaseError"):
            self.assertIs(getattr(dbapi, name).__base__, dbapi.Error)
        for name in ("Data", "Operational", "Integrity", "Internal", "Programming", "NotSupported"):
            self.assertIs(getattr(dbapi, f"{name}Error").__base__, dbapi.DatabaseError)

    def test_the_constructors_make_what_a_statement_takes(self) -> None:
        ticks = time.mktime((2002, 12, 25, 13, 45, 30, 0, 0, 0))
        self.assertEqual(dbapi.Date(2002, 12, 25), dbapi.DateFromTicks(ticks))
        self.assertEqual(dbapi.Time(13, 45, 30), dbapi.TimeFromTicks(ticks))
        self.assertEqual(dbapi.Timestamp(2002, 12, 25, 13, 45, 30), dbapi.TimestampFromTicks(ticks))
        self.assertEqual(dbapi.Binary(b"\0\xff"), b"\0\xff")


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.table = table(self)
        self.connection = self.connect()
        self.cursor = self.connection.cursor()

    def connect(self, **more: Any) -> dbapi.Connection:
        made = dbapi.connect(url("DATABASE_URL"), **more)
        self.addCleanup(made.close)
        return made

    def colors(self) -> str:
        """A table with the colors, committed; its name."""
        name = f"colors_{uuid.uuid4().hex}"
        with self.connect() as other:
            other.execute(f"CREATE TABLE {name} (name text)")
            other.cursor().executemany(f"INSERT INTO {name} VALUES (%s)", [[color] for color in COLORS])
        self.addCleanup(self.drop, name)
        return name

    def drop(self, name: str) -> None:
        self.connection.close()
        with self.connect() as other:
            other.execute(f"DROP TABLE {name}")

    def count(self, connection: dbapi.Connection) -> int:
        row = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone()
        assert row is not None
        return row[0]


class Connections(Case):
    def test_it_has_the_exceptions(self) -> None:
        for name in dbapi.__all__:
            if isinstance(made := getattr(dbapi, name), type) and issubclass(made, Exception):
                self.assertIs(getattr(self.connection, name), made)

    def test_nothing_is_seen_before_the_commit(self) -> None:
        other = self.connect()
        self.cursor.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
        self.assertEqual(self.count(other), 1)
        self.connection.commit()
        self.assertEqual(self.count(other), 2)

    def test_a_rollback_takes_back(self) -> None:
        self.cursor.execute(f"DELETE FROM {self.table}")
        self.connection.rollback()
        self.assertEqual(self.count(self.connection), 1)

    def test_a_close_without_commit_takes_back(self) -> None:
        self.cursor.execute(f"DELETE FROM {self.table}")
        self.connection.close()
        self.assertEqual(self.count(self.connect()), 1)

    def test_cursors_of_one_connection_see_each_other(self) -> None:
        self.cursor.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
        self.assertEqual(self.count(self.connection), 2)

    def test_commit_and_rollback_without_a_transaction_do_nothing(self) -> None:
        self.connection.commit()
        self.connection.rollback()

    def test_the_context_commits_or_takes_back_and_closes(self) -> None:
        with self.connect() as done:
            done.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
        with self.assertRaises(KeyError), self.connect() as failed:
            failed.execute(f"INSERT INTO {self.table} VALUES (3, 0)")
            raise KeyError
        self.assertTrue(done.closed and failed.closed)
        self.assertEqual(self.count(self.connection), 2)

    def test_what_is_closed_refuses(self) -> None:
        self.connection.close()
        self.connection.close()
        for call in (
            self.connection.cursor,
            self.connection.commit,
            self.connection.rollback,
            lambda: self.cursor.execute("SELECT 1"),
            self.cursor.fetchone,
        ):
            self.assertRaises(dbapi.InterfaceError, call)
        other = self.connect().cursor()
        other.close()
        other.close()
        self.assertRaises(dbapi.InterfaceError, other.execute, "SELECT 1")

    def test_autocommit_is_said_at_first_or_between_transactions(self) -> None:
        writes = self.connect(autocommit=True)
        writes.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
        self.assertEqual(self.count(self.connection), 2)
        with self.assertRaisesRegex(dbapi.ProgrammingError, "a transaction is open"):
            self.connection.autocommit = True
        self.connection.commit()
        self.connection.autocommit = True
        self.connection.execute(f"INSERT INTO {self.table} VALUES (3, 0)")
        self.assertEqual(self.count(writes), 3)

    def test_transactions_may_be_written_out(self) -> None:
        self.connection.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
        self.connection.execute("SAVEPOINT here")
        self.connection.execute(f"INSERT INTO {self.table} VALUES (3, 0)")
        self.connection.execute("ROLLBACK TO SAVEPOINT here")
        self.connection.execute("COMMIT")
        self.connection.execute(f"INSERT INTO {self.table} VALUES (4, 0)")
        self.connection.rollback()
        self.assertEqual(self.count(self.connection), 2)
        plain = self.connect(autocommit=True)
        plain.execute("BEGIN")
        plain.execute(f"INSERT INTO {self.table} VALUES (5, 0)")
        plain.rollback()
        self.assertEqual(self.count(plain), 2)

    def test_a_chained_transaction_is_open_and_a_comment_keeps_none_open(self) -> None:
        for end in (
            *("COMMIT AND CHAIN", "rollback and  chain", "commit and/* a */chain", "COMMIT AND NO CHAIN"),
            *("ROLLBACK /* to /* go */ on */", "ROLLBACK -- to be safe"),
        ):
            with self.subTest(end):
                self.connection.execute("SELECT 1")
                self.connection.execute(end)
                self.connection.execute(f"INSERT INTO {self.table} VALUES (2, 0)")
                self.connection.rollback()
                self.assertEqual(self.count(self.connection), 1)

    def test_threads_take_turns_on_one_connection(self) -> None:
        seen: list[Any] = []

        def work(number: int) -> None:
            for _ in range(20):
                seen.append((number, self.connection.execute("SELECT %s::int4", [number]).fetchone()))

        threads = [threading.Thread(target=work, args=[i]) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(seen), 80)
        self.assertTrue(all(row == (number,) for number, row in seen))

    def test_a_session_of_a_clients_pool_goes_back(self) -> None:
        with sugarperf.Client(settings(pool__max=2)) as client:
            for i in range(4):
                with dbapi.connect(client=client) as borrowed:
                    borrowed.execute(f"INSERT INTO {self.table} VALUES (%s, 0)", [i + 10])
            self.assertEqual(client.query(f"SELECT count(*)::int4 AS n FROM {self.table}")[0]["n"], 5)
            held = dbapi.connect(client=client)
        self.assertRaises(dbapi.InterfaceError, held.execute, "SELECT 1")
        held.close()

    def test_one_that_nobody_closes_says_so(self) -> None:
        lost = dbapi.connect(url("DATABASE_URL"))
        with self.assertWarnsRegex(ResourceWarning, "unclosed <sugarperf.dbapi.Connection open>: close it"):
            del lost
            gc.collect()

    def test_its_representation_has_no_secrets(self) -> None:
        self.assertEqual(repr(self.connection), "<sugarperf.dbapi.Connection open>")
        with self.assertRaises(dbapi.OperationalError) as caught:
            dbapi.connect("postgresql://user:geheim@127.0.0.1:1/db")
        self.assertNotIn("geheim", str(caught.exception))


class Statements(Case):
    def test_parameters_by_place_and_by_name(self) -> None:
        row = self.cursor.execute("SELECT %s::int4, %s::text, '%%'", (7, "it's")).fetchone()
        self.assertEqual(row, (7, "it's", "%"))
        named = self.cursor.execute("SELECT %(b)s::text || %(a)s || %(b)s", {"a": "x", "b": "y", "more": 1})
        self.assertEqual(named.fetchone(), ("yxy",))
        self.assertEqual(self.cursor.execute("SELECT 'a%'").fetchone(), ("a%",))

    def test_what_no_parameters_fit_is_refused(self) -> None:
        for sql, given, says in (
            ("SELECT %s", [], "has 1 places for parameters, 0 are given"),
            ("SELECT 1", [1], "has 0 places"),
            ("SELECT %s", {"a": 1}, "takes a sequence"),
            ("SELECT %(a)s", [1], "takes a mapping"),
            ("SELECT %(a)s", {"b": 1}, 'no parameter "a"'),
            ("SELECT %s, %(a)s", [1], "either"),
            ("SELECT 'a%'", [], "write %s"),
            ("SELECT %d", [1], "write %s"),
            ("SELECT %s", "1", "not str"),
            ("SELECT %s", 1, "not int"),
        ):
            with self.subTest(sql), self.assertRaisesRegex(dbapi.ProgrammingError, says):
                self.cursor.execute(sql, given)

    def test_errors_are_of_their_class(self) -> None:
        for sql, kind, state in (
            ("SELEC 1", dbapi.ProgrammingError, ""),
            ("SELECT * FROM no_such_table", dbapi.ProgrammingError, "42P01"),
            ("SELECT 1 / 0", dbapi.DataError, "22012"),
            (f"INSERT INTO {self.table} VALUES (1, 0)", dbapi.IntegrityError, "23505"),
            ("SELECT lo_get(0)", dbapi.ProgrammingError, "42704"),
            ("COPY pg_class TO STDOUT", dbapi.NotSupportedError, ""),
        ):
            with self.subTest(sql):
                with self.assertRaises(kind) as caught:
                    self.cursor.execute(sql)
                self.assertEqual(caught.exception.sqlstate, state)
                self.assertIsInstance(caught.exception.__cause__, sugarperf.Error)
                self.assertIsNone(self.cursor.description)
                self.connection.rollback()

    def test_a_transaction_that_failed_says_so_until_it_is_taken_back(self) -> None:
        self.assertRaises(dbapi.DataError, self.cursor.execute, "SELECT 1 / 0")
        with self.assertRaises(dbapi.InternalError) as caught:
            self.cursor.execute("SELECT 1")
        self.assertEqual(caught.exception.sqlstate, "25P02")
        self.assertRaises(dbapi.InternalError, self.connection.commit)
        self.assertEqual(self.cursor.execute("SELECT 1").fetchall(), [(1,)])

    def test_a_connection_that_the_server_ended_says_so(self) -> None:
        row = self.cursor.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        self.connect(autocommit=True).execute("SELECT pg_terminate_backend(%s)", row)
        self.assertRaises(dbapi.OperationalError, self.cursor.execute, "SELECT pg_sleep(60)")
        self.connection.close()

    def test_the_description_is_of_the_rows(self) -> None:
        self.assertIsNone(self.cursor.description)
        self.cursor.execute(f"UPDATE {self.table} SET n = 1")
        self.assertIsNone(self.cursor.description)
        self.cursor.execute(f"SELECT id, n FROM {self.table} WHERE false")
        assert self.cursor.description is not None
        self.assertEqual([len(column) for column in self.cursor.description], [7, 7])
        self.assertEqual([column[0] for column in self.cursor.description], ["id", "n"])
        self.assertEqual(self.cursor.description[0][1], dbapi.NUMBER)

    def test_columns_of_one_name_are_both_there(self) -> None:
        self.assertEqual(self.cursor.execute("SELECT 1 AS n, 2 AS n").fetchone(), (1, 2))

    def test_the_row_count_is_of_the_last_statement(self) -> None:
        self.assertEqual(self.cursor.rowcount, -1)
        for sql, count in (
            (f"INSERT INTO {self.table} VALUES (2, 0), (3, 0)", 2),
            (f"SELECT * FROM {self.table}", 3),
            (f"UPDATE {self.table} SET n = 1 WHERE id > 1", 2),
            (f"DELETE FROM {self.table} WHERE id = 99", 0),
            ("CREATE TEMPORARY TABLE nothing (n int)", -1),
        ):
            with self.subTest(sql):
                self.assertEqual(self.cursor.execute(sql).rowcount, count)

    def test_executemany_runs_it_for_each(self) -> None:
        insert = f"INSERT INTO {self.table} VALUES (%s, %s) RETURNING id"
        self.assertEqual(self.cursor.executemany(insert, ((i, 0) for i in range(2, 102))).rowcount, 100)
        self.assertEqual(self.cursor.fetchall(), [(i,) for i in range(2, 102)])
        named = f"UPDATE {self.table} SET n = %(n)s WHERE id = %(id)s"
        self.assertEqual(self.cursor.executemany(named, [{"id": 2, "n": 5}, {"id": 3, "n": 6}]).rowcount, 2)
        self.assertEqual(self.cursor.executemany(insert, []).rowcount, 0)
        with self.assertRaises(dbapi.IntegrityError):
            self.cursor.executemany(insert, [(500, 0), (1, 0)])
        self.connection.rollback()
        self.assertEqual(self.count(self.connection), 1)

    def test_values_come_back_as_they_went(self) -> None:
        for kind, value, code in (
            ("text", "blue \u2603", dbapi.STRING),
            ("bytea", dbapi.Binary(b"\0\xff'\\"), dbapi.BINARY),
            ("int8", -(2**63), dbapi.NUMBER),
            ("int8", 2**63 - 1, dbapi.NUMBER),
            ("float8", 0.1, dbapi.NUMBER),
            ("numeric", decimal.Decimal("1.10"), dbapi.NUMBER),
            ("numeric", 2**70, dbapi.NUMBER),
            ("date", dbapi.Date(2002, 12, 25), dbapi.DATETIME),
            ("time", dbapi.Time(13, 45, 30), dbapi.DATETIME),
            ("timestamp", dbapi.Timestamp(2002, 12, 25, 13, 45, 30, 250000), dbapi.DATETIME),
            ("oid", 42, dbapi.ROWID),
            ("timestamptz", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), dbapi.DATETIME),
            ("int4[]", [1, None, 3], 1007),
            ("text", None, dbapi.STRING),
        ):
            with self.subTest(kind, value=value):
                self.assertEqual(self.cursor.execute(f"SELECT %s::{kind}", [value]).fetchone(), (value,))
                assert self.cursor.description is not None
                self.assertEqual(self.cursor.description[0][1], code)

    def test_a_timedelta_is_a_span_of_time(self) -> None:
        span = datetime.timedelta(days=1, hours=2, minutes=3)
        self.cursor.execute("SELECT timestamp '2002-12-25' + %s", [span])
        self.assertEqual(self.cursor.fetchone(), (datetime.datetime(2002, 12, 26, 2, 3),))

    def test_own_parsers_come_first(self) -> None:
        own = self.connect(types={23: lambda text: f"<{text}>", 1083: str})
        self.assertEqual(own.execute("SELECT 7, time '10:00', '{1,2}'::int4[]").fetchone(), ("<7>", "10:00:00", ["<1>", "<2>"]))


class Fetching(Case):
    def setUp(self) -> None:
        super().setUp()
        self.select = f"SELECT name FROM {self.colors()} ORDER BY name"

    def test_there_must_be_a_result(self) -> None:
        for fetch in (self.cursor.fetchone, self.cursor.fetchmany, self.cursor.fetchall):
            self.assertRaises(dbapi.Error, fetch)
            self.cursor.execute(f"UPDATE {self.table} SET n = 1")
            self.assertRaises(dbapi.Error, fetch)

    def test_one_by_one(self) -> None:
        self.cursor.execute(self.select)
        self.assertEqual([self.cursor.fetchone() for _ in range(6)], [*((color,) for color in COLORS), None])
        self.assertIsNone(self.cursor.execute(f"{self.select} LIMIT 0").fetchone())

    def test_as_many_as_are_wanted(self) -> None:
        self.assertEqual(self.cursor.arraysize, 1)
        self.cursor.execute(self.select)
        self.assertEqual(self.cursor.fetchmany(), [("amber",)])
        self.assertEqual(self.cursor.fetchmany(2), [("blue",), ("crimson",)])
        self.cursor.arraysize = 10
        self.assertEqual(len(self.cursor.fetchmany()), 2)
        self.assertEqual(self.cursor.fetchmany(), [])

    def test_all_that_is_left(self) -> None:
        self.cursor.execute(self.select)
        self.assertEqual(self.cursor.rownumber, 0)
        self.cursor.fetchone()
        self.cursor.fetchmany(1)
        self.assertEqual(self.cursor.rownumber, 2)
        self.assertEqual(self.cursor.fetchall(), [("crimson",), ("denim",), ("ecru",)])
        self.assertEqual(self.cursor.fetchall(), [])
        self.assertIsNone(self.cursor.fetchone())

    def test_it_iterates(self) -> None:
        self.assertEqual([row[0] for row in self.cursor.execute(self.select)], COLORS)

    def test_sizes_may_be_said(self) -> None:
        self.cursor.setinputsizes([25, None])
        self.cursor.setoutputsize(1000)
        self.cursor.setoutputsize(1000, 0)
        self.assertEqual(len(self.cursor.execute(self.select).fetchall()), 5)


@unittest.skipUnless(hasattr(os, "fork"), "there is no fork here")
class Forked(Case):
    def test_a_child_is_refused_and_the_parent_goes_on(self) -> None:
        self.cursor.execute("SELECT 1")
        child = os.fork()
        if child == 0:
            try:
                self.cursor.execute("SELECT 1")
            except dbapi.InterfaceError:
                os._exit(7)
            except BaseException:
                os._exit(8)
            os._exit(9)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 7)
        self.assertEqual(self.cursor.execute("SELECT 2").fetchone(), (2,))
