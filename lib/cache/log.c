/* SPDX-License-Identifier: MIT */
#include "cache/log.h"

#include "base/hash.h"
#include "base/random.h"
#include "core/config.h"
#include "core/error.h"
#include "redis/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stream that is late, and no worse, is not to be connected anew all the time. */
#define DEAF_PAUSE (5 * SP__SECOND)

enum { EPOCH_LEN = 17, HEARD_MAX = 4096 };

static uint64_t epoch_of(const char *text, size_t len)
{
        return sp__hash(text, len, 0);
}

static void new_epoch(char out[EPOCH_LEN])
{
        snprintf(out, EPOCH_LEN, "%016llx", (unsigned long long)sp__random_seed());
}

static void get_run_id(struct sp__log *log, char out[SP__RUN_ID_MAX])
{
        sp__lock(&log->lock);
        memcpy(out, log->run_id, SP__RUN_ID_MAX);
        sp__unlock(&log->lock);
}

void sp__log_add_place(struct sp__log *log, struct sp__command *command, bool with_text)
{
        char epoch[EPOCH_LEN], run_id[SP__RUN_ID_MAX];

        new_epoch(epoch);
        get_run_id(log, run_id);
        sp__script_begin(command, SP__SCRIPT_PLACE, with_text, 1, 3);
        sp__command_text(command, log->hash);
        sp__command_text(command, epoch);
        sp__command_text(command, run_id);
        sp__command_int(command, 0);
}

void sp__log_add_bump(struct sp__log *log, struct sp__command *command, bool with_text, const uint64_t *tags,
                      size_t count, bool renew)
{
        char epoch[EPOCH_LEN], run_id[SP__RUN_ID_MAX];
        struct sp__buf packed = SP__BUF_INIT;

        new_epoch(epoch);
        get_run_id(log, run_id);
        for (size_t i = 0; i < count; i++)
                sp__buf_u64(&packed, tags[i]);
        sp__script_begin(command, SP__SCRIPT_BUMP, with_text, 1, 5);
        sp__command_text(command, log->hash);
        sp__command_text(command, epoch);
        sp__command_text(command, run_id);
        sp__command_int(command, renew ? -1 : SP__LOG_TAGS_MAX);
        sp__command_arg(command, packed.data ? packed.data : "", packed.len);
        sp__command_text(command, log->channel);
        command->request.failed = command->request.failed || packed.failed;
        sp__buf_free(&packed);
}

bool sp__log_read(const redisReply *reply, uint64_t *e, int64_t *n)
{
        size_t len;
        const char *epoch = sp__reply_bytes(sp__reply_at(reply, 0), &len);

        if (!epoch || !sp__reply_int(sp__reply_at(reply, 1), n))
                return false;
        *e = epoch_of(epoch, len);
        return true;
}

static void pack_tag(uint64_t tag, char out[8])
{
        for (int i = 0; i < 8; i++)
                out[i] = (char)(tag >> (8 * i));
}

void sp__log_add_tags(struct sp__log *log, struct sp__command *command, const uint64_t *tags, size_t count)
{
        char packed[8];

        sp__command_begin(command, 4 + count);
        sp__command_text(command, "HMGET");
        sp__command_text(command, log->hash);
        sp__command_text(command, "@e");
        sp__command_text(command, "@n");
        for (size_t i = 0; i < count; i++) {
                pack_tag(tags[i], packed);
                sp__command_arg(command, packed, sizeof packed);
        }
}

bool sp__log_holds(const redisReply *reply, uint64_t e, int64_t v0, size_t count, int64_t *n)
{
        uint64_t epoch;

        if (!sp__log_read(reply, &epoch, n) || epoch != e || v0 > *n)
                return false;
        for (size_t i = 0; i < count; i++) {
                const redisReply *last = sp__reply_at(reply, 2 + i);
                int64_t number;

                if (!last || (last->type != REDIS_REPLY_NIL && !sp__reply_int(last, &number)))
                        return false;
                if (last->type != REDIS_REPLY_NIL && number > v0)
                        return false;
        }
        return true;
}

