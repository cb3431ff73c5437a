/* SPDX-License-Identifier: MIT */
/* Every name there is. docs/configuration.md is generated from it. */
#include "core/config.h"

#define DAY_MS (24LL * 3600 * 1000)

#define ROW_INT(name, instanced, fallback, min, max, range, alias, help)                                               \
        {                                                                                                              \
                name, SP__CONFIG_INT, instanced, fallback, min, max, NULL, range, alias, help                          \
        }
#define ROW_TIME(name, instanced, fallback, min, max, range, help)                                                     \
        {                                                                                                              \
                name, SP__CONFIG_DURATION, instanced, fallback, min, max, NULL, range, NULL, help                      \
        }
#define ROW_SIZE(name, fallback, min, max, range, help)                                                                \
        {                                                                                                              \
                name, SP__CONFIG_SIZE, false, fallback, min, max, NULL, range, NULL, help                              \
        }
#define ROW_BOOL(name, instanced, fallback, help)                                                                      \
        {                                                                                                              \
                name, SP__CONFIG_BOOL, instanced, fallback, 0, 1, NULL, "true, false", NULL, help                      \
        }
#define ROW_WORD(name, type, instanced, fallback, allowed, range, alias, help)                                         \
        {                                                                                                              \
                name, type, instanced, fallback, 0, 0, allowed, range, alias, help                                     \
        }

