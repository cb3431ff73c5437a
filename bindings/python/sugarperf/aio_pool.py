# SPDX-License-Identifier: MIT
"""A pool of the asyncio face. Without its awaits it is pool.py, which tests/test_faces.py --write makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar

from . import errors, native, rows, scopes, steps
from .changes import Commits
from .statement import Statement
from .steps import Timeout, Values
from .waits import each, settled

T = TypeVar("T")


class AsyncSeated:
    """What runs on a session."""

    def __init__(self, seat: steps.Seat) -> None:
        self._seat = seat

    async def query(self, sql: str | Statement, values: Values = None, *, timeout: Timeout = None) -> rows.Rows:
        return await self._seat.client._call(self._seat.launch(sql, values, timeout))

    async def batch(
        self, sql: str | Statement, sets: Sequence[Sequence[Any]], *, timeout: Timeout = None
    ) -> rows.Sets:
        """The statement once for each set of parameters, all of them or none; the rows of each set."""
        return await self._play(steps.batch(self._seat, sql, sets, timeout))

    async def copy_from(self, sql: str | Statement, source: Any, *, timeout: Timeout = None) -> int:
        """COPY … FROM STDIN; how many rows there were. `source`: text or bytes, one or an iterable of them."""
        seat, ctx, chunks = self._seat, steps.context(self._seat.parent, timeout), steps.Chunks()
        reader = await self._play(steps.copy(seat, ctx, sql))
        try:
            async for piece in each(steps.pieces(source)):
                if data := chunks.add(piece):
                    await self._play(steps.write(seat, ctx, reader, data))
            if data := chunks.rest():
                await self._play(steps.write(seat, ctx, reader, data))
            return await self._play(steps.finish(seat, ctx, reader))
        finally:
            reader.release()

    async def copy_to(self, sql: str | Statement, *, timeout: Timeout = None) -> AsyncIterator[bytes]:
        """COPY … TO STDOUT: chunks of whole rows."""
        seat, ctx = self._seat, steps.context(self._seat.parent, timeout)
        reader = await self._play(steps.copy(seat, ctx, sql))
        try:
            while (data := await self._play(steps.read(seat, ctx, reader))) is not None:
                yield data
            await self._play(steps.finish(seat, ctx, reader))
        finally:
            reader.release()

    def _play(self, script: steps.Steps[T]) -> Awaitable[T]:
        return self._seat.client._play(script)


class AsyncTransaction(AsyncSeated, Commits):
    """`async with pool.transaction() as tx`, or what `pool.transact(work)` gives to `work`."""

    def __init__(self, seat: steps.Seat) -> None:
        super().__init__(seat)
        self._numbers = count(1)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What the body did is taken back when it raises, and the transaction may go on. They nest."""
        name = f"savepoint {next(self._numbers)}"
        await self._play(steps.savepoint(self._seat, name))
        try:
            yield
        except BaseException:
            await self._play(steps.take_back(self._seat, name))
            raise
        await self._play(steps.keep(self._seat, name))


class AsyncSession(AsyncSeated):
    """A connection of one's own, for transactions and session state: `async with pool.acquire() as session`."""

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: str | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        timeout: Timeout = None,
    ) -> AsyncIterator[AsyncTransaction]:
        ctx = steps.transaction_context(self._seat, timeout)
        seat = self._seat.within(ctx)
        options = {"isolation": isolation, "read_only": read_only, "deferrable": deferrable}
        await self._play(steps.begin(seat, options))
        try:
            with scopes.within(seat.client, ctx):
                yield AsyncTransaction(seat)
            await self._play(steps.simple(seat, native.session_commit_async))
        except BaseException:
            await self._play(steps.roll_back(self._seat))
            raise
        finally:
            seat.end()


