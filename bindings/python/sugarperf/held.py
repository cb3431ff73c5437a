# SPDX-License-Identifier: MIT
"""Leases, sessions and what reads that Python holds: each is given back once, at the latest when its client ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import errors, native


class Held:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._ends: dict[int, tuple[Any, Callable[[Any], None]]] = {}

    def add(self, handle: Any, end: Callable[[Any], None]) -> Any:
        with self._lock:
            if not self._ended:
                self._ends[id(handle)] = (handle, end)
                return handle
        end(handle)
        raise errors.make(native.SP_CLOSED, "the client is closed")

    def forget(self, handle: Any) -> bool:
        """Whether the handle was still held: the caller may use it up."""
        with self._lock:
            return self._ends.pop(id(handle), None) is not None

    def release(self, handle: Any) -> None:
        with self._lock:
            found = self._ends.pop(id(handle), None)
        if found is not None:
            found[1](handle)

    def release_all(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, {}
            self._ended = True
        for handle, end in ends.values():
            end(handle)
