/* SPDX-License-Identifier: MIT */
#include "play.h"

#include "../support/child.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LEASE_MS = 250, FATE_MS = 300, HEALING_S = 120 };

enum push { PUSH_CUT, PUSH_KILL, PUSH_LOSE_SLOT, PUSH_MOVE_SLOT, PUSH_LOSE_LEASE, PUSH_STOP, PUSH_UNSUBSCRIBE, PUSHES };

struct conductor {
        struct play *play;
        struct sp__random random; /* of the schedule */
        pid_t pids[ACTORS];
        PGconn *pg;          /* NULL: to be opened */
        redisContext *redis; /* likewise */
        unsigned turn;       /* which step is the next one to die at */
        uint64_t births;
};

static double unit(struct conductor *conductor)
{
        return sp__random_unit(&conductor->random);
}

static void be_quiet(void *arg, const char *message)
{
}

/* The first cell, owned; NULL: there is none, or nobody to ask. */
static char *ask(struct conductor *conductor, const char *format)
{
        PGresult *res;
        char text[WORLD_TEXT_MAX], *answer = NULL;

        world_text(&conductor->play->world, format, text);
        if (!conductor->pg) {
                conductor->pg = PQconnectdb(getenv("DATABASE_URL"));
                PQsetNoticeProcessor(conductor->pg, be_quiet, NULL);
        }
        res = PQexec(conductor->pg, text);
        if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) > 0)
                answer = strdup(PQgetvalue(res, 0, 0));
        PQclear(res);
        if (PQstatus(conductor->pg) != CONNECTION_OK) {
                PQfinish(conductor->pg);
                conductor->pg = NULL;
        }
        return answer;
}

static void tell_pg(struct conductor *conductor, const char *format)
{
        free(ask(conductor, format));
}

static void tell_redis(struct conductor *conductor, const char *format)
{
        const char *name = conductor->play->world.name;
        redisReply *reply;

        if (!conductor->redis)
                conductor->redis = redisConnect("127.0.0.1", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));
        reply = conductor->redis ? redisCommand(conductor->redis, format, name, name) : NULL;
        if (reply)
                freeReplyObject(reply);
        if (conductor->redis && (!reply || conductor->redis->err)) {
                redisFree(conductor->redis);
                conductor->redis = NULL;
        }
}

static void spawn(struct conductor *conductor, int actor)
{
        uint64_t seed = conductor->play->hall->seed + ++conductor->births;
        pid_t pid;

        if (actor < FEEDS && !conductor->play->hall->feeds)
                return;
        /* What the former one did not do nobody does. */
        if (actor == WRITER)
                atomic_store(&conductor->play->obeyed, atomic_load(&conductor->play->ordered));
        pid = child_fork();
        assert_true(pid >= 0);
        conductor->pids[actor] = pid;
        if (pid != 0)
                return;
        if (conductor->pg)
                close(PQsocket(conductor->pg));
        if (conductor->redis)
                close(conductor->redis->fd);
        act_as(conductor->play, actor, seed);
        fflush(NULL);
        _exit(0);
}

/* A lease whose holder is dead runs out, sooner or later. */
static void end_lease(struct conductor *conductor)
{
        tell_redis(conductor, "DEL {%s}:f:sugarperf_%s");
}

/* Who died is born again. */
static void revive(struct conductor *conductor)
{
        for (int i = 0; i < ACTORS; i++) {
                int status = 0;

                if (conductor->pids[i] <= 0 || waitpid(conductor->pids[i], &status, WNOHANG) != conductor->pids[i])
                        continue;
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                        fail_msg("actor %d ended by itself: %#x", i, (unsigned)status);
                if (i < FEEDS && unit(conductor) < .7)
                        end_lease(conductor);
                spawn(conductor, i);
        }
}

static void await_obedience(struct conductor *conductor)
{
        struct play *play = conductor->play;
        pid_t writer = conductor->pids[WRITER];

        while (atomic_load(&play->obeyed) != atomic_load(&play->ordered) && conductor->pids[WRITER] == writer) {
                pause_us(300);
                revive(conductor);
        }
}

/* The writer is told; or the row is changed behind everybody's back. */
static void write_something(struct conductor *conductor)
{
        struct play *play = conductor->play;

        /* Of which the log has no word. Where a mistake is looked for, what goes with it would hide that. */
        if (play->hall->feeds && !play->hall->bug && unit(conductor) < .03) {
                tell_pg(conductor, "ALTER TABLE %s ALTER COLUMN version TYPE bigint USING version + 1");
                return;
        }
        if (unit(conductor) < .2) {
                tell_pg(conductor, unit(conductor) < .5
                                       ? "UPDATE %s SET version = version + 1 WHERE random() < .4 RETURNING 1"
                                       : "UPDATE %s SET version = version + 1 RETURNING 1");
                return;
        }
        play->row = (int)up_to(&conductor->random, ROWS);
        play->deed = (enum deed)up_to(&conductor->random, DEEDS);
        play->dies = unit(conductor) < .15;
        atomic_fetch_add(&play->ordered, 1);
        if (unit(conductor) < .1) {
                pause_us(up_to(&conductor->random, 3000));
                atomic_fetch_add(&play->hall->deaths, 1);
                kill(conductor->pids[WRITER], SIGKILL);
        }
        await_obedience(conductor);
}

