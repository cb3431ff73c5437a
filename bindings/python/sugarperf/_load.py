# SPDX-License-Identifier: MIT
"""Finds the native module, in the build tree that SUGARPERF_BUILD names or in this package, and checks versions."""

from __future__ import annotations

import os

VERSION = "0.1.0"


def extend(path: list[str]) -> None:
    build = os.environ.get("SUGARPERF_BUILD")
    if build:
        path.append(os.path.join(build, "bindings", "python"))


def check() -> None:
    try:
        from . import native
    except ImportError as error:
        raise ImportError(
            f"sugarperf: cannot load its native module ({error}); install libsugarperf and this package for your "
            "platform, or set SUGARPERF_BUILD to a build directory"
        ) from None
    for what, found in (("its native module", native.built_for()), ("libsugarperf", native.version())):
        if found != VERSION:
            raise ImportError(
                f"sugarperf: package {VERSION} does not fit {what} {found}; install the same version of both"
            )
