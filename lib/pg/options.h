/* SPDX-License-Identifier: MIT */
/** What libpq takes without a look and refuses only when it connects. */
#ifndef SP_PG_OPTIONS_H
#define SP_PG_OPTIONS_H

#include <libpq-fe.h>
#include <sugarperf/base.h>

/** SP_INVALID names `setting` and the option, and what it may be; never its value, which may be part of a password. */
sp_status sp__options_check(const PQconninfoOption *options, const char *setting, sp_error **error);

enum { SP__OPTION_MAX = 64 };

/**
 * Which option, of a URL that libpq cannot parse, it does not know. false: there is none, or what stands in its place may be
 * part of a password.
 */
bool sp__options_unknown(const char *url, char out[SP__OPTION_MAX]);

#endif