static void cut(struct conductor *conductor)
{
        tell_pg(conductor, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = "
                           "'sugarperf_%n' AND active_pid IS NOT NULL");
}

/* While the feed is away for its pause. */
static void take_slot(struct conductor *conductor, const char *deed)
{
        for (int i = 0; i < 10; i++) {
                char *done;

                cut(conductor);
                pause_us(1000);
                done = ask(conductor, deed);
                free(done);
                if (done)
                        return;
        }
}

static void lose_slot(struct conductor *conductor)
{
        take_slot(conductor, "SELECT pg_drop_replication_slot(slot_name)::text FROM pg_replication_slots WHERE "
                             "slot_name = 'sugarperf_%n' AND NOT active");
}

/* What it was to tell since it was read is lost, as if another one had read it. */
static void move_slot(struct conductor *conductor)
{
        write_something(conductor);
        take_slot(conductor, "SELECT pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn())::text FROM "
                             "pg_replication_slots WHERE slot_name = 'sugarperf_%n' AND NOT active");
}

/* Longer than its lease: another one takes its place, and it finds that out when it goes on. */
static void stop_for_a_while(pid_t pid)
{
        kill(pid, SIGSTOP);
        pause_us(LEASE_MS * 1000);
        kill(pid, SIGCONT);
}

static void push(struct conductor *conductor, enum push push)
{
        pid_t feed = conductor->pids[up_to(&conductor->random, FEEDS)];

        switch (push) {
        case PUSH_KILL:
                atomic_fetch_add(&conductor->play->hall->deaths, 1);
                kill(feed, SIGKILL);
                break;
        case PUSH_LOSE_SLOT:
                lose_slot(conductor);
                break;
        case PUSH_MOVE_SLOT:
                move_slot(conductor);
                break;
        case PUSH_LOSE_LEASE:
                end_lease(conductor);
                break;
        case PUSH_STOP:
                stop_for_a_while(feed);
                break;
        case PUSH_UNSUBSCRIBE:
                tell_redis(conductor, "CLIENT KILL TYPE pubsub");
                break;
        default:
                cut(conductor);
        }
}

/* Every step in its turn; those at the beginning are reached by who begins anew. */
static enum push arm(struct conductor *conductor)
{
        struct play *play = conductor->play;
        int step = SP__STEPS;

        if (unit(conductor) < .5)
                step = (int)(conductor->turn++ % SP__STEPS);
        /* Those who begin anew do so once; batches come as long as somebody writes. */
        atomic_store(&play->passes, step <= SP__STEP_STARTED ? 0 : (int)up_to(&conductor->random, 3));
        atomic_store(&play->step, step);
        if (step == SP__STEP_RESET)
                return PUSH_LOSE_SLOT;
        if (step <= SP__STEP_STARTED)
                return unit(conductor) < .7 ? PUSH_CUT : PUSH_KILL;
        return unit(conductor) < .3 ? (enum push)up_to(&conductor->random, PUSHES) : PUSHES;
}

static bool goes_on(const struct conductor *conductor)
{
        return !atomic_load(&conductor->play->hall->broken);
}

static void await_fate(struct conductor *conductor)
{
        int64_t until = sp__now() + FATE_MS * SP__MS;

        while (atomic_load(&conductor->play->step) != SP__STEPS && sp__now() < until && goes_on(conductor)) {
                write_something(conductor);
                pause_us(2000);
                revive(conductor);
        }
        atomic_store(&conductor->play->step, SP__STEPS);
}

/* What happens until it is looked whether anything is stale. */
static void make_trouble(struct conductor *conductor)
{
        enum push chosen = conductor->play->hall->feeds ? arm(conductor) : PUSHES;
        int64_t acts = 1 + up_to(&conductor->random, 3), pushed = up_to(&conductor->random, acts);

        for (int64_t i = 0; i < acts; i++) {
                if (i == pushed && chosen != PUSHES)
                        push(conductor, chosen);
                write_something(conductor);
                pause_us(up_to(&conductor->random, 1500));
        }
        await_fate(conductor);
}

/* Nobody takes the servers from here on. */
static void begin_to_judge(struct conductor *conductor)
{
        struct hall *hall = conductor->play->hall;

        for (;;) {
                while (atomic_load(&hall->wanted) && goes_on(conductor)) {
                        write_something(conductor);
                        pause_us(2000);
                        revive(conductor);
                }
                atomic_fetch_add(&hall->judging, 1);
                if (!atomic_load(&hall->wanted) || !goes_on(conductor))
                        return;
                atomic_fetch_sub(&hall->judging, 1);
        }
}

