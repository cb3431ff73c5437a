/* SPDX-License-Identifier: MIT */
/* What the library's probes do in a race: now and then a thread is held up between two steps. */
#include "race.h"

static _Atomic uint64_t seeds;
static int number;
enum sp__bug sp__probe_bug;

void race_probe(uint64_t seed, int process)
{
        atomic_store(&seeds, seed);
        number = process;
        sp__probe_bug = world->bug;
}

void sp__probe_step(void)
{
        static _Thread_local struct sp__random random;

        if (!random.state)
                random.state = atomic_fetch_add(&seeds, 0x9e3779b97f4a7c15u) | 1;
        pause_up_to(&random, .04, 8 * SP__MS);
}

int64_t sp__probe_wall_ms(void)
{
        return world ? atomic_load(&world->wall_ms[number]) : 0;
}
