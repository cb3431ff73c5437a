# SPDX-License-Identifier: MIT
"""PEP 249's constructors, and what a column's type code is equal to."""

from __future__ import annotations

import datetime
from typing import Any

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802 (the names are PEP 249's)
    """Of the local clock, as the other two."""
    return datetime.date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802
    return datetime.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802
    return datetime.datetime.fromtimestamp(ticks)


class Kind:
    """A set of types: `cursor.description[0][1] == NUMBER`."""

    def __init__(self, name: str, *oids: int) -> None:
        self._name = name
        self._oids = frozenset(oids)

    def __eq__(self, other: object) -> bool:
        return other in self._oids if isinstance(other, int) else self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<sugarperf.dbapi.{self._name}>"


STRING = Kind("STRING", 18, 19, 25, 705, 1042, 1043)
BINARY = Kind("BINARY", 17)
NUMBER = Kind("NUMBER", 20, 21, 23, 700, 701, 1700)
DATETIME = Kind("DATETIME", 1082, 1083, 1114, 1184, 1186, 1266)
ROWID = Kind("ROWID", 26, 27)


def _time(text: str) -> Any:
    """A time; text for 24:00:00, which it cannot hold."""
    try:
        return datetime.time.fromisoformat(text)
    except ValueError:
        return text


# What PEP 249 asks for beyond the values of the other faces.
OWN = {1083: _time, 1266: _time}
