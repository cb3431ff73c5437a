/* SPDX-License-Identifier: MIT */
/** Holds a JavaScript environment until the end of its clean-up. Once for each, when the addon is loaded, on its thread. */
#ifndef SUGARPERF_NODE_ANCHOR_H
#define SUGARPERF_NODE_ANCHOR_H

#include <node_api.h>

#ifdef __cplusplus
extern "C" {
#endif

void sp_anchor(napi_env env);

#ifdef __cplusplus
}
#endif
#endif