/* The first command that a new connection is allowed: if the server is another one than before, or lives anew, what it
 * has of the log may be old, and the epoch ends. The link's lock is held. */
static bool greet(void *arg, const char *run_id, struct sp__buf *out)
{
        struct sp__log *log = arg;
        char epoch[EPOCH_LEN];
        const char *anew = sp__bugged(SP__BUG_OLD_RUN) ? "0" : "1";
        const char *words[] = {"EVAL", sp__script_text(SP__SCRIPT_PLACE), "1", log->hash, epoch, run_id, anew};

        new_epoch(epoch);
        sp__lock(&log->lock);
        snprintf(log->run_id, sizeof log->run_id, "%s", run_id);
        sp__unlock(&log->lock);
        sp__resp_head(out, sizeof words / sizeof *words);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                sp__resp_bulk(out, words[i], strlen(words[i]));
        return true;
}

static void settle(struct sp__log *log)
{
        struct sp__list waiting, *link;

        if (atomic_load(&log->settled))
                return;
        sp__list_init(&waiting);
        sp__lock(&log->lock);
        atomic_store(&log->settled, true);
        sp__list_join(&waiting, &log->waiting);
        sp__unlock(&log->lock);
        while ((link = sp__list_pop(&waiting))) {
                struct sp__log_waiter *waiter = SP__OF(link, struct sp__log_waiter, link);

                waiter->go(waiter);
        }
}

bool sp__log_await(struct sp__log *log, struct sp__log_waiter *waiter)
{
        bool waits;

        if (atomic_load(&log->settled))
                return false;
        sp__lock(&log->lock);
        waits = !atomic_load(&log->settled);
        if (waits)
                sp__list_push(&log->waiting, &waiter->link);
        sp__unlock(&log->lock);
        return waits;
}

/* A trip of the log's own. */
struct errand {
        struct sp__log *log;
        struct sp__proof proof;
        bool with_text;
};

void sp__log_begin_trip(struct sp__log *log)
{
        sp__lock(&log->lock);
        log->trips++;
        sp__unlock(&log->lock);
}

void sp__log_end_trip(struct sp__log *log)
{
        sp__lock(&log->lock);
        if (--log->trips == 0)
                pthread_cond_broadcast(&log->idle);
        sp__unlock(&log->lock);
}

static struct errand *errand_new(struct sp__log *log)
{
        struct errand *errand = calloc(1, sizeof *errand);

        if (!errand)
                return NULL;
        errand->log = log;
        sp__log_begin_trip(log);
        return errand;
}

static void errand_end(struct errand *errand)
{
        struct sp__log *log = errand->log;

        free(errand);
        sp__log_end_trip(log);
}

static void ask(struct sp__log *log);
static void proved(sp__op *op);

static void send_proof(struct errand *errand)
{
        struct sp__command *command = sp__command_new();

        if (!command) {
                atomic_store(&errand->log->asking, false);
                errand_end(errand);
                return;
        }
        sp__probe_step();
        sp__log_add_place(errand->log, command, errand->with_text);
        sp__link_run(errand->log->link, command, NULL, proved, errand);
}

static void proved(sp__op *op)
{
        struct errand *errand = op->owner;
        struct sp__log *log = errand->log;
        struct sp__command *command = sp__command_of(op);
        enum sp__proven proven = SP__PENDING;
        uint64_t e;
        int64_t n;

        sp__probe_step();
        if (op->status == SP_OK && sp__command_noscript(command) && !errand->with_text) {
                errand->with_text = true;
                send_proof(errand);
                return;
        }
        if (op->status == SP_OK && sp__log_read(command->replies[0], &e, &n))
                proven = sp__mirror_prove(&log->mirror, &errand->proof, e, n);
        /* A log that went back within its epoch lost something: nobody may trust it any more, so another one is owed. */
        if (proven == SP__REGRESSED)
                sp__log_owe_all(log);
        if (proven == SP__DEAF)
                atomic_store(&log->deaf, true);
        atomic_store(&log->asking, false);
        if (proven == SP__IGNORED)
                ask(log);
        else
                settle(log);
        errand_end(errand);
}

