# SPDX-License-Identifier: MIT
"""What a pool and its sessions do, once for both faces.

A function here is a generator: it yields (context, start) for each operation, `start(queue, tag)` submits it, and is sent what
came of it. The asyncio face awaits that, the blocking one waits; nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from . import codec, errors, given, native, params, rows
from .held import Held
from .queues import Start
from .statement import Statement, handle_of

T = TypeVar("T")
Steps = Generator[tuple[Any, Start], Any, T]
Values = Sequence[Any] | None
Timeout = float | str | None
# Past SWIG's wrappers in Python: each statement comes by.
_pool_launch, _session_launch = native._native.pool_launch, native._native.session_launch


def context(parent: Any, timeout: Timeout = None, **said: str | None) -> Any:
    """`timeout` in seconds, or text as in the configuration ("250ms")."""
    ctx = native.ctx_new(parent)
    if timeout is not None:
        native.ctx_set(ctx, "timeout", given.duration("timeout", timeout))
    for name, value in said.items():
        if value is not None:
            native.ctx_set(ctx, name, value)
    return ctx


def transaction_context(seat: Seat, timeout: Timeout) -> Any:
    """A transaction is a unit of work of its own: what a cache may do while it is open concerns nobody else.

    Other reads inside it are not sent to replicas, which may lack what was written before.
    """
    return context(seat.parent, timeout, unit="own", reads="primary")


class Seat:
    """A held session, or the pool (`session` False), and the context above the calls on it; None: that of whoever calls."""

    def __init__(self, client: Any, handle: Any, parent: Any, session: bool = True) -> None:
        self.client = client
        self._parent = parent
        self.session = session
        self._native = handle

    @property
    def parent(self) -> Any:
        return self._parent or self.client._above()

    @property
    def handle(self) -> Any:
        if self._native is None or self.client.closed:
            if not self.session:
                self.client._check()
            raise errors.make(native.SP_CLOSED, "the session was given back")
        return self._native

    def within(self, parent: Any) -> Seat:
        return Seat(self.client, self._native, parent, self.session)

    def launch(self, sql: str | Statement, values: Values, timeout: Timeout) -> Start:
        """One statement, in one crossing; what it returns cancels it."""
        handle, parent, statement = self.handle, self.parent, handle_of(sql)
        call = _session_launch if self.session else _pool_launch
        said = None if timeout is None else given.duration("timeout", timeout)
        return lambda queue, tag: call(handle, parent, said, statement, values, queue, tag)

    def end(self) -> None:
        """Nothing can be run on it any more."""
        self._native = None

    def release(self) -> None:
        handle, self._native = self._native, None
        if handle is not None:
            self.client._held.release(handle)


def play(script: Steps[T], call: Callable[[Start, Any], Any]) -> T:
    """A script where each operation is waited for by `call`."""
    try:
        ctx, start = next(script)
        while True:
            try:
                payload = call(start, ctx)
            except BaseException as error:
                ctx, start = script.throw(error)
            else:
                ctx, start = script.send(payload)
    except StopIteration as done:
        return done.value


def simple(seat: Seat, call: Callable[..., None], *values: Any) -> Steps[Any]:
    """A call that takes nothing of its own but plain values."""
    handle, ctx = seat.handle, context(seat.parent)
    return (yield ctx, lambda queue, tag: call(handle, ctx, *values, queue, tag))


def document(seat: Seat, call: Callable[..., None]) -> Steps[Any]:
    return codec.decode(*(yield from simple(seat, call)))


def batch(seat: Seat, sql: str | Statement, sets: Sequence[Sequence[Any]], timeout: Timeout) -> Steps[rows.Sets]:
    handle, ctx, statement = seat.handle, context(seat.parent, timeout), handle_of(sql)
    call = native.session_batch_async if seat.session else native.pool_batch_async
    return rows.sets_of((yield ctx, lambda queue, tag: call(handle, ctx, statement, params.load_sets(sets), queue, tag)))


def acquire(seat: Seat, ctx: Any) -> Steps[Seat]:
    """A session of the pool's, held until it is released."""
    handle, client = seat.handle, seat.client
    made = yield ctx, lambda queue, tag: native.pool_acquire_async(handle, ctx, queue, tag)
    return Seat(client, client._held.add(made, native.session_release), ctx)


def words(isolation: str | None, read_only: bool | None, deferrable: bool | None) -> str | None:
    """The words of session_begin(), which checks them; None for none."""
    said = [isolation]
    if read_only is not None:
        said.append("read only" if read_only else "read write")
    if deferrable is not None:
        said.append("deferrable" if deferrable else "not deferrable")
    return " ".join(filter(None, said)) or None


def begin(seat: Seat, options: Mapping[str, Any]) -> Steps[None]:
    yield from simple(seat, native.session_begin_async, words(**options))


