# SPDX-License-Identifier: MIT
"""@cached, @profiled and @breaker: for functions of the blocking face and coroutine functions of the asyncio one.

    @cached(client, "rec:recommendations:{user_id}:{limit}", ttl="1h")
    async def recommendations(user_id: str, limit: int = 10) -> list[dict[str, Any]]:
        return await client.query(SQL, [user_id, limit])

`client` is a client, or a function that gives one when it is needed: a module may be imported before its client is made.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from . import given
from .guard import _NOTHING
from .key import Template
from .parts import Base

P = ParamSpec("P")
R = TypeVar("R")
Q = ParamSpec("Q")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)
Given = Base | Callable[[], Base]
Tags = Iterable[str] | Callable[..., Iterable[str]]


class Cached(Protocol[P, R_co]):
    """A function that is cached; key(…) takes its arguments, too."""

    key: Callable[P, str]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, instance: None, owner: Any) -> Cached[P, R_co]: ...

    @overload
    def __get__(self: Cached[Concatenate[S, Q], R], instance: S, owner: Any) -> Callable[Q, R]: ...


def _client(client: Given) -> Any:
    return client if isinstance(client, Base) else client()


def _wrapped(function: Callable[P, R], call: Callable[[Callable[[], Any], Any, Any], Any]) -> Callable[P, R]:
    """`call(work, args, kwargs)` in place of `function`; it answers a value, or for a coroutine function an awaitable."""

    def answer(args: Any, kwargs: Any) -> Any:
        return call(functools.partial(function, *args, **kwargs), args, kwargs)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await answer(args, kwargs)
    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return answer(args, kwargs)

    return cast(Callable[P, R], wrapper)


def _face(client: Any, function: Callable[..., Any], what: str) -> Any:
    """Coroutine functions and plain ones each have a client of their own kind."""
    if inspect.iscoroutinefunction(function):
        given.face(client, "__aenter__", f"{what}: a coroutine function needs an AsyncClient")
    else:
        given.face(client, "__enter__", f"{what}: a plain function needs a Client")
    return client


class _Keys:
    """The keys of a function's calls: its template's parameters are the function's, by name."""

    def __init__(self, function: Callable[..., Any], text: str, patterns: Iterable[str], options: dict[str, Any]) -> None:
        self._made: Callable[[Any], Template] = lambda cache: cache.template(text, patterns=patterns, **options)
        self._templates: weakref.WeakKeyDictionary[Base, Template] = weakref.WeakKeyDictionary()
        self._signature = inspect.signature(function)
        for name in Template(text, **options).params:
            if name not in self._signature.parameters:
                raise TypeError(f"{function.__qualname__}() has no parameter {name}, which its key {text} has")

    def declared(self, client: Any) -> Template:
        """Once for each client."""
        if (template := self._templates.get(client)) is None:
            template = self._templates[client] = self._made(client.cache)
        return template

    def arguments(self, args: Any, kwargs: Any) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def told(self, tags: Callable[..., Iterable[str]], args: Any, kwargs: Any) -> Iterable[str]:
        """What `tags` makes of a call's arguments, with the function's defaults where it wants them."""
        try:
            inspect.signature(tags).bind(*args, **kwargs)
        except TypeError:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return tags(*bound.args, **bound.kwargs)
        return tags(*args, **kwargs)

    def key(self, client: Any, arguments: dict[str, Any]) -> str:
        template = self.declared(client)
        return template.key(*(arguments[name] for name in template.params))


def cached(
    client: Given,
    key: str,
    *,
    patterns: Iterable[str] = (),
    tags: Tags = (),
    timeout: float | str | None = None,
    **options: str | int,
) -> Callable[[Callable[P, R]], Cached[P, R]]:
    """What the function answered, by the arguments that the key's template names; one caller calls it, all others wait.

    `options` are the template's: ttl="1h", stale="1m", negative="30s". `tags`: texts, or a function of the same arguments.
    The function has key(…), which takes its arguments too, for invalidate(keys=[…]).
    """

    def decorate(function: Callable[P, R]) -> Cached[P, R]:
        keys = _Keys(function, key, patterns, options)

        def call(work: Callable[[], Any], args: Any, kwargs: Any) -> Any:
            own = _face(_client(client), function, "cached()")
            name = keys.key(own, keys.arguments(args, kwargs))
            named = keys.told(tags, args, kwargs) if callable(tags) else tags
            return own.cache.get(name, work, tags=named, timeout=timeout)

        wrapper: Any = _wrapped(function, call)
        wrapper.key = lambda *args, **kwargs: keys.key(_client(client), keys.arguments(args, kwargs))
        return cast(Cached[P, R], wrapper)

    return decorate


def profiled(client: Given, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Each call is recorded under `name`, or the function's own."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        called = name or function.__qualname__

        async def awaited(work: Callable[[], Any], own: Any) -> Any:
            with own.profiler.run(called):
                return await work()

        def call(work: Callable[[], Any], args: Any, kwargs: Any) -> Any:
            own = _client(client)
            if inspect.iscoroutinefunction(function):
                return awaited(work, own)
            with own.profiler.run(called):
                return work()

        return _wrapped(function, call)

    return decorate


def breaker(client: Given, name: str, fallback: Any = _NOTHING) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Each call under that breaker of the client; `fallback`, a value or a function of the error, as in Breaker.run()."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def call(work: Callable[[], Any], args: Any, kwargs: Any) -> Any:
            own = _client(client).breaker(name)
            return (own.run_async if inspect.iscoroutinefunction(function) else own.run)(work, fallback)

        return _wrapped(function, call)

    return decorate