/* Any thread. */
static void ask(struct sp__log *log)
{
        struct errand *errand;

        if (atomic_load(&log->ending) || atomic_exchange(&log->asking, true))
                return;
        errand = errand_new(log);
        if (errand && sp__mirror_ask(&log->mirror, &errand->proof)) {
                send_proof(errand);
                return;
        }
        atomic_store(&log->asking, false);
        if (errand)
                errand_end(errand);
}

static void prove_again(struct sp__timer *timer)
{
        struct sp__log *log = SP__OF(timer, struct sp__log, prove_timer);

        if (atomic_load(&log->ending))
                return;
        sp__timer_set(log->engine, timer, sp__now() + log->period);
        ask(log);
}

static void stream_up(void *arg)
{
        struct sp__log *log = arg;

        sp__mirror_up(&log->mirror);
        ask(log);
}

static void stream_down(void *arg, const sp_error *why)
{
        struct sp__log *log = arg;

        sp__mirror_down(&log->mirror);
        settle(log);
}

/* Asked between two PINGs. Who is connected where nothing is heard any more (a node that left its cluster) looks for another. */
static bool stream_deaf(void *arg)
{
        struct sp__log *log = arg;
        int64_t now = sp__now();

        /* What is noticed during the pause waits for its end. */
        if (now < log->deaf_until || !atomic_exchange(&log->deaf, false))
                return false;
        log->deaf_until = now + DEAF_PAUSE;
        return true;
}

/* "epoch n tags", eight bytes a tag. What is nothing of the kind is as if it had been lost. */
static void stream_heard(void *arg, const void *data, size_t len)
{
        struct sp__log *log = arg;
        const char *text = data, *blank = memchr(text, ' ', len), *second;
        uint64_t tags[HEARD_MAX];
        size_t left, count = 0;
        char *end;
        int64_t n;

        sp__probe_step();
        second = blank ? memchr(blank + 1, ' ', (size_t)(text + len - blank - 1)) : NULL;
        if (!second || !isdigit((unsigned char)blank[1]))
                return;
        n = strtoll(blank + 1, &end, 10);
        left = (size_t)(text + len - second - 1);
        if (end != second || left % 8 != 0 || left / 8 > HEARD_MAX)
                return;
        while (count < left / 8) {
                tags[count] = sp__get_u64(second + 1 + count * 8);
                count++;
        }
        sp__mirror_hear(&log->mirror, epoch_of(text, (size_t)(blank - text)), n, tags, count);
        if (!sp__mirror_live(&log->mirror))
                ask(log);
}

static void tried(sp__op *op)
{
        struct errand *errand = op->owner;

        if (op->status != SP_OK)
                settle(errand->log);
        errand_end(errand);
}

/* The link connects while the stream does: without a server nobody waits for first the one and then the other. */
static void try_link(struct sp__log *log)
{
        struct errand *errand = errand_new(log);
        struct sp__command *command = errand ? sp__command_new() : NULL;

        if (command) {
                sp__command_begin(command, 1);
                sp__command_text(command, "PING");
                sp__link_run(log->link, command, NULL, tried, errand);
        } else if (errand) {
                errand_end(errand);
        }
}

void sp__log_start(struct sp__log *log)
{
        if (!log->link || atomic_load(&log->started) || atomic_exchange(&log->started, true))
                return;
        sp__subscriber_start(log->subscriber);
        sp__timer_set(log->engine, &log->prove_timer, sp__now() + log->period);
        try_link(log);
}

