# SPDX-License-Identifier: MIT
"""Arguments as they were given, checked where the library would not see what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any


def several(name: str, given: Any) -> Iterable[Any]:
    """A text is iterable too, letter by letter: nobody means that."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list, not {type(given).__name__}")
    return given


def seconds(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(given).__name__}")
    if not math.isfinite(given) or given < 0:
        raise ValueError(f"{name} must be a number of seconds, not {given}")
    return given


def milliseconds(name: str, given: Any) -> int:
    return round(seconds(name, given) * 1000)


def duration(name: str, given: Any) -> str:
    """Seconds, or text as in the configuration, as the library reads it."""
    return given if isinstance(given, str) else f"{milliseconds(name, given)}ms"


def function(name: str, given: Any) -> Callable[..., Any]:
    if not callable(given):
        raise TypeError(f"{name} must be a function, not {type(given).__name__}")
    return given


def face(client: Any, way: str, says: str) -> None:
    """What only one of the two faces of a client has."""
    if not hasattr(client, way):
        raise TypeError(says)