def retry(seat: Seat, ctx: Any, error: BaseException, attempt: int) -> Steps[bool]:
    """Whether the library wants the transaction made again after `error`; then the pause is over."""
    if not isinstance(error, errors.Error):
        return False
    handle, code = seat.handle, error.server_code if error.retryable else ""
    try:
        answer = yield ctx, lambda queue, tag: native.pool_retry_async(handle, ctx, code, attempt, queue, tag)
    except errors.Error as refused:
        raise refused from error
    return bool(codec.decode(*answer))


def savepoint(seat: Seat, name: str) -> Steps[None]:
    yield from simple(seat, native.session_savepoint_async, name)


def keep(seat: Seat, name: str) -> Steps[None]:
    yield from simple(seat, native.session_release_savepoint_async, name)


def take_back(seat: Seat, name: str) -> Steps[None]:
    """Where this fails the transaction has, and says so itself."""
    try:
        yield from simple(seat, native.session_rollback_to_async, name)
        yield from keep(seat, name)
    except errors.Error:
        pass


def roll_back(seat: Seat) -> Steps[None]:
    """Behind whatever is still on its way; the session may be gone."""
    try:
        yield from simple(seat, native.session_rollback_async)
    except errors.Error:
        pass


class Reader:
    """What is read page by page; `take()` yields the next page, None at the end."""

    def __init__(self, held: Held, handle: Any, end: Callable[[Any], None]) -> None:
        self._held = held
        self.handle = held.add(handle, end)

    def release(self) -> None:
        self._held.release(self.handle)


def stream(seat: Seat, ctx: Any, sql: str | Statement, values: Values, page_size: int) -> Steps[Reader]:
    handle, statement = seat.handle, handle_of(sql)
    made = yield ctx, lambda queue, tag: native.pool_stream_async(
        handle, ctx, statement, params.load(values), page_size, queue, tag
    )
    return Reader(seat.client._held, made, native.stream_free)


def page(seat: Seat, ctx: Any, reader: Reader) -> Steps[rows.Rows | None]:
    seat.client._check()
    return (yield ctx, lambda queue, tag: native.stream_next_async(reader.handle, ctx, queue, tag))


def copy(seat: Seat, ctx: Any, sql: str | Statement) -> Steps[Reader]:
    handle, statement = seat.handle, handle_of(sql)
    made = yield ctx, lambda queue, tag: native.session_copy_async(handle, ctx, statement, queue, tag)
    return Reader(seat.client._held, made, native.copy_free)


def write(seat: Seat, ctx: Any, reader: Reader, data: bytes) -> Steps[None]:
    seat.client._check()
    yield ctx, lambda queue, tag: native.copy_write_async(reader.handle, ctx, data, queue, tag)


def read(seat: Seat, ctx: Any, reader: Reader) -> Steps[bytes | None]:
    seat.client._check()
    value = yield ctx, lambda queue, tag: native.copy_read_async(reader.handle, ctx, queue, tag)
    return None if value is None else value[1]


def finish(seat: Seat, ctx: Any, reader: Reader) -> Steps[int]:
    seat.client._check()
    value = yield ctx, lambda queue, tag: native.copy_end_async(reader.handle, ctx, queue, tag)
    return int(codec.decode(*value))


def listen(seat: Seat, channel: str) -> Reader:
    return Reader(seat.client._held, native.pool_listen(seat.handle, channel), native.listener_free)


def message(seat: Seat, ctx: Any, reader: Reader) -> Steps[dict[str, Any] | None]:
    """None: the client ends."""
    return (
        yield from until_closed(
            seat.client, ctx, lambda queue, tag: native.listener_next_async(reader.handle, ctx, queue, tag)
        )
    )


def news(client: Any, handle: Any, ctx: Any, call: Callable[..., None], seen: int) -> Steps[dict[str, Any] | None]:
    """The next event of a number above `seen`, by `call` of a handle; None: the client ends."""
    return (yield from until_closed(client, ctx, lambda queue, tag: call(handle, ctx, seen, queue, tag)))


def until_closed(client: Any, ctx: Any, start: Start) -> Steps[Any]:
    if client.closed:
        return None
    try:
        return codec.decode(*(yield ctx, start))
    except errors.Error:
        if client.closed:
            return None
        raise


CHUNK = 65536


class Chunks:
    """Small pieces are sent together."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, piece: Any) -> bytes | None:
        """A chunk, once there is enough for one."""
        if isinstance(piece, str):
            piece = piece.encode()
        elif not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f"what is copied must be text or bytes, not {type(piece).__name__}")
        self._parts.append(bytes(piece))
        self._size += len(piece)
        return self.rest() if self._size >= CHUNK else None

    def rest(self) -> bytes:
        data = b"".join(self._parts)
        self._parts, self._size = [], 0
        return data


def pieces(source: Any) -> Any:
    return [source] if isinstance(source, (str, bytes, bytearray, memoryview)) else source
