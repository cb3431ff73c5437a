/* SPDX-License-Identifier: MIT */
#include "cache/mirror.h"

#include "base/random.h"

/* Places of tables; the first two are filled to three quarters. What they take together is a twentieth of 128 MB. */
enum { LAST_BITS = 18, OWN_BITS = 16, PAST_BITS = 20, FEWEST_BITS = 6, OWED_MAX = 1 << 16 };

/* The lock is held. */
static void weigh(struct sp__mirror *mirror)
{
        size_t bytes = sp__bumps_bytes(&mirror->last) + sp__bumps_bytes(&mirror->was_last) +
                       sp__bumps_bytes(&mirror->own) + sp__coarse_bytes(&mirror->past) +
                       mirror->owed.cap * sizeof *mirror->owed.slots;

        if (sp__mirror_bytes(mirror) != (int64_t)bytes)
                atomic_store_explicit(&mirror->bytes, (int64_t)bytes, memory_order_relaxed);
}

/* Every change of what check() answers passes here. The lock is held. */
static void changed(struct sp__mirror *mirror)
{
        weigh(mirror);
        atomic_fetch_add(&mirror->version, 1);
}

static void set_horizon(struct sp__mirror *mirror, int64_t at)
{
        atomic_store(&mirror->live_until, at + mirror->bound);
}

/* The lock is held. */
static void remember(struct sp__mirror *mirror)
{
        sp__bumps_clear(&mirror->was_last);
        mirror->was_last = mirror->last;
        mirror->last = (struct sp__bumps){.slots = NULL};
        mirror->was_known = true;
        mirror->was_e = mirror->e;
        /* Of what was known of several tags at once nothing is kept. */
        mirror->was_c0 = mirror->past_n ? mirror->past_n : mirror->c0;
}

/* Nothing is known of single tags any more. The lock is held. */
static void forget_tags(struct sp__mirror *mirror)
{
        sp__bumps_clear(&mirror->last);
        sp__coarse_clear(&mirror->past);
        mirror->past_n = 0;
}

static void forget_what_was(struct sp__mirror *mirror)
{
        sp__bumps_clear(&mirror->was_last);
        mirror->was_known = false;
        weigh(mirror);
}

/* This process invalidates while nothing is proven: what it had under these tags does not hold. The lock is held. */
static void end_what_was(struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        for (size_t i = 0; i < count && mirror->was_known; i++) {
                if (mirror->was_last.count >= mirror->last_max ||
                    !sp__bumps_raise(&mirror->was_last, tags[i], SP__BUMPS_EVER))
                        forget_what_was(mirror);
        }
        weigh(mirror);
}

/* Whether what is known was proven since the last reset: a stream that tells of older times is none. The lock is held. */
static bool proven_once(struct sp__mirror *mirror)
{
        return mirror->known && atomic_load(&mirror->live_until) >= 0;
}

static void forget(struct sp__mirror *mirror)
{
        if (mirror->recalls && proven_once(mirror))
                remember(mirror);
        mirror->known = false;
        mirror->wait_n = 0;
        /* Own acknowledgements go with the rest: a proof from before them must not bring back what they ended. */
        mirror->unplaced = mirror->own_n;
        atomic_store(&mirror->live_until, -1);
        forget_tags(mirror);
        changed(mirror);
}

/* Nothing is known before n, nor, in the same epoch, before what was seen: a message may be older than that. */
static void reset(struct sp__mirror *mirror, uint64_t e, int64_t n)
{
        int64_t seen = mirror->known && mirror->e == e && mirror->seen > n ? mirror->seen : n;

        forget(mirror);
        mirror->known = true;
        mirror->e = e;
        mirror->n = n;
        mirror->c0 = mirror->seen = seen;
        mirror->resets++;
}

