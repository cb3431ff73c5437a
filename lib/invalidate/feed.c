/* SPDX-License-Identifier: MIT */
#include "invalidate/feed.h"

#include "base/hash.h"
#include "cache/cache.h"
#include "core/config.h"
#include "core/error.h"
#include "loop/exit.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Of what a slot is named after: all of it, and as much as is seen. */
enum { NAMED_MAX = 256, SEEN_MAX = 40 };

#define PAUSE_FIRST (50 * SP__MS)
#define PAUSE_MOST  (2 * SP__SECOND)
#define LOOK_EVERY  (3 * SP__SECOND)

static const char snapshot_text[] = "SELECT txid_current_snapshot()::text";
static const char *const state_words[] = {"standby", "checking", "connecting", "leading", "stopped"};

void sp__feed_say(struct sp_feed *feed, enum sp__feed_state state)
{
        sp__lock(&feed->lock);
        feed->terms += state == SP__FEED_LEADING && feed->state != SP__FEED_LEADING;
        feed->state = state;
        if (state == SP__FEED_LEADING)
                feed->fault[0] = 0;
        sp__unlock(&feed->lock);
}

bool sp__feed_sleep(struct sp_feed *feed, int64_t ns)
{
        struct pollfd poller = {.fd = feed->stop, .events = POLLIN};
        int64_t now = sp__now();
        bool goes_on;

        sp__exit_leave();
        goes_on = poll(&poller, 1, sp__poll_ms(now, now + ns)) == 0;
        sp__exit_enter();
        return goes_on;
}

void sp__feed_note(struct sp_feed *feed, const char *fault)
{
        sp__lock(&feed->lock);
        snprintf(feed->fault, sizeof feed->fault, "%s", fault);
        sp__unlock(&feed->lock);
}

static void note_fault(struct sp_feed *feed, const sp_error *error)
{
        sp__lock(&feed->lock);
        feed->faults++;
        snprintf(feed->fault, sizeof feed->fault, "%s", sp_error_message(error));
        sp__unlock(&feed->lock);
}

/* Another one reads: his rules may be a fault of ours. */
static void stand_by(struct sp_feed *feed, const sp_error *error)
{
        if (!feed->changed && feed->strange >= SP__FEED_STRANGE)
                return;
        sp__lock(&feed->lock);
        snprintf(feed->fault, sizeof feed->fault, "%s", feed->changed ? sp_error_message(error) : "");
        sp__unlock(&feed->lock);
}

/* One time through; true: it went well for a while, so that the next pause is a short one. */
static bool once(struct sp_feed *feed)
{
        int64_t terms = feed->terms;
        sp_error *error = NULL;
        sp_status status;

        sp__feed_say(feed, SP__FEED_STANDBY);
        feed->changed = false;
        status = sp__feed_acquire(feed, &error);
        if (status == SP_FULL) {
                stand_by(feed, error);
        } else if (status == SP_OK) {
                sp__feed_at(feed, SP__STEP_LEASED);
                status = sp__feed_lead(feed, &error);
                sp__feed_release(feed);
        }
        if (status != SP_FULL && status != SP_CLOSED)
                note_fault(feed, error);
        sp_error_free(error);
        sp__feed_watch(feed, status == SP_FULL);
        return status == SP_FULL || feed->terms > terms;
}

static int64_t pause_of(struct sp_feed *feed, bool stands_by, int tries)
{
        int64_t most = feed->lease_ms * SP__MS / 3, pause = PAUSE_FIRST << (tries < 6 ? tries : 6);

        if (stands_by)
                pause = most < PAUSE_MOST ? most : PAUSE_MOST;
        else if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        return (int64_t)((double)pause * (0.5 + 0.5 * sp__random_unit(&feed->random)));
}

static void *run(void *arg)
{
        struct sp_feed *feed = arg;
        int tries = 0;
        bool well;

        sp__exit_enter();
        do {
                well = once(feed);
                tries = well ? 0 : tries + 1;
        } while (sp__feed_sleep(feed, pause_of(feed, well, tries)));
        sp__feed_say(feed, SP__FEED_STOPPED);
        sp__exit_leave();
        return NULL;
}

