/* SPDX-License-Identifier: MIT */
/* A client of the library as a driver opens it: its URL, its own settings, then those of --set. */
#ifndef BENCH_DRIVER_CLIENT_H
#define BENCH_DRIVER_CLIENT_H

#include "driver.h"

#include <sugarperf/sugarperf.h>

/* `url_name` is "pool.url" or "redis.url"; `settings` are "name=value", ended by NULL. Never NULL: a failure ends the program. */
sp_client *driver_client(const struct driver_options *options, const char *url_name, const char *const settings[]);
/* Ends the program with the error's message unless the status is SP_OK. */
void driver_check(const char *what, sp_status status, sp_error *error);

#endif