void sp__mirror_init(struct sp__mirror *mirror, bool remote, int64_t bound_ns)
{
        struct sp__random random = {sp__random_seed()};

        *mirror = (struct sp__mirror){.remote = remote, .bound = bound_ns};
        atomic_init(&mirror->version, 1);
        atomic_init(&mirror->live_until, remote ? -1 : SP__FOREVER);
        atomic_init(&mirror->bytes, 0);
        sp__mirror_fit(mirror, INT64_MAX);
        sp__mutex_init(&mirror->lock);
        if (!remote) {
                mirror->known = true;
                mirror->e = sp__random_next(&random);
        }
}

/* How many places of that size go into `bytes`, by their power of two. */
static unsigned bits_for(int64_t bytes, size_t size, unsigned most)
{
        unsigned bits = FEWEST_BITS;

        while (bits < most && (int64_t)(size << (bits + 1)) <= bytes)
                bits++;
        return bits;
}

void sp__mirror_fit(struct sp__mirror *mirror, int64_t memory)
{
        mirror->last_max = ((size_t)1 << bits_for(memory / 64, sizeof *mirror->last.slots, LAST_BITS)) / 4 * 3;
        mirror->own_max = ((size_t)1 << bits_for(memory / 256, sizeof *mirror->own.slots, OWN_BITS)) / 4 * 3;
        mirror->past.bits = bits_for(memory / 32, sizeof *mirror->past.places, PAST_BITS);
}

void sp__mirror_destroy(struct sp__mirror *mirror)
{
        forget_tags(mirror);
        sp__bumps_clear(&mirror->own);
        sp__tagmap_clear(&mirror->owed);
        sp__bumps_clear(&mirror->was_last);
        sp__mutex_destroy(&mirror->lock);
}

void sp__mirror_mark(struct sp__mirror *mirror, struct sp__mark *mark)
{
        sp__lock(&mirror->lock);
        mark->known = mirror->known && sp__mirror_live(mirror);
        mark->e = mirror->e;
        mark->v0 = mirror->seen;
        mark->own = mirror->own_n;
        sp__unlock(&mirror->lock);
}

static bool above(const struct sp__bumps *bumps, const uint64_t *tags, size_t count, uint64_t number)
{
        for (size_t i = 0; i < count && bumps->count; i++) {
                if (sp__bumps_get(bumps, tags[i]) > number)
                        return true;
        }
        return false;
}

/* Whether one is owed. */
static bool owes(const struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        for (size_t i = 0; i < count && mirror->owed.count; i++) {
                if (sp__tagmap_get(&mirror->owed, tags[i]))
                        return true;
        }
        return mirror->owes_all != 0;
}

/* Whether it, or a tag that is not told from it, was bumped after that. */
static bool perhaps_above(const struct sp__mirror *mirror, const uint64_t *tags, size_t count, int64_t number)
{
        for (size_t i = 0; i < count && mirror->past_n > number; i++) {
                if (sp__coarse_get(&mirror->past, tags[i]) > number)
                        return true;
        }
        return false;
}

static enum sp__fresh judge(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count)
{
        if (!mirror->known || !sp__mirror_live(mirror) || e != mirror->e || v0 < mirror->c0)
                return SP__UNKNOWN;
        if (above(&mirror->last, tags, count, (uint64_t)v0))
                return SP__GONE;
        return perhaps_above(mirror, tags, count, v0) ? SP__UNKNOWN : SP__FRESH;
}

enum sp__fresh sp__mirror_check(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count,
                                uint64_t *version)
{
        enum sp__fresh fresh;

        sp__lock(&mirror->lock);
        if (owes(mirror, tags, count))
                fresh = SP__GONE;
        else
                fresh = judge(mirror, e, v0, tags, count);
        *version = atomic_load(&mirror->version);
        sp__unlock(&mirror->lock);
        return fresh;
}

enum sp__fresh sp__mirror_judge(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count)
{
        enum sp__fresh fresh;

        sp__lock(&mirror->lock);
        fresh = judge(mirror, e, v0, tags, count);
        sp__unlock(&mirror->lock);
        return fresh;
}

void sp__mirror_recall(struct sp__mirror *mirror)
{
        mirror->recalls = true;
}

