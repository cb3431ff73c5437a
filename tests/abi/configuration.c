/* SPDX-License-Identifier: MIT */
/* Prints the configuration table, a row a line, its columns apart by tabs: what docs/configuration.md is made of. */
#include <stdio.h>
#include <sugarperf/config.h>

int main(void)
{
        for (size_t i = 0; sp_config_row_name(i); i++)
                printf("%s\t%s\t%s\t%s\t%s\n", sp_config_row_name(i), sp_config_row_type(i), sp_config_row_default(i),
                       sp_config_row_range(i), sp_config_row_help(i));
        return 0;
}