static void read_versions(struct conductor *conductor)
{
        struct play *play = conductor->play;
        char *text = NULL, *at;

        while (goes_on(conductor) &&
               !(text = ask(conductor, "SELECT string_agg(version::text, ' ' ORDER BY id) FROM %s"))) {
                pause_us(5000);
                revive(conductor);
        }
        at = text;
        for (int row = 0; at && row < ROWS; row++)
                atomic_store(&play->versions[row], strtoll(at, &at, 10));
        free(text);
}

static bool all_seen(const struct play *play)
{
        for (int i = 0; i < READERS; i++) {
                if (atomic_load(&play->seen[i]) != atomic_load(&play->asked))
                        return false;
        }
        return true;
}

/* In at most so much time. Where all stand still, as on a machine that is held up, nobody waits. */
static bool await_readers(struct conductor *conductor, int64_t patience)
{
        int64_t left = patience, last = sp__now();
        bool seen;

        while (!(seen = all_seen(conductor->play)) && goes_on(conductor) && left > 0) {
                int64_t passed;

                pause_us(400);
                revive(conductor);
                passed = sp__now() - last;
                last += passed;
                left -= passed < SP__SECOND ? passed : SP__SECOND;
        }
        return seen || !goes_on(conductor);
}

static void begin_to_count(struct play *play)
{
        for (int i = 0; i < FEEDS; i++) {
                for (int step = 0; step < SP__STEPS; step++)
                        atomic_store(&play->stepped[i][step], 0);
        }
}

/* What is late would come; what is lost never does. */
static void examine(struct conductor *conductor)
{
        int64_t since = sp__now();

        autopsy(conductor->play);
        if (await_readers(conductor, HEALING_S * SP__SECOND)) {
                printf("# it was read %.1f s later\n", (double)(sp__now() - since) / SP__SECOND);
        } else {
                printf("# it is stale %d s later\n", HEALING_S);
                autopsy(conductor->play);
        }
        fflush(stdout);
}

static void note_slowest(struct hall *hall, int64_t took)
{
        int64_t former = atomic_load(&hall->slowest);

        while (took > former && !atomic_compare_exchange_weak(&hall->slowest, &former, took)) {
                /* Another one raised it. */
        }
}

static void judge(struct conductor *conductor, uint64_t seed)
{
        struct play *play = conductor->play;
        struct hall *hall = play->hall;
        int64_t since;

        read_versions(conductor);
        begin_to_count(play);
        atomic_fetch_add(&play->asked, 1);
        since = sp__now();
        if (await_readers(conductor, hall->patience)) {
                note_slowest(hall, sp__now() - since);
                return;
        }
        printf("# stale after schedule %" PRIx64 "\n", seed);
        fflush(stdout);
        atomic_fetch_add(&hall->stale, 1);
        /* Where it is looked for it is no surprise. */
        if (hall->feeds && !hall->bug)
                examine(conductor);
        atomic_store(&hall->broken, true);
}

static void perform(struct conductor *conductor, uint64_t seed)
{
        conductor->random.state = seed;
        make_trouble(conductor);
        revive(conductor);
        begin_to_judge(conductor);
        if (goes_on(conductor))
                judge(conductor, seed);
        atomic_fetch_sub(&conductor->play->hall->judging, 1);
        if (goes_on(conductor))
                atomic_fetch_add(&conductor->play->hall->schedules, 1);
}

/* They end by themselves now; one that was killed at the last moment is dead already. */
static void await_all(struct conductor *conductor)
{
        for (int i = 0; i < ACTORS; i++) {
                int status = 0;

                if (conductor->pids[i] <= 0)
                        continue;
                assert_int_equal(waitpid(conductor->pids[i], &status, 0), conductor->pids[i]);
                if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
                        fail_msg("actor %d ended with %#x", i, (unsigned)status);
        }
}

static void conduct(struct play *play, uint64_t seed)
{
        struct conductor conductor = {.play = play};
        struct sp__random seeds = {seed};
        char text[128];

        world_begin(&play->world, true, "id text PRIMARY KEY, version bigint NOT NULL DEFAULT 0");
        snprintf(text, sizeof text, "INSERT INTO %%s SELECT 'r' || i FROM generate_series(0, %d) i", ROWS - 1);
        world_run(&play->world, text);
        atomic_store(&play->step, SP__STEPS);
        for (int i = 0; i < ACTORS; i++)
                spawn(&conductor, i);
        while (goes_on(&conductor) && !atomic_load(&play->hall->enough))
                perform(&conductor, sp__random_next(&seeds));
        atomic_store(&play->over, true);
        await_all(&conductor);
        if (conductor.pg)
                PQfinish(conductor.pg);
        if (conductor.redis)
                redisFree(conductor.redis);
        world_end(&play->world);
}

pid_t play_begin(struct play *play, uint64_t seed)
{
        pid_t pid = child_fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        conduct(play, seed);
        fflush(NULL);
        _exit(0);
}