void sp__log_acknowledge(struct sp__log *log, uint64_t e, int64_t n, const uint64_t *tags, size_t count)
{
        sp__probe_step();
        if (sp__bugged(SP__BUG_NO_OWN))
                return;
        if (!sp__mirror_acknowledge(&log->mirror, e, n, tags, count))
                ask(log);
}

void sp__log_acknowledge_all(struct sp__log *log)
{
        sp__mirror_acknowledge_all(&log->mirror);
        ask(log);
}

static sp_status check_namespace(const char *name, sp_error **error)
{
        if (!*name || strlen(name) > SP__NAMESPACE_MAX || strpbrk(name, "{} \r\n"))
                return sp__fail(error, SP_CONFIG, "cache.namespace must be 1–%d bytes without braces and blanks",
                                SP__NAMESPACE_MAX);
        return SP_OK;
}

static sp_status connect_parts(struct sp__log *log, const sp_config *config, sp_error **error)
{
        struct sp__link_options link = {.greet = greet, .arg = log, .home = log->hash};
        struct sp__subscriber_options stream = {.connect_timeout =
                                                    sp__config_int(config, "redis", NULL, "connect_timeout") * SP__MS,
                                                .ping = log->period,
                                                .up = stream_up,
                                                .message = stream_heard,
                                                .down = stream_down,
                                                .deaf = stream_deaf,
                                                .arg = log};
        sp_status status = sp__link_open(config, log->engine, &link, &log->link, error);

        if (status != SP_OK)
                return status;
        log->subscriber = sp__subscriber_new(log->engine, log->link, log->channel, &stream);
        if (log->subscriber && sp__address_copy(&log->address, sp__link_address(log->link)))
                return SP_OK;
        sp__subscriber_free(log->subscriber, NULL);
        sp__link_close(log->link);
        sp__link_free(log->link);
        return sp__fail(error, SP_NOMEM, "no memory or descriptors left for a connection to Redis");
}

sp_status sp__log_init(struct sp__log *log, const sp_config *config, struct sp__engine *engine, sp_error **error)
{
        const char *url = sp__config_text(config, "redis", NULL, "url");
        const char *name = sp__config_text(config, "cache", NULL, "namespace");
        int64_t bound = sp__config_int(config, "cache", NULL, "bound") * SP__MS;
        sp_status status = check_namespace(name, error);

        if (status != SP_OK)
                return status;
        log->engine = engine;
        log->period = bound / 3;
        snprintf(log->hash, sizeof log->hash, "{%s}:v", name);
        snprintf(log->channel, sizeof log->channel, "{%s}:s", name);
        sp__mirror_init(&log->mirror, *url != 0, bound);
        sp__mutex_init(&log->lock);
        sp__cond_init(&log->idle);
        sp__list_init(&log->waiting);
        atomic_init(&log->settled, *url == 0);
        log->prove_timer.fire = prove_again;
        sp__debts_init(log);
        sp__releases_init(log);
        status = *url ? connect_parts(log, config, error) : SP_OK;
        if (status != SP_OK)
                sp__log_destroy(log);
        return status;
}

void sp__log_stop(struct sp__log *log)
{
        atomic_store(&log->ending, true);
        sp__timer_stop(log->engine, &log->prove_timer);
        sp__debts_stop(log);
        sp__releases_stop(log);
        settle(log);
}

void sp__log_close(struct sp__log *log)
{
        if (log->link)
                sp__link_close(log->link);
        sp__lock(&log->lock);
        while (log->trips > 0)
                sp__cond_wait(&log->idle, &log->lock, SP__FOREVER);
        sp__unlock(&log->lock);
}

void sp__log_destroy(struct sp__log *log)
{
        sp__cond_destroy(&log->idle);
        sp__address_free(&log->address);
        sp__mirror_destroy(&log->mirror);
        sp__mutex_destroy(&log->lock);
}
