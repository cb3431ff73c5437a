# SPDX-License-Identifier: MIT
"""PostgreSQL pool, cache-aside, invalidation, circuit breaker and query profiler, in C, for Python.

AsyncClient is the asyncio face, Client the blocking one; both speak to the same library.
"""

from . import _load

_load.extend(__path__)
_load.check(list(__path__))

from . import errors  # noqa: E402
from .aio import AsyncClient  # noqa: E402
from .aio_pool import AsyncPool, AsyncSession, AsyncTransaction  # noqa: E402
from .client import Client  # noqa: E402
from .decorators import breaker, cached, profiled  # noqa: E402
from .errors import Error, RedisError, SqlError  # noqa: E402
from .guard import Attempt, Breaker, Clock, Policy  # noqa: E402
from .key import Template  # noqa: E402
from .profiler import Profiler  # noqa: E402
from .pool import Pool, Session, Transaction  # noqa: E402
from .statement import Statement  # noqa: E402

__version__ = _load.VERSION
__all__ = [
    "AsyncClient",
    "AsyncPool",
    "AsyncSession",
    "AsyncTransaction",
    "Attempt",
    "Breaker",
    "Client",
    "Clock",
    "Error",
    "Policy",
    "Pool",
    "Profiler",
    "RedisError",
    "Session",
    "SqlError",
    "Statement",
    "Template",
    "Transaction",
    "breaker",
    "cached",
    "errors",
    "profiled",
]
