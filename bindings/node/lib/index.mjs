// SPDX-License-Identifier: MIT
import sugarperf from './index.js';

export const {
    AuthError, Breaker, Cache, CancelledError, Client, Clock, ClosedError, ConfigError, ForkedError, FullError,
    InternalError, InvalidError, LeaseLostError, LimitError, LostError, NoMemoryError, NotFoundError, OpenError,
    Policy, Pool, Profiler, ProtocolError, RedisError, Session, SessionError, SqlError, Statement, SugarperfError, Template,
    TimeoutError, Transaction, UnavailableError, UnsupportedError, sql, version,
} = sugarperf;
export default sugarperf;
