// SPDX-License-Identifier: MIT
import sugarperf from './index.js';

export const {
    AuthError, Breaker, Cache, CancelledError, Client, ClosedError, ConfigError, ForkedError, FullError,
    InternalError, InvalidError, LeaseLostError, LimitError, LostError, NoMemoryError, NotFoundError, OpenError,
    Profiler, ProtocolError, RedisError, Session, SessionError, SqlError, Statement, SugarperfError, Template,
    TimeoutError, UnavailableError, UnsupportedError, version,
} = sugarperf;
export default sugarperf;