bool sp__mirror_doubts(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count)
{
        bool doubts;

        sp__lock(&mirror->lock);
        doubts = owes(mirror, tags, count);
        if (proven_once(mirror))
                doubts = doubts || e != mirror->e || v0 < mirror->c0 ||
                         above(&mirror->last, tags, count, (uint64_t)v0) || perhaps_above(mirror, tags, count, v0);
        else
                doubts = doubts || !mirror->was_known || e != mirror->was_e || v0 < mirror->was_c0 ||
                         above(&mirror->was_last, tags, count, (uint64_t)v0);
        sp__unlock(&mirror->lock);
        return doubts;
}

bool sp__mirror_holds(struct sp__mirror *mirror, const struct sp__mark *mark, const uint64_t *tags, size_t count)
{
        bool holds;

        sp__lock(&mirror->lock);
        holds = mark->own >= mirror->own_c0 && !above(&mirror->own, tags, count, mark->own);
        sp__unlock(&mirror->lock);
        return holds;
}

void sp__mirror_up(struct sp__mirror *mirror)
{
        sp__lock(&mirror->lock);
        mirror->stream++;
        mirror->streaming = true;
        forget(mirror);
        sp__unlock(&mirror->lock);
}

void sp__mirror_down(struct sp__mirror *mirror)
{
        sp__lock(&mirror->lock);
        mirror->streaming = false;
        forget(mirror);
        sp__unlock(&mirror->lock);
}

/* Each tag by itself as long as there is room, then those together that share a place: some entries are taken for older, not all. */
static bool bump_one(struct sp__mirror *mirror, int64_t n, uint64_t tag)
{
        bool room = mirror->last.count < mirror->last_max || sp__bumps_get(&mirror->last, tag);

        if (room && sp__bumps_raise(&mirror->last, tag, (uint64_t)n))
                return true;
        if (!sp__coarse_raise(&mirror->past, tag, n))
                return false;
        if (mirror->past_n < n)
                mirror->past_n = n;
        return true;
}

/* The lock is held. A tag that cannot be remembered is one before which nothing is known. */
static void bump(struct sp__mirror *mirror, int64_t n, const uint64_t *tags, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (bump_one(mirror, n, tags[i]))
                        continue;
                forget_tags(mirror);
                mirror->c0 = n;
                break;
        }
        changed(mirror);
}

static void raise_seen(struct sp__mirror *mirror, int64_t n)
{
        if (mirror->seen < n)
                mirror->seen = n;
}

void sp__mirror_hear(struct sp__mirror *mirror, uint64_t e, int64_t n, const uint64_t *tags, size_t count)
{
        sp__lock(&mirror->lock);
        /* Before the first proof nothing is known, so nothing can be missed. */
        if (mirror->known && mirror->streaming) {
                if (e != mirror->e || (n > mirror->n + 1 && !sp__bugged(SP__BUG_LOST_MESSAGE))) {
                        reset(mirror, e, n);
                } else if (n > mirror->n) {
                        mirror->n = n;
                        raise_seen(mirror, n);
                        bump(mirror, n, tags, count);
                }
                if (mirror->wait_n && mirror->n >= mirror->wait_n) {
                        set_horizon(mirror, mirror->wait_at);
                        mirror->wait_n = 0;
                }
        }
        sp__unlock(&mirror->lock);
}

bool sp__mirror_ask(struct sp__mirror *mirror, struct sp__proof *proof)
{
        bool streaming;

        sp__lock(&mirror->lock);
        streaming = mirror->streaming;
        proof->stream = mirror->stream;
        proof->asked_at = sp__now();
        proof->known = mirror->known;
        proof->e = mirror->e;
        proof->seen = mirror->seen;
        proof->own = mirror->own_n;
        sp__unlock(&mirror->lock);
        return streaming;
}

/* The stream is behind: it will come there, or the message was lost. */
static enum sp__proven await(struct sp__mirror *mirror, const struct sp__proof *proof, uint64_t e, int64_t n)
{
        if (!mirror->wait_n) {
                mirror->wait_n = n;
                mirror->wait_at = mirror->wait_since = proof->asked_at;
                return SP__PENDING;
        }
        if (proof->asked_at - mirror->wait_since < mirror->bound / 2)
                return SP__PENDING;
        reset(mirror, e, n);
        set_horizon(mirror, proof->asked_at);
        return SP__DEAF;
}

