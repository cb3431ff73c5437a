# SPDX-License-Identifier: MIT
"""Statements in the style "pyformat" as PostgreSQL takes them: %s and %(name)s become $1, $2, …

A percent sign is one wherever it stands, in quotes too: LIKE 'a%%'. Without parameters the text is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .errors import ProgrammingError

_MARK = re.compile(r"%(?:(%)|(s)|\(([^)]*)\)s|(.?))", re.DOTALL)


class _Marks:
    """The places of one statement, in order; a name has one number, however often it stands there."""

    def __init__(self) -> None:
        self.count = 0
        self.names: dict[str, int] = {}

    def number(self, mark: re.Match[str]) -> str:
        percent, plain, name, other = mark.groups()
        if percent:
            return "%"
        if other is not None:
            raise ProgrammingError(f'"%{other}" is no place for a parameter: write %s, %(name)s, or %% for a percent sign')
        if plain:
            self.count += 1
            return f"${self.count}"
        return f"${self.names.setdefault(name, len(self.names) + 1)}"


@lru_cache(maxsize=1024)
def _translated(text: str) -> tuple[str, int, tuple[str, ...]]:
    marks = _Marks()
    made = _MARK.sub(marks.number, text)
    if marks.count and marks.names:
        raise ProgrammingError("a statement has either %s or %(name)s")
    return made, marks.count, tuple(marks.names)


def statement(text: str, parameters: Any) -> str:
    """`parameters`: those of one execution, None for none."""
    if not isinstance(text, str):
        raise ProgrammingError(f"a statement is text, not {type(text).__name__}")
    return text if parameters is None else _translated(text)[0]


def values(text: str, parameters: Any) -> Sequence[Any]:
    """In the order of $1, $2, …"""
    if parameters is None:
        return ()
    _, count, names = _translated(text)
    if isinstance(parameters, Mapping):
        return _named(count, names, parameters)
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise ProgrammingError(f"parameters are a sequence or a mapping, not {type(parameters).__name__}")
    if names:
        raise ProgrammingError("a statement with %(name)s takes a mapping")
    if len(parameters) != count:
        raise ProgrammingError(f"the statement has {count} places for parameters, {len(parameters)} are given")
    return parameters if isinstance(parameters, (list, tuple)) else tuple(parameters)


def _named(count: int, names: tuple[str, ...], parameters: Mapping[str, Any]) -> Sequence[Any]:
    if count:
        raise ProgrammingError("a statement with %s takes a sequence")
    for name in names:
        if name not in parameters:
            raise ProgrammingError(f'there is no parameter "{name}"')
    return [parameters[name] for name in names]
