/* SPDX-License-Identifier: MIT */
#include "cache/share.h"

#include <stdlib.h>

/* Found with the traces of tests/unit/test_hit_ratio.c. */
#define SHARE_FIRST 0.06
#define SHARE_LEAST 0.01
#define SHARE_MOST  0.8
#define GROW        1.3
#define GROW_BY     0.01
#define SHRINK      0.85
/* What the main part would lose is its worst places, and hits a place are those of its best, too. */
#define WORTH_MORE 0.25
#define WORTH_LESS 0.3
#define FORGET     0.5

enum { PLACES_FIRST = 16, ENTRIES_A_PLACE = 16, MISSED_LEAST = 2 };

void sp__share_init(struct sp__share *window)
{
        *window = (struct sp__share){.share = SHARE_FIRST};
}

void sp__share_free(struct sp__share *window)
{
        free(window->left);
        window->left = NULL;
}

void sp__share_fit(struct sp__share *window, size_t entries)
{
        size_t places = window->places ? window->places : PLACES_FIRST;
        uint32_t *left;

        while (places * ENTRIES_A_PLACE <= entries)
                places *= 2;
        if (places == window->places || !(left = calloc(places, sizeof *left)))
                return;
        free(window->left);
        window->left = left;
        window->places = places;
}

static uint32_t *place_of(const struct sp__share *window, uint32_t mark)
{
        return &window->left[mark & (window->places - 1)];
}

void sp__share_reject(struct sp__share *window, uint32_t mark)
{
        if (window->places)
                *place_of(window, mark) = mark;
}

void sp__share_return(struct sp__share *window, uint32_t mark)
{
        if (!window->places || *place_of(window, mark) != mark || mark == 0)
                return;
        *place_of(window, mark) = 0;
        window->missed++;
}

void sp__share_judge(struct sp__share *window, int64_t hits, size_t in_window, size_t in_main)
{
        double main, near, far;

        window->all += (double)hits;
        main = window->all > window->hits ? (window->all - window->hits) / ((double)in_main + 1) : 0;
        near = window->hits / ((double)in_window + 1);
        far = window->places ? window->missed / (double)window->places : 0;
        if (far > main * WORTH_MORE && window->missed >= MISSED_LEAST)
                window->share = window->share * GROW + GROW_BY;
        else if (near < main * WORTH_LESS)
                window->share *= SHRINK;
        window->share = window->share < SHARE_LEAST  ? SHARE_LEAST
                        : window->share > SHARE_MOST ? SHARE_MOST
                                                     : window->share;
        window->hits *= FORGET;
        window->missed *= FORGET;
        window->all *= FORGET;
}