static enum sp__proven prove(struct sp__mirror *mirror, const struct sp__proof *proof, uint64_t e, int64_t n)
{
        /* What was acknowledged since it was asked may be missing in it. */
        if (!mirror->streaming || mirror->stream != proof->stream || proof->own < mirror->unplaced)
                return SP__IGNORED;
        if (!mirror->known || mirror->e != e) {
                /* An answer of an epoch that is over: what this process ended since would be as it was. */
                if (proof->own < mirror->own_n)
                        return SP__IGNORED;
                reset(mirror, e, n);
        } else if (proof->known && proof->e == e && n < proof->seen) {
                forget(mirror);
                return SP__REGRESSED;
        } else if (n > mirror->n) {
                raise_seen(mirror, n);
                return await(mirror, proof, e, n);
        }
        mirror->wait_n = 0;
        set_horizon(mirror, proof->asked_at);
        return SP__PROVEN;
}

enum sp__proven sp__mirror_prove(struct sp__mirror *mirror, const struct sp__proof *proof, uint64_t e, int64_t n)
{
        enum sp__proven proven;

        sp__lock(&mirror->lock);
        proven = prove(mirror, proof, e, n);
        sp__unlock(&mirror->lock);
        return proven;
}

/* The lock is held. */
static void log_own(struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        mirror->own_n++;
        for (size_t i = 0; i < count; i++) {
                if (mirror->own.count < mirror->own_max && sp__bumps_raise(&mirror->own, tags[i], mirror->own_n))
                        continue;
                sp__bumps_clear(&mirror->own);
                mirror->own_c0 = mirror->own_n;
                break;
        }
}

/* Every tag there is. The lock is held. */
static void log_own_all(struct sp__mirror *mirror)
{
        mirror->own_n++;
        sp__bumps_clear(&mirror->own);
        mirror->own_c0 = mirror->own_n;
}

void sp__mirror_acknowledge_all(struct sp__mirror *mirror)
{
        sp__lock(&mirror->lock);
        log_own_all(mirror);
        forget(mirror);
        forget_what_was(mirror);
        sp__unlock(&mirror->lock);
}

bool sp__mirror_acknowledge(struct sp__mirror *mirror, uint64_t e, int64_t n, const uint64_t *tags, size_t count)
{
        bool knows = true;

        sp__lock(&mirror->lock);
        log_own(mirror, tags, count);
        if (!proven_once(mirror))
                end_what_was(mirror, tags, count);
        if (mirror->known && mirror->e == e) {
                raise_seen(mirror, n);
                bump(mirror, n, tags, count);
        } else {
                forget(mirror);
                end_what_was(mirror, tags, count);
                mirror->unplaced = mirror->own_n;
                knows = false;
        }
        sp__unlock(&mirror->lock);
        return knows;
}

/* The moment of a debt: no two have the same. The lock is held. */
static void owe_since(struct sp__mirror *mirror)
{
        uint64_t now = (uint64_t)sp__now();

        mirror->owed_at = now > mirror->owed_at ? now : mirror->owed_at + 1;
}

void sp__mirror_owe(struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        sp__lock(&mirror->lock);
        log_own(mirror, tags, count);
        owe_since(mirror);
        for (size_t i = 0; i < count; i++) {
                if (mirror->owed.count >= OWED_MAX || !sp__tagmap_raise(&mirror->owed, tags[i], mirror->owed_at))
                        mirror->owes_all = mirror->owed_at;
        }
        changed(mirror);
        sp__unlock(&mirror->lock);
}

void sp__mirror_owe_all(struct sp__mirror *mirror)
{
        sp__lock(&mirror->lock);
        log_own_all(mirror);
        owe_since(mirror);
        mirror->owes_all = mirror->owed_at;
        changed(mirror);
        sp__unlock(&mirror->lock);
}

