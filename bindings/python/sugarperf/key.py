# SPDX-License-Identifier: MIT
"""Key templates: recs.key("user-3", 10) or recs.key(userId="user-3", limit=10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import native, params


class Template:
    """Options as the library reads them: ttl="1h", size="5KB", negative="30s", stale="1m"."""

    def __init__(self, text: str, *, patterns: Iterable[str] = (), **options: str | int) -> None:
        given = " ".join(f"{name}={value}" for name, value in options.items())
        self._native = native.template_new(text, given or None)
        for pattern in patterns:
            native.template_pattern(self._native, pattern)
        count = native.template_params(self._native)
        self.params = [native.template_param(self._native, index) for index in range(count)]

    @property
    def text(self) -> str:
        return native.template_text(self._native)

    def key(self, *values: Any, **named: Any) -> str:
        if named:
            values = tuple(named.pop(name, None) for name in self.params)
            if named:
                raise TypeError(f"{self.text} has no parameter {next(iter(named))}")
        return native.key_format(self._native, params.load(values))

    def __repr__(self) -> str:
        return f"<sugarperf.Template {self.text}>"
