/* SPDX-License-Identifier: MIT */
/* Preloaded by tests: a libsugarperf of another version. */
const char *sp_version(void);

const char *sp_version(void)
{
        return "9.9.9";
}