size_t sp__mirror_owed(struct sp__mirror *mirror, uint64_t *tags, size_t max, uint64_t *upto, bool *all)
{
        size_t count = 0;

        sp__lock(&mirror->lock);
        *upto = mirror->owed_at;
        *all = mirror->owes_all != 0;
        for (size_t i = 0; i < mirror->owed.cap && count < max; i++) {
                if (mirror->owed.slots[i].tag)
                        tags[count++] = mirror->owed.slots[i].tag;
        }
        sp__unlock(&mirror->lock);
        return count;
}

/* Of what is owed the part that `left` wants stays. The lock is held. */
static void owe_still(struct sp__mirror *mirror, bool (*left)(const struct sp__tagmap_slot *slot, const void *arg),
                      const void *arg)
{
        struct sp__tagmap still = {.slots = NULL};

        for (size_t i = 0; i < mirror->owed.cap; i++) {
                const struct sp__tagmap_slot *slot = &mirror->owed.slots[i];

                if (slot->tag && left(slot, arg) && !sp__tagmap_raise(&still, slot->tag, slot->number) &&
                    mirror->owes_all < slot->number)
                        mirror->owes_all = slot->number;
        }
        sp__tagmap_clear(&mirror->owed);
        mirror->owed = still;
        changed(mirror);
}

struct payment {
        struct sp__tagmap tags;
        uint64_t upto;
        bool all;
};

static bool unpaid(const struct sp__tagmap_slot *slot, const void *arg)
{
        const struct payment *payment = arg;

        return slot->number > payment->upto || (!payment->all && !sp__tagmap_get(&payment->tags, slot->tag));
}

void sp__mirror_pay(struct sp__mirror *mirror, const uint64_t *tags, size_t count, uint64_t upto, bool all)
{
        struct payment payment = {.upto = upto, .all = all};

        /* Without memory for one it is paid for again. */
        for (size_t i = 0; i < count; i++)
                sp__tagmap_raise(&payment.tags, tags[i], 1);
        sp__lock(&mirror->lock);
        if (all)
                forget_what_was(mirror);
        if (all && mirror->owes_all <= upto)
                mirror->owes_all = 0;
        owe_still(mirror, unpaid, &payment);
        sp__unlock(&mirror->lock);
        sp__tagmap_clear(&payment.tags);
}

static bool since(const struct sp__tagmap_slot *slot, const void *arg)
{
        return slot->number >= *(const uint64_t *)arg;
}

void sp__mirror_lapse(struct sp__mirror *mirror, int64_t before)
{
        uint64_t first = before > 0 ? (uint64_t)before : 0;
        bool any;

        sp__lock(&mirror->lock);
        any = mirror->owes_all && mirror->owes_all < first;
        if (any)
                mirror->owes_all = 0;
        for (size_t i = 0; i < mirror->owed.cap && !any; i++)
                any = mirror->owed.slots[i].tag && mirror->owed.slots[i].number < first;
        if (any)
                owe_still(mirror, since, &first);
        sp__unlock(&mirror->lock);
}

bool sp__mirror_owes(struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        bool owing;

        sp__lock(&mirror->lock);
        owing = owes(mirror, tags, count);
        sp__unlock(&mirror->lock);
        return owing;
}

size_t sp__mirror_owing(struct sp__mirror *mirror)
{
        size_t owing;

        sp__lock(&mirror->lock);
        owing = mirror->owed.count + (mirror->owes_all != 0);
        sp__unlock(&mirror->lock);
        return owing;
}

void sp__mirror_bump(struct sp__mirror *mirror, const uint64_t *tags, size_t count)
{
        sp__lock(&mirror->lock);
        log_own(mirror, tags, count);
        mirror->n = ++mirror->seen;
        bump(mirror, mirror->n, tags, count);
        sp__unlock(&mirror->lock);
}

void sp__mirror_bump_all(struct sp__mirror *mirror)
{
        sp__lock(&mirror->lock);
        log_own_all(mirror);
        mirror->n = ++mirror->seen;
        mirror->c0 = mirror->n;
        forget_tags(mirror);
        changed(mirror);
        sp__unlock(&mirror->lock);
}
