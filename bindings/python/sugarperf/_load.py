# SPDX-License-Identifier: MIT
"""Finds the native module, in the build tree that SUGARPERF_BUILD names or in this package, and checks versions."""

from __future__ import annotations

import importlib
import os
from typing import Any

VERSION = "0.1.0"


def extend(path: list[str]) -> None:
    build = os.environ.get("SUGARPERF_BUILD")
    if build:
        path.insert(0, os.path.join(build, "bindings", "python"))


def _module(path: list[str]) -> Any:
    """What is missing is said here: Python itself would speak of a circular import."""
    wanted = ("native.py", "_native.abi3.so")
    if not any(all(os.path.exists(os.path.join(folder, name)) for name in wanted) for folder in path):
        raise ImportError(
            f"sugarperf: its native module is not in {' or '.join(path)}; build it with ./run setup and set "
            "SUGARPERF_BUILD to the build folder, or install it with meson install"
        )
    try:
        return importlib.import_module("sugarperf.native")
    except ImportError as error:
        raise ImportError(
            f"sugarperf: cannot load its native module ({error}); install libsugarperf and the libraries that it needs, "
            "or set SUGARPERF_BUILD to a build folder"
        ) from None


def check(path: list[str]) -> None:
    native = _module(path)
    if not native.in_main_interpreter():
        raise ImportError("sugarperf: it cannot be used in a sub-interpreter: use a thread or a process")
    for what, found in (("its native module", native.built_for()), ("libsugarperf", native.version())):
        if found != VERSION:
            raise ImportError(
                f"sugarperf: package {VERSION} does not fit {what} {found}; install the same version of both"
            )