/* What a slot may be called. */
static bool slot_valid(const char *name)
{
        return *name && strlen(name) <= SP__FEED_NAME_MAX &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* After the namespace, and the pool if it has a name. What is no slot's name is made one, and told from others by a number. */
static void name_slot(struct sp_feed *feed)
{
        const sp_cache *cache = feed->cache;
        const char *pool = strcmp(feed->pool->name, "default") == 0 ? "" : feed->pool->name;
        char whole[NAMED_MAX], name[SEEN_MAX + 1];
        size_t at = 0;
        bool same;

        snprintf(whole, sizeof whole, "%.*s%s%s", (int)cache->prefix_len - 1, cache->prefix, *pool ? ":" : "", pool);
        same = strlen(whole) <= SEEN_MAX;
        for (; whole[at] && at < SEEN_MAX; at++) {
                char c = whole[at];

                name[at] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? c : '_';
                same = same && name[at] == c;
        }
        name[at] = 0;
        if (same)
                snprintf(feed->slot, sizeof feed->slot, "sugarperf_%s", name);
        else
                snprintf(feed->slot, sizeof feed->slot, "sugarperf_%s_%08x", name,
                         (unsigned)sp__hash(whole, strlen(whole), 0));
}

static sp_status take_config(struct sp_feed *feed, const sp_config *config, sp_error **error)
{
        const char *slot = sp__config_text(config, "feed", NULL, "slot");
        const char *publication = sp__config_text(config, "feed", NULL, "publication");

        if (*slot && !slot_valid(slot))
                return sp__fail(error, SP_CONFIG, "feed.slot must be 1–63 lower-case letters, digits and _");
        if (strlen(publication) > SP__FEED_NAME_MAX)
                return sp__fail(error, SP_CONFIG, "feed.publication must be 1–63 bytes");
        if (*slot)
                snprintf(feed->slot, sizeof feed->slot, "%s", slot);
        else
                name_slot(feed);
        snprintf(feed->publication, sizeof feed->publication, "%s", *publication ? publication : feed->slot);
        feed->create = sp__config_int(config, "feed", NULL, "create");
        feed->lease_ms = sp__config_int(config, "feed", NULL, "lease");
        feed->alone = !feed->cache->log.link;
        if (feed->alone)
                snprintf(feed->slot, sizeof feed->slot, "sugarperf_alone_%016" PRIx64, sp__random_next(&feed->random));
        snprintf(feed->token, sizeof feed->token, "%016" PRIx64, sp__random_next(&feed->random));
        snprintf(feed->identity, sizeof feed->identity, "%016" PRIx64, sp__random_next(&feed->random));
        return SP_OK;
}

static sp_status make_parts(struct sp_feed *feed, sp_error **error)
{
        sp_status status = sp_stmt_new("sugarperf.feed.snapshot", snapshot_text, sizeof snapshot_text - 1, SP_STMT_READ,
                                       &feed->snapshot, error);

        if (status != SP_OK)
                return status;
        feed->ctx = sp_ctx_new(NULL);
        feed->params = sp_params_new();
        feed->wal = malloc(sizeof *feed->wal);
        feed->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (!feed->ctx || !feed->params || !feed->wal || feed->stop < 0)
                return sp__fail(error, SP_NOMEM, "no memory or descriptors left for a feed");
        sp__ctx_stand_back(feed->ctx);
        return sp_ctx_set(feed->ctx, "reads", "primary", error);
}

static void destroy(struct sp_feed *feed)
{
        sp__feed_forget(feed);
        sp__feed_shape_free(&feed->shape);
        if (feed->stop >= 0)
                close(feed->stop);
        free(feed->relations);
        free(feed->wal);
        sp_params_free(feed->params);
        sp_stmt_unref(feed->snapshot);
        sp_ctx_unref(feed->ctx);
        sp_rules_unref(feed->rules);
        sp__mutex_destroy(&feed->lock);
        free(feed);
}

sp_status sp__feed_new(const sp_config *config, sp_pool *pool, sp_rules *rules,
                       void (*step)(void *arg, enum sp__feed_step step), void *arg, sp_feed **out, sp_error **error)
{
        struct sp_feed *feed = calloc(1, sizeof *feed);
        sp_status status;

        if (!feed)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__mutex_init(&feed->lock);
        feed->random.state = sp__random_seed();
        feed->stop = -1;
        feed->pool = pool;
        feed->rules = sp_rules_ref(rules);
        feed->cache = rules->cache;
        atomic_init(&feed->look_every, LOOK_EVERY);
        feed->step = step;
        feed->step_arg = arg;
        status = take_config(feed, config, error);
        if (status == SP_OK)
                status = make_parts(feed, error);
        sp__exit_watch();
        /* So that others' invalidations are heard, too. */
        if (status == SP_OK)
                status = sp__cache_admit(feed->cache, NULL, "feed", 4, error);
        if (status == SP_OK && !sp__thread_start(&feed->thread, run, feed, "sp-feed"))
                status = sp__fail(error, SP_NOMEM, "no thread could be started");
        if (status == SP_OK)
                *out = feed;
        else
                destroy(feed);
        return status;
}

sp_status sp_feed_new(const sp_config *config, sp_pool *pool, sp_rules *rules, sp_feed **out, sp_error **error)
{
        SP__NEED(pool, error);
        SP__NEED(rules, error);
        SP__NEED(out, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        return sp__feed_new(config, pool, rules, NULL, NULL, out, error);
}

void sp_feed_free(sp_feed *feed)
{
        uint64_t one = 1;

        if (!feed)
                return;
        /* In a child the thread is not there, and its connection is the parent's. */
        if (sp__engine_forked(feed->pool->engine))
                return;
        if (write(feed->stop, &one, sizeof one) < 0) {
                /* Full: it is readable already. */
        }
        sp_ctx_cancel(feed->ctx);
        pthread_join(feed->thread, NULL);
        destroy(feed);
}

/* The lock is held. */
static void write_report(const struct sp_feed *feed, struct sp__buf *text)
{
        sp__buf_format(text, "{\"state\":\"%s\",\"slot\":", state_words[feed->state]);
        sp__buf_json(text, feed->slot, strlen(feed->slot));
        sp__buf_text(text, ",\"publication\":");
        sp__buf_json(text, feed->publication, strlen(feed->publication));
        sp__buf_format(text,
                       ",\"lagBytes\":%" PRIu64 ",\"lagMs\":%" PRId64 ",\"changes\":%" PRId64
                       ",\"transactions\":%" PRId64 ",\"invalidations\":%" PRId64 ",\"resets\":%" PRId64
                       ",\"unseen\":%" PRId64 ",\"reshaped\":%" PRId64 ",\"widened\":%" PRId64 ",\"faults\":%" PRId64
                       ",\"fault\":",
                       sp__feed_lag_bytes(feed), sp__feed_lag_ms(feed), feed->changes, feed->transactions,
                       feed->batches, feed->resets, feed->unseen_count, feed->reshaped, feed->widened, feed->faults);
        if (*feed->fault)
                sp__buf_json(text, feed->fault, strlen(feed->fault));
        else
                sp__buf_text(text, "null");
        sp__buf_char(text, '}');
}

bool sp__feed_well(sp_feed *feed)
{
        bool well;

        sp__lock(&feed->lock);
        well = feed->state != SP__FEED_STOPPED && !*feed->fault;
        sp__unlock(&feed->lock);
        return well;
}

sp_status sp_feed_report(const sp_feed *feed, sp_value **out)
{
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;

        SP__NEED(feed, NULL);
        SP__NEED(out, NULL);
        if (sp__engine_forked(feed->pool->engine))
                return SP_FORKED;
        sp__lock(&((sp_feed *)(uintptr_t)feed)->lock);
        write_report(feed, &text);
        sp__unlock(&((sp_feed *)(uintptr_t)feed)->lock);
        if (!text.failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

void sp__feed_collect(void *arg, struct sp__expo *expo)
{
        sp_feed *feed = arg;
        const char *const labels[] = {"slot", feed->slot, NULL};

        sp__lock(&feed->lock);
        {
                const struct {
                        const char *name, *type, *help;
                        double value;
                } rows[] = {
                    {"sugarperf_feed_leading", "gauge", "1 while this process reads the change feed, else 0.",
                     feed->state == SP__FEED_LEADING},
                    {"sugarperf_feed_lag_bytes", "gauge", "Bytes of the server's log that are not invalidated yet.",
                     (double)sp__feed_lag_bytes(feed)},
                    {"sugarperf_feed_lag_seconds", "gauge",
                     "How long it, or whoever reads, has not caught up with the server's log.",
                     (double)sp__feed_lag_ms(feed) / 1000},
                    {"sugarperf_feed_changes", "counter", "Changes of rows that were read.", (double)feed->changes},
                    {"sugarperf_feed_transactions", "counter", "Transactions that were read.",
                     (double)feed->transactions},
                    {"sugarperf_feed_invalidations", "counter", "Batches of changes that were invalidated.",
                     (double)feed->batches},
                    {"sugarperf_feed_resets", "counter",
                     "Times that the namespace was invalidated, as changes may have been missed.",
                     (double)feed->resets},
                    {"sugarperf_feed_reshaped", "counter",
                     "Times that all of a table's rules was invalidated, as the log does not tell what became of it.",
                     (double)feed->reshaped},
                    {"sugarperf_feed_widened", "counter",
                     "Changes that did not tell all that a rule needs, so that more was invalidated.",
                     (double)feed->widened},
                    {"sugarperf_feed_faults", "counter", "Times that it had to begin anew.", (double)feed->faults},
                };

                for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                        sp__expo_family(expo, rows[i].name, rows[i].type, rows[i].help);
                        sp__expo_sample(expo, *rows[i].type == 'c' ? "_total" : NULL, labels, rows[i].value);
                }
        }
        sp__unlock(&feed->lock);
}
