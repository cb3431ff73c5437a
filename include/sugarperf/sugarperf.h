/* SPDX-License-Identifier: MIT */
/**
 * @file sugarperf.h
 * @brief Everything: include this, or only the header whose noun you use.
 */
#ifndef SUGARPERF_H
#define SUGARPERF_H

#include <sugarperf/base.h>
#include <sugarperf/batch.h>
#include <sugarperf/breaker.h>
#include <sugarperf/cache.h>
#include <sugarperf/client.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/feed.h>
#include <sugarperf/invalidate.h>
#include <sugarperf/key.h>
#include <sugarperf/metrics.h>
#include <sugarperf/params.h>
#include <sugarperf/policy.h>
#include <sugarperf/pool.h>
#include <sugarperf/profiler.h>
#include <sugarperf/queue.h>
#include <sugarperf/redis.h>
#include <sugarperf/result.h>
#include <sugarperf/schedule.h>
#include <sugarperf/session.h>

#endif
