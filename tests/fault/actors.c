/* SPDX-License-Identifier: MIT */
#include "play.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 160 };

void pause_us(int64_t us)
{
        nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

int64_t up_to(struct sp__random *random, int64_t most)
{
        return (int64_t)(sp__random_unit(random) * (double)most);
}

void die(struct hall *hall)
{
        atomic_fetch_add(&hall->deaths, 1);
        raise(SIGKILL);
}

enum sp__bug sp__probe_bug;

/* Now and then somebody is held up between two steps. */
void sp__probe_step(void)
{
        static atomic_uint_fast64_t count;
        struct sp__random random = {atomic_fetch_add(&count, 1) + (uint64_t)getpid() * 1000003};

        if (sp__random_unit(&random) < .01)
                pause_us(up_to(&random, 2000));
}

int64_t sp__probe_wall_ms(void)
{
        return 0;
}

static sp_stmt *stmt_for(struct play *play, const char *format, int row)
{
        char text[TEXT];
        sp_stmt *stmt;

        snprintf(text, sizeof text, format, play->world.table, row);
        assert_int_equal(sp_stmt_new(NULL, text, strlen(text), 0, &stmt, NULL), SP_OK);
        return stmt;
}

static const char update_text[] = "UPDATE %s SET version = version + 1 WHERE id = 'r%d'";

static sp_row *row_told(struct play *play)
{
        sp_row *told = sp_row_new(play->world.table, SP_ROW_UPDATE);
        char id[16];

        snprintf(id, sizeof id, "r%d", play->row);
        sp_row_set(told, "id", id, strlen(id));
        return told;
}

/* By hand, after COMMIT. */
static void write_plainly(struct service *service, struct play *play)
{
        sp_stmt *stmt = stmt_for(play, update_text, play->row);
        sp_row *told = row_told(play);
        sp_result *result = NULL;

        if (sp_pool_query(service->pool, NULL, stmt, NULL, &result, NULL) == SP_OK)
                atomic_fetch_add(&play->hall->writes, 1);
        if (play->dies)
                die(play->hall);
        if (play->deed == DEED_TELL)
                sp_invalidate_row(service->rules, NULL, told, NULL);
        sp_result_free(result);
        sp_row_free(told);
        sp_stmt_unref(stmt);
}

/* It dies with the COMMIT on its way. */
static void die_committing(struct play *play, sp_session *session)
{
        sp_queue *queue;

        if (sp_queue_new(0, &queue) == SP_OK)
                sp_session_commit_async(session, NULL, queue, 1);
        die(play->hall);
}

/* At commit. */
static void write_in_transaction(struct service *service, struct play *play)
{
        sp_stmt *stmt = stmt_for(play, update_text, play->row);
        sp_row *told = row_told(play);
        sp_session *session = NULL;
        sp_result *result = NULL;

        if (sp_pool_acquire(service->pool, NULL, &session, NULL) == SP_OK &&
            sp_session_begin(session, NULL, NULL, NULL) == SP_OK &&
            sp_session_query(session, NULL, stmt, NULL, &result, NULL) == SP_OK &&
            sp_session_invalidate_row(session, service->rules, told, NULL) == SP_OK) {
                if (play->dies)
                        die_committing(play, session);
                else if (play->deed == DEED_ROLLBACK)
                        sp_session_rollback(session, NULL, NULL);
                else if (sp_session_commit(session, NULL, NULL) == SP_OK)
                        atomic_fetch_add(&play->hall->writes, 1);
        }
        sp_result_free(result);
        sp_session_release(session);
        sp_row_free(told);
        sp_stmt_unref(stmt);
}

static void act_as_writer(struct service *service, struct play *play)
{
        while (!atomic_load(&play->over)) {
                unsigned order = atomic_load(&play->ordered);

                if (atomic_load(&play->obeyed) == order) {
                        pause_us(400);
                        continue;
                }
                if (play->deed == DEED_COMMIT || play->deed == DEED_ROLLBACK)
                        write_in_transaction(service, play);
                else
                        write_plainly(service, play);
                atomic_store(&play->obeyed, order);
        }
}

struct load {
        struct service *service;
        struct play *play;
        int row;
};

static sp_status load(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct load *load = arg;
        sp_stmt *stmt = stmt_for(load->play, "SELECT version FROM %s WHERE id = 'r%d'", load->row);
        sp_result *result = NULL;
        sp_status status = sp_pool_query(load->service->pool, NULL, stmt, NULL, &result, error);
        size_t len = 0;

        if (status == SP_OK) {
                const char *version = sp_result_get(result, 0, 0, &len);

                *out = sp_value_new(version, len, SP_CODEC_TEXT);
        }
        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

/* Through the cache; -1: it failed. */
static int64_t read_row(struct service *service, struct play *play, struct gaze *gaze, int row)
{
        struct load loading = {service, play, row};
        sp_value *value = NULL;
        char key[SP_KEY_MAX], id[16];
        int64_t version = -1;
        sp_status status;
        size_t len;

        snprintf(id, sizeof id, "r%d", row);
        atomic_fetch_add(&play->hall->reads, 1);
        atomic_store(&gaze->row, row);
        atomic_store(&gaze->since, sp__now());
        atomic_store(&gaze->asks, true);
        status = sp_cache_get_or_load(service->cache, NULL, key, item_key(&play->world, id, key), load, &loading,
                                      &value, NULL);
        if (status == SP_OK)
                version = strtoll(sp_value_data(value, &len), NULL, 10);
        sp_value_unref(value);
        atomic_store(&gaze->got, version);
        atomic_store(&gaze->status, (int)status);
        atomic_store(&gaze->asks, false);
        return version;
}

/* Until each row is read as it is. */
static void look_at_all(struct service *service, struct play *play, unsigned question, int reader)
{
        for (int row = 0; row < ROWS; row++) {
                while (read_row(service, play, &play->gazes[reader], row) < atomic_load(&play->versions[row])) {
                        if (atomic_load(&play->over))
                                return;
                        testify(service, play, FEEDS + reader);
                        pause_us(1000);
                }
        }
        atomic_store(&play->seen[reader], question);
}

static void act_as_reader(struct service *service, struct play *play, int reader, struct sp__random *random)
{
        while (!atomic_load(&play->over)) {
                unsigned question = atomic_load(&play->asked);

                if (atomic_load(&play->seen[reader]) != question)
                        look_at_all(service, play, question, reader);
                else
                        read_row(service, play, &play->gazes[reader], (int)up_to(random, ROWS));
                testify(service, play, FEEDS + reader);
                pause_us(up_to(random, 2500));
        }
}

/* Of this process. */
struct walk {
        struct play *play;
        int feed;
};

/* The feed's thread. */
static void at_step(void *arg, enum sp__feed_step step)
{
        const struct walk *walk = arg;
        struct play *play = walk->play;
        int armed = (int)step;

        atomic_fetch_add(&play->stepped[walk->feed][step], 1);
        if (atomic_load(&play->step) != armed || atomic_fetch_sub(&play->passes, 1) > 0 ||
            !atomic_compare_exchange_strong(&play->step, &armed, SP__STEPS))
                return;
        atomic_fetch_or(&play->hall->died_at, 1ull << step);
        die(play->hall);
}

static void act_as_feed(struct service *service, struct play *play, int feed)
{
        struct walk walk = {play, feed};

        assert_int_equal(sp_config_set(service->config, "feed.lease", "200ms", NULL), SP_OK);
        assert_int_equal(
            sp__feed_new(service->config, service->pool, service->rules, at_step, &walk, &service->feed, NULL), SP_OK);
        atomic_store(&service->feed->look_every, 50 * SP__MS);
        while (!atomic_load(&play->over)) {
                testify(service, play, feed);
                pause_us(5000);
        }
        sp_feed_free(service->feed);
        service->feed = NULL;
}

void act_as(struct play *play, int actor, uint64_t seed)
{
        struct sp__random random = {seed};
        struct service service;

        sp__probe_bug = play->hall->bug;
        if (actor < WITNESSES)
                atomic_store(&play->witnesses[actor].pid, getpid());
        service_begin(&service, &play->world, NULL);
        if (actor < FEEDS)
                act_as_feed(&service, play, actor);
        else if (actor == WRITER)
                act_as_writer(&service, play);
        else
                act_as_reader(&service, play, actor - FEEDS, &random);
        service_end(&service);
}