const struct sp__config_row sp__config_table[] = {
    ROW_WORD("pool.url", SP__CONFIG_URL, true, "", "postgresql:// postgres://", "postgresql://…", "DATABASE_URL",
             "where PostgreSQL is: postgresql://user:password@host:port/database?option=value"),
    ROW_WORD(
        "pool.replicas", SP__CONFIG_URL, true, "", "postgresql:// postgres://", "postgresql://… postgresql://…", NULL,
        "replicas, a blank between their URLs; single reads outside of sessions go there, if they are near enough"),
    ROW_WORD("pool.reads", SP__CONFIG_CHOICE, true, "replica", "primary replica", "primary, replica", NULL,
             "primary: the replicas are not used"),
    ROW_TIME("pool.replica_lag", true, "1s", 0, DAY_MS, "0–1d",
             "how far behind a replica may be that is read from; 0: however far"),
    ROW_WORD("pool.host", SP__CONFIG_TEXT, true, "", NULL, "", "DATABASE_HOST",
             "host, where no URL is set; several: a,b"),
    ROW_INT("pool.port", true, "5432", 1, 65535, "1–65535", "DATABASE_PORT", "port, where no URL is set"),
    ROW_WORD("pool.user", SP__CONFIG_TEXT, true, "", NULL, "", "DATABASE_USER", "user, where the URL names none"),
    ROW_WORD("pool.password", SP__CONFIG_SECRET, true, "", NULL, "", "DATABASE_PASSWORD",
             "password, where the URL names none"),
    ROW_WORD("pool.password_file", SP__CONFIG_TEXT, true, "", NULL, "", NULL,
             "a file that holds the password and nothing else; read for each connection, before pool.password"),
    ROW_WORD("pool.password_command", SP__CONFIG_SECRET, true, "", NULL, "", NULL,
             "a program that prints the password, with its arguments; no shell (but sh -c '…' is one); run for each "
             "connection, within pool.connect_timeout"),
    ROW_WORD("pool.database", SP__CONFIG_TEXT, true, "", NULL, "", "DATABASE_NAME",
             "database, where the URL names none"),
    ROW_WORD(
        "pool.target_session_attrs", SP__CONFIG_CHOICE, true, "any",
        "any read-write read-only primary standby prefer-standby",
        "any, read-write, read-only, primary, standby, prefer-standby", NULL,
        "which of the URL's servers will do, where the URL does not say; a connection to one that no longer does is "
        "given up"),
    ROW_INT("pool.max", true, "20", 1, 1000, "1–1000", "DB_POOL_SIZE", "connections at most"),
    ROW_INT("pool.min", true, "5", 0, 1000, "0–1000", NULL,
            "connections that are kept warm, from the first use of the pool on"),
    ROW_INT("pool.lanes", true, "2", 1, 64, "1–64", NULL,
            "connections that concurrent fast statements share; never more than a quarter of pool.max, but one"),
    ROW_INT("pool.lane_depth", true, "64", 1, 1024, "1–1024", NULL, "statements in flight on a lane at most"),
    ROW_INT("pool.waiting", true, "10000", 1, 1000000, "1–1000000", NULL,
            "callers that may wait for a connection; a further one is refused with SP_FULL"),
    ROW_INT("pool.statements", true, "256", 0, 10000, "0–10000", NULL,
            "statements that a connection keeps prepared; 0: none (for a proxy in transaction mode)"),
    ROW_TIME("pool.statement_age", true, "1m", 0, DAY_MS, "0–1d",
             "what was prepared longer ago is prepared anew at its next use, within 25 %; 0: never"),
    ROW_BOOL("pool.reset_functions", true, "true",
             "whether what DO, CALL and functions of one's own may leave in a session is reset behind them"),
    ROW_TIME("pool.acquire_timeout", true, "2s", 1, DAY_MS, "1ms–1d", "how long a caller waits for a connection"),
    ROW_TIME("pool.connect_timeout", true, "2s", 1, DAY_MS, "1ms–1d", "how long connecting may take"),
    ROW_TIME("pool.query_timeout", true, "5s", 1, DAY_MS, "1ms–1d",
             "deadline of a call without one: waiting, executing and fetching"),
    ROW_TIME("pool.statement_timeout", true, "1s", 0, DAY_MS, "0–1d", "the server ends a statement after it; 0: never"),
    ROW_TIME("pool.idle_timeout", true, "30s", 1, DAY_MS, "1ms–1d",
             "a connection beyond pool.min is closed when idle this long"),
    ROW_TIME("pool.lifetime", true, "30m", 1000, 30 * DAY_MS, "1s–30d",
             "a connection is replaced at this age, within 10 %"),
    ROW_INT("pool.max_uses", true, "0", 0, 1000000000, "0–1000000000", NULL,
            "a connection is replaced after so many statements and sessions; 0: never"),
    ROW_TIME("pool.keepalive", true, "30s", 0, DAY_MS, "0–1d",
             "an idle connection that was silent this long is pinged, and replaced when it does not answer; 0: never"),
    ROW_TIME("pool.validate_after", true, "1s", 0, DAY_MS, "0–1d",
             "a connection that was silent this long is pinged before a caller gets it; 0: never"),
    ROW_INT("pool.warn_waiting", true, "5", 0, 1000000, "0–1000000", NULL,
            "more callers than this that wait for a connection are an event and counted; 0: never"),
    ROW_TIME("pool.leak_after", true, "1m", 0, DAY_MS, "0–1d",
             "a session that is held this long is an event and counted, with where it was taken; 0: never"),
    ROW_INT("pool.spin_us", true, "0", 0, 1000, "0–1000", NULL,
            "microseconds for which the thread of asynchronous calls looks on before it sleeps, while few are under way and "
            "answers come as fast: fewer wake-ups, more CPU; of a client's pools the longest holds"),
    ROW_INT("pool.tx_attempts", true, "5", 1, 100, "1–100", NULL,
            "attempts of a transaction in all, where serialization failures or deadlocks end it; 1: no retry"),
    ROW_TIME("pool.tx_backoff", true, "10ms", 0, 60000, "0–1m",
             "the longest pause before its first retry; it doubles with each, six times at most, and each is a random "
             "part of it"),
    ROW_BOOL("pool.breaker", true, "false",
             "a circuit breaker of each host's, breaker.pool.… or breaker.pool-<name>.…, before every statement"),
    ROW_WORD("pool.application_name", SP__CONFIG_TEXT, true, "sugarperf", NULL, "", NULL,
             "what pg_stat_activity calls the connections"),

    ROW_WORD(
        "redis.url", SP__CONFIG_URL, false, "",
        "redis:// rediss:// unix:// redis+sentinel:// rediss+sentinel:// redis+cluster:// rediss+cluster://",
        "redis://…, unix://…, redis+sentinel://…, redis+cluster://…, rediss… for TLS", "REDIS_URL",
        "where Redis is: redis://user:password@host:port/database, unix:///path?db=0, "
        "redis+sentinel://host:port,host:port/name/database, redis+cluster://host:port,host:port; rediss… speaks TLS; "
        "unset: the cache lives in process"),
    ROW_WORD("redis.sentinel_user", SP__CONFIG_TEXT, false, "", NULL, "", NULL, "who we are to sentinels, if they ask"),
    ROW_WORD("redis.sentinel_password", SP__CONFIG_SECRET, false, "", NULL, "", NULL, "and the password there"),
    ROW_WORD("redis.tls_verify", SP__CONFIG_CHOICE, false, "full", "full ca none", "full, ca, none", NULL,
             "full: the certificate is trusted and for that host; ca: trusted; none: any will do"),
    ROW_WORD("redis.tls_ca", SP__CONFIG_TEXT, false, "", NULL, "", NULL,
             "a file of trusted authorities (PEM), where not the system's"),
    ROW_WORD("redis.tls_cert", SP__CONFIG_TEXT, false, "", NULL, "", NULL,
             "a file with our own certificate (PEM), if the server asks for one"),
    ROW_WORD("redis.tls_key", SP__CONFIG_TEXT, false, "", NULL, "", NULL,
             "a file with its key (PEM); unset: it stands in redis.tls_cert"),
    ROW_BOOL("redis.breaker", false, "false", "a circuit breaker of each server's, breaker.redis.…, before every trip"),
    ROW_TIME("redis.connect_timeout", false, "1s", 1, DAY_MS, "1ms–1d", "how long connecting may take"),
    ROW_TIME("redis.timeout", false, "500ms", 1, DAY_MS, "1ms–1d", "how long a command may take"),

    ROW_WORD("cache.namespace", SP__CONFIG_TEXT, false, "sp", NULL, "", NULL,
             "what the cache's own keys in Redis begin with; services that share entries share it"),
    ROW_SIZE("cache.memory", "64MB", 0, 1LL << 40, "0–1TB", "bytes of the in-process level; 0: none (Redis alone)"),
    ROW_TIME("cache.bound", false, "1s", 30, DAY_MS, "30ms–1d",
             "how old a value another process may still serve after an invalidation was acknowledged"),
    ROW_TIME("cache.ttl", false, "1h", 1, 3650 * DAY_MS, "1ms–10y", "time to live of keys without a template"),
    ROW_TIME("cache.negative", false, "30s", 1, 3650 * DAY_MS, "1ms–10y",
             "time to live of an absent value, for keys without a template"),
    ROW_TIME("cache.stale", false, "0", 0, 3650 * DAY_MS, "0–10y",
             "how long after its end a value may still be served, where its template does not say"),
    ROW_TIME("cache.retry", false, "1s", 0, DAY_MS, "0–1d",
             "a load that failed is not tried again before, where a value past its end stands in"),
    ROW_INT("cache.loads", false, "0", 0, 1000000, "0–1000000", NULL,
            "loads under way at once in this process; others wait for their turn. 0: no bound"),
    ROW_WORD("cache.mode", SP__CONFIG_CHOICE, false, "use", "use read bypass", "use, read, bypass", NULL,
             "read: what is there is taken, nothing is stored; bypass: every look-up loads for itself"),
    ROW_TIME("cache.lease", false, "5s", 10, 600000, "10ms–10m",
             "how long a loader has the key to itself before the oldest waiter loads"),
    ROW_INT("cache.jitter", false, "10", 0, 50, "0–50", NULL, "percent by which a time to live is shortened at random"),
    ROW_SIZE("cache.value_max", "8MB", 1, 512LL << 20, "1B–512MB",
             "bytes of a value at most, where its template does not say"),
    ROW_BOOL("cache.events", false, "true", "whether other processes that watch are told of invalidations"),
    ROW_SIZE("cache.compress", "1KB", 0, 512LL << 20, "0–512MB",
             "a value of at least so many bytes is compressed (LZ4) in Redis, where that saves an eighth; 0: never"),
    ROW_WORD(
        "cache.outage", SP__CONFIG_CHOICE, false, "load", "load fail stale", "load, fail, stale", NULL,
        "without Redis: load from the database, one load a key in this process; or fail; or first serve what is in "
        "process, unproven, up to its end"),

    ROW_WORD("feed.slot", SP__CONFIG_TEXT, false, "", NULL, "", NULL,
             "the replication slot that the change feed reads from; unset: sugarperf_, cache.namespace and the pool's name, "
             "if it has one"),
    ROW_WORD("feed.publication", SP__CONFIG_TEXT, false, "", NULL, "", NULL,
             "the publication that it reads; unset: as the slot"),
    ROW_BOOL("feed.create", false, "true",
             "whether it makes the publication, or adds the rules' tables, where that is missing; else it says how"),
    ROW_TIME("feed.lease", false, "3s", 100, 600000, "100ms–10m",
             "how long after its last sign of life another process takes the place of the one that reads"),

    ROW_WORD("breaker.mode", SP__CONFIG_CHOICE, true, "normal", "normal forced_open disabled metrics_only",
             "normal, forced_open, disabled, metrics_only", NULL,
             "normal: it opens and closes by itself; else the state that it is held in"),
    ROW_INT("breaker.failures", true, "5", 0, 1000000, "0–1000000", NULL,
            "consecutive failures that open it; 0: however many"),
    ROW_INT("breaker.failure_rate", true, "0", 0, 100, "0–100", NULL,
            "percent of failures in the window that open it; 0: none"),
    ROW_TIME("breaker.slow", true, "0", 0, DAY_MS, "0–1d", "a call that takes this long is slow; 0: none is"),
    ROW_INT("breaker.slow_rate", true, "0", 0, 100, "0–100", NULL,
            "percent of slow calls in the window that open it; 0: none. A slow probe then counts as failed"),
    ROW_WORD("breaker.window", SP__CONFIG_CHOICE, true, "count", "count time", "count, time", NULL,
             "rates are of the last breaker.window_calls, or of the last breaker.window_time"),
    ROW_INT("breaker.window_calls", true, "100", 1, 1000000, "1–1000000", NULL, "calls that a window of count holds"),
    ROW_TIME("breaker.window_time", true, "60s", 20, DAY_MS, "20ms–1d",
             "what a window of time holds; its oldest twentieth leaves at once"),
    ROW_INT("breaker.minimum", true, "100", 1, 1000000, "1–1000000", NULL,
            "calls in the window before a rate is judged; at most breaker.window_calls in a window of count"),
    ROW_INT("breaker.in_flight", true, "0", 0, 1000000, "0–1000000", NULL,
            "calls in flight at most: one more opens it; 0: no bound"),
    ROW_INT("breaker.probes", true, "1", 1, 1000, "1–1000", NULL, "probes that decide whether it closes"),
    ROW_INT("breaker.probe_failures", true, "0", 0, 999, "0–999", NULL,
            "how many of them may fail; less than breaker.probes"),
    ROW_TIME("breaker.probe_timeout", true, "0", 0, DAY_MS, "0–1d",
             "a probe without a result is given up after it, and another takes its place; 0: breaker.open_time"),
    ROW_TIME("breaker.open_time", true, "60s", 1, DAY_MS, "1ms–1d", "how long it stays open before a probe"),
    ROW_INT("breaker.open_factor", true, "1", 1, 10, "1–10", NULL,
            "how many times longer it stays open each time that its probes failed"),
    ROW_TIME("breaker.open_max", true, "5m", 1, DAY_MS, "1ms–1d",
             "the longest open time that it grows to, before jitter"),
    ROW_INT("breaker.jitter", true, "0", 0, 100, "0–100", NULL,
            "percent by which an open time is lengthened at random, at most"),
    ROW_TIME("breaker.idle", true, "1h", 1, 30 * DAY_MS, "1ms–30d",
             "a client drops a breaker, and its metrics, that was not used this long"),

    ROW_TIME("policy.timeout", true, "0", 0, DAY_MS, "0–1d", "of a call with its waits and retries; 0: none"),
    ROW_TIME("policy.attempt_timeout", true, "0", 0, DAY_MS, "0–1d", "of one attempt; 0: none"),
    ROW_INT("policy.attempts", true, "1", 1, 100, "1–100", NULL, "attempts of a call at most; 1: no retry"),
    ROW_TIME("policy.backoff", true, "50ms", 1, DAY_MS, "1ms–1d",
             "the longest pause before the first retry; it doubles with each, and each is a random part of it"),
    ROW_TIME("policy.backoff_max", true, "2s", 1, DAY_MS, "1ms–1d", "what it doubles up to"),
    ROW_INT("policy.retry_ratio", true, "20", 0, 1000, "0–1000", NULL, "retries allowed for each hundred calls"),
    ROW_INT("policy.retry_rate", true, "10", 0, 100000, "0–100000", NULL, "retries allowed a second besides"),
    ROW_INT("policy.retry_burst", true, "100", 0, 1000000, "0–1000000", NULL,
            "unused retries that are kept, and what it begins with; of what ratio and rate give, one at least is kept"),
    ROW_WORD("policy.breaker", SP__CONFIG_TEXT, true, "", NULL, "", NULL,
             "name of the client's breaker that it asks; none where empty"),
    ROW_INT("policy.rate", true, "0", 0, 10000000, "0–10000000", NULL, "attempts a second at most; 0: no bound"),
    ROW_INT("policy.burst", true, "1", 1, 1000000, "1–1000000", NULL, "of them at once, after a pause"),
    ROW_TIME("policy.rate_wait", true, "0", 0, DAY_MS, "0–1d",
             "how long an attempt may wait for the rate to allow it; 0: it is refused with SP_FULL"),
    ROW_INT("policy.concurrency", true, "0", 0, 1000000, "0–1000000", NULL, "attempts in flight at most; 0: no bound"),
    ROW_INT("policy.waiting", true, "0", 0, 1000000, "0–1000000", NULL,
            "attempts that may wait for a place; a further one is refused with SP_FULL"),
    ROW_TIME("policy.idle", true, "1h", 1, 30 * DAY_MS, "1ms–30d",
             "a client drops a policy, and its metrics, that was not used this long"),

    ROW_BOOL("profiler.enabled", false, "true", "a client's statements are recorded"),
    ROW_TIME("profiler.slow", true, "100ms", 0, DAY_MS, "0–1d",
             "what takes so long goes to the slow log; profiler.<name>.slow is that of one statement or piece of work"),
    ROW_INT("profiler.slow_rate", false, "100", 0, 1000000, "0–1000000", NULL,
            "entries of the slow log a second, and at once; further ones are counted; 0: no limit"),
    ROW_INT("profiler.repeats", false, "5", 0, 1000, "0–1000", NULL,
            "so many runs of a statement in a unit of work are a finding: N+1, or a missing cache; 0: none"),
    ROW_TIME("profiler.plan_every", false, "0", 0, 30 * DAY_MS, "0–30d",
             "a slow statement's plan is looked at so often, by EXPLAIN on a connection of its own; 0: never"),
    ROW_TIME("profiler.explain_timeout", false, "1s", 1, DAY_MS, "1ms–1d",
             "the server ends an EXPLAIN, and what else the profiler asks, after it"),
    ROW_INT("profiler.names", false, "1000", 1, 10000, "1–10000", NULL,
            "names that are told apart; what comes later counts as \"other\""),
    ROW_INT("profiler.ring", false, "256", 1, 100000, "1–100000", NULL, "entries that the slow log holds"),

    ROW_INT("metrics.series", false, "100", 1, 100000, "1–100000", NULL,
            "series of one metric that the service counts itself; what comes later counts as \"other\""),
};

const size_t sp__config_rows = sizeof sp__config_table / sizeof *sp__config_table;