class AsyncPool:
    """One pool of a client: statements, transactions, streams, COPY, messages, and how it fares."""

    def __init__(self, client: Any, handle: Any) -> None:
        self._client = client
        self._seat = steps.Seat(client, handle, None, session=False)

    def _play(self, script: steps.Steps[T]) -> Awaitable[T]:
        return self._client._play(script)

    async def query(self, sql: str | Statement, values: Values = None, *, timeout: Timeout = None) -> rows.Rows:
        """Runs one statement; its rows as dicts. `timeout` in seconds, or text such as "250ms"."""
        return await self._seat.client._call(self._seat.launch(sql, values, timeout))

    async def batch(
        self, sql: str | Statement, sets: Sequence[Sequence[Any]], *, timeout: Timeout = None
    ) -> rows.Sets:
        """The statement once for each set, in one round trip, all of them or none; the rows of each set."""
        return await self._play(steps.batch(self._seat, sql, sets, timeout))

    async def stream(
        self, sql: str | Statement, values: Values = None, *, page_size: int = 0, timeout: Timeout = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The rows, however many there are; `page_size` of them are in memory at a time. `timeout` is the whole stream's."""
        seat, ctx = self._seat, steps.context(self._seat.parent, timeout)
        reader = await self._play(steps.stream(seat, ctx, sql, values, page_size))
        try:
            while (page := await self._play(steps.page(seat, ctx, reader))) is not None:
                for row in page:
                    yield row
        finally:
            reader.release()

    @asynccontextmanager
    async def acquire(self, *, timeout: Timeout = None) -> AsyncIterator[AsyncSession]:
        """A connection of one's own. What is open at the end is rolled back."""
        held = await self._play(steps.acquire(self._seat, steps.context(self._seat.parent, timeout)))
        seat = held.within(None)
        try:
            yield AsyncSession(seat)
        finally:
            seat.end()
            held.release()

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: str | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        timeout: Timeout = None,
    ) -> AsyncIterator[AsyncTransaction]:
        """BEGIN, the body, COMMIT; taken back when it raises. `timeout` holds for the whole."""
        options = {"isolation": isolation, "read_only": read_only, "deferrable": deferrable}
        async with self._transaction(options, steps.transaction_context(self._seat, timeout)) as made:
            yield made

    @asynccontextmanager
    async def _transaction(self, options: dict[str, Any], ctx: Any) -> AsyncIterator[AsyncTransaction]:
        seat = await self._play(steps.acquire(self._seat, ctx))
        try:
            await self._play(steps.begin(seat, options))
            with scopes.within(seat.client, ctx):
                yield AsyncTransaction(seat)
            await self._play(steps.simple(seat, native.session_commit_async))
        finally:
            seat.release()

    async def transact(
        self,
        work: Callable[[AsyncTransaction], Awaitable[T] | T],
        *,
        isolation: str | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        timeout: Timeout = None,
    ) -> T:
        """`work(tx)` in a transaction, and again, as `pool.tx_attempts` says, where the server gave way to another one

        (serialization failure, deadlock): it must leave no traces elsewhere.
        """
        ctx = steps.transaction_context(self._seat, timeout)
        options = {"isolation": isolation, "read_only": read_only, "deferrable": deferrable}
        for attempt in count(1):
            try:
                async with self._transaction(options, ctx) as made:
                    return await settled(work(made))
            except errors.Error as error:
                if not await self._play(steps.retry(self._seat, ctx, error, attempt)):
                    raise
        raise AssertionError("unreachable")

    async def copy_from(self, sql: str | Statement, source: Any, *, timeout: Timeout = None) -> int:
        """COPY … FROM STDIN; how many rows there were. `source`: text or bytes, one or an iterable of them."""
        async with self._seated(timeout) as seated:
            return await seated.copy_from(sql, source)

    async def copy_to(self, sql: str | Statement, *, timeout: Timeout = None) -> AsyncIterator[bytes]:
        """COPY … TO STDOUT: chunks of whole rows."""
        async with self._seated(timeout) as seated:
            async for data in seated.copy_to(sql):
                yield data

    @asynccontextmanager
    async def _seated(self, timeout: Timeout) -> AsyncIterator[AsyncSeated]:
        seat = await self._play(steps.acquire(self._seat, steps.context(self._seat.parent, timeout)))
        try:
            yield AsyncSeated(seat)
        finally:
            seat.release()

    async def listen(self, channel: str) -> AsyncIterator[dict[str, Any]]:
        """What is sent to a channel by NOTIFY, as {"channel", "payload", "pid"}, until the client is closed.

        In between {"channel", "notice": "listening", "lost"}: first of all, and with "lost" where some may have been missed.
        """
        seat, ctx = self._seat, native.ctx_new(self._client._listening)
        reader = steps.listen(seat, channel)
        try:
            while (message := await self._play(steps.message(seat, ctx, reader))) is not None:
                yield message
        finally:
            reader.release()

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """What somebody should hear of: callers that wait ("waiting"), a session held for too long ("leak")."""
        return self._client._news(self._seat.handle, native.pool_watch_async, "event")

    def refusals(self) -> AsyncIterator[dict[str, Any]]:
        """Each time that the server refuses the password, or wants one: to be answered by set_password()."""
        return self._client._news(self._seat.handle, native.pool_watch_password_async, "refusal")

    def set_password(self, password: str | bytes | None) -> None:
        """Of the connections that are made from now on; None: what is configured, again."""
        native.pool_set_password(self._seat.handle, password)

    def resize(self, max: int) -> None:
        """Another pool.max from now on."""
        native.pool_resize(self._seat.handle, max)

    async def health(self) -> dict[str, Any]:
        """The database's health after a SELECT 1 within its own deadline."""
        return await self._play(steps.document(self._seat, native.pool_health_async))

    async def advice(self) -> dict[str, Any]:
        """How many connections it should have, from what was seen in the last minutes."""
        return await self._play(steps.document(self._seat, native.pool_advice_async))

    def stats(self) -> dict[str, int]:
        """Connections by state, and callers that wait."""
        handle = self._seat.handle
        return {what: getattr(native, f"pool_{what}")(handle) for what in ("active", "idle", "waiting", "max")}
