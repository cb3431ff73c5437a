/* SPDX-License-Identifier: MIT */
/*
 * Load for the demo: asks 127.0.0.1:PORT what a plan says and prints what came back as JSON. In the open plan a
 * request's time counts from when it was due, also when it had to wait for a connection: a slow server cannot slow its
 * load down and so look better than it is. (Debian's wrk, hey and siege are closed loops; vegeta and wrk2 are not
 * packaged.)
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 256, EVENTS = 64 };
struct load {
        struct load_options options;
        struct load_plan *plan;
        struct load_tally *tally;
        struct load_link links[LINKS];
        bool watched[LINKS];
        struct load_request held; /* due, and waits for a connection */
        bool holds;
        int epoll, timer;
        int64_t answered, inflight, unfinished;
};

int64_t load_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void watch(struct load *load, int at, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.u32 = (uint32_t)at};

        epoll_ctl(load->epoll, load->watched[at] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, load->links[at].fd, &event);
        load->watched[at] = true;
}

static void take_step(struct load *load, int at, enum load_step step, const struct load_answer *answer)
{
        struct load_link *link = &load->links[at];
        int64_t now;

        if (step != LOAD_ANSWERED) {
                if (step == LOAD_WAIT_WRITE || !load->watched[at] || link->sent < link->request.len)
                        watch(load, at, step == LOAD_WAIT_WRITE ? EPOLLOUT : EPOLLIN);
                return;
        }
        if (link->fd < 0)
                load->watched[at] = false;
        now = load_now();
        load_tally_add(load->tally, &link->request, answer, now - link->request.due);
        load_plan_done(load->plan, &link->request, now);
        load->answered++;
        load->inflight--;
}

static int free_link(const struct load *load)
{
        for (int i = 0; i < LINKS; i++) {
                if (!load->links[i].busy)
                        return i;
        }
        return -1;
}

/* Starts all that is due and finds a connection; the time of the next. */
static int64_t start_due(struct load *load)
{
        int64_t wake = INT64_MAX;
        struct load_answer answer;
        int at;

        for (;;) {
                if (!load->holds)
                        load->holds = load_plan_next(load->plan, load_now(), &load->held, &wake);
                if (!load->holds)
                        return wake;
                at = free_link(load);
                if (at < 0)
                        return INT64_MAX;
                load->holds = false;
                load->inflight++;
                take_step(load, at, load_link_start(&load->links[at], load->options.port, &load->held, &answer),
                          &answer);
        }
}

static void set_timer(struct load *load, int64_t at)
{
        int64_t wait = at == INT64_MAX ? 100000000 : at - load_now();
        struct itimerspec spec = {0};

        if (wait < 1000)
                wait = 1000;
        spec.it_value.tv_sec = wait / 1000000000;
        spec.it_value.tv_nsec = wait % 1000000000;
        timerfd_settime(load->timer, 0, &spec, NULL);
}

static void wait_events(struct load *load)
{
        struct epoll_event events[EVENTS];
        struct load_answer answer;
        uint64_t ticks;
        int count = epoll_wait(load->epoll, events, EVENTS, 1000);

        for (int i = 0; i < count; i++) {
                int at = (int)events[i].data.u32;

                if (at == LINKS) {
                        if (read(load->timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
                                abort();
                } else if (load->links[at].busy) {
                        take_step(load, at, load_link_continue(&load->links[at], &answer), &answer);
                } else { /* the server closed an idle connection */
                        load_link_close(&load->links[at]);
                        load->watched[at] = false;
                }
        }
}

/* What was never answered counts with the time that it waited, as an error. */
static void give_up(struct load *load)
{
        static const struct load_answer none;
        int64_t now = load_now(), wake;

        for (int i = 0; i < LINKS; i++) {
                if (load->links[i].busy) {
                        load_tally_add(load->tally, &load->links[i].request, &none, now - load->links[i].request.due);
                        load->unfinished++;
                }
                load_link_close(&load->links[i]);
        }
        while (load->holds || load_plan_next(load->plan, now, &load->held, &wake)) {
                load_tally_add(load->tally, &load->held, &none, now - load->held.due);
                load->unfinished++;
                load->holds = false;
        }
}

static void run(struct load *load)
{
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = LINKS};
        int64_t deadline = load_now() + (int64_t)((load->options.seconds + load->options.grace) * 1e9);

        epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event);
        for (;;) {
                set_timer(load, start_due(load));
                if (load_plan_over(load->plan, load_now()) && !load->inflight && !load->holds)
                        break;
                if (load_now() > deadline && strcmp(load->options.profile, "single") != 0)
                        break;
                wait_events(load);
        }
        give_up(load);
}

static void report(struct load *load, double seconds)
{
        json_t *json =
            json_pack("{s:s,s:f,s:f,s:I,s:I,s:f,s:f,s:o}", "profile", load->options.profile, "seconds", seconds, "rate",
                      load->options.rate, "answered", (json_int_t)load->answered, "unfinished",
                      (json_int_t)load->unfinished, "achieved", (double)load->answered / seconds, "checks",
                      load_tally_checks(load->tally), "endpoints", load_tally_json(load->tally, load->plan));

        json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(json);
}

static void usage(FILE *out)
{
        fprintf(out, "usage: recommendation-load --port N [--profile mix|document|single|file|stages] [--rate R]\n"
                     "       [--file REQUESTS] [--seconds S] [--grace S] [--users N] [--contents N] [--tags N] "
                     "[--count N] [--seed N]\n");
}

static int64_t whole(const char *name, const char *text, int64_t low)
{
        char *end;
        int64_t number = strtoll(text, &end, 10);

        if (*text && !*end && number >= low)
                return number;
        fprintf(stderr, "recommendation-load: --%s is \"%s\", must be a whole number from %lld\n", name, text,
                (long long)low);
        exit(2);
}

static double positive(const char *name, const char *text)
{
        char *end;
        double number = strtod(text, &end);

        if (*text && !*end && number > 0)
                return number;
        fprintf(stderr, "recommendation-load: --%s is \"%s\", must be a number above 0\n", name, text);
        exit(2);
}

static struct load_options parse(int argc, char **argv)
{
        static const struct option table[] = {
            {"port", 1, NULL, 'p'},  {"profile", 1, NULL, 'f'},  {"rate", 1, NULL, 'r'}, {"seconds", 1, NULL, 's'},
            {"users", 1, NULL, 'u'}, {"contents", 1, NULL, 'c'}, {"tags", 1, NULL, 't'}, {"count", 1, NULL, 'n'},
            {"seed", 1, NULL, 'd'},  {"grace", 1, NULL, 'g'},    {"file", 1, NULL, 'i'}, {"help", 0, NULL, 'h'},
            {NULL, 0, NULL, 0}};
        struct load_options options = {.profile = "mix",
                                       .rate = 100,
                                       .seconds = 10,
                                       .grace = 5,
                                       .users = 50000,
                                       .contents = 100000,
                                       .tags = 500,
                                       .count = 100,
                                       .seed = 1};
        int64_t *const numbers[] = {
            ['u'] = &options.users, ['c'] = &options.contents, ['t'] = &options.tags, ['n'] = &options.count};
        double *const reals[128] = {['r'] = &options.rate, ['s'] = &options.seconds, ['g'] = &options.grace};
        int option, index;

        while ((option = getopt_long(argc, argv, "", table, &index)) != -1) {
                if (option == 'h' || option == '?') {
                        usage(option == 'h' ? stdout : stderr);
                        exit(option == 'h' ? 0 : 2);
                } else if (option == 'p') {
                        options.port = (int)whole("port", optarg, 1);
                } else if (option == 'f') {
                        options.profile = optarg;
                } else if (option == 'i') {
                        options.file = optarg;
                } else if (option == 'd') {
                        options.seed = (uint64_t)whole("seed", optarg, 0);
                } else if (reals[option]) {
                        *reals[option] = positive(table[index].name, optarg);
                } else {
                        *numbers[option] = whole(table[index].name, optarg, 1);
                }
        }
        return options;
}

int main(int argc, char **argv)
{
        static struct load load;
        int64_t started;

        load.options = parse(argc, argv);
        load.plan = load_plan_new(&load.options);
        load.tally = load_tally_new();
        load.epoll = epoll_create1(EPOLL_CLOEXEC);
        load.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (!load.options.port || !load.plan || !load.tally || load.epoll < 0 || load.timer < 0) {
                usage(stderr);
                return 2;
        }
        for (int i = 0; i < LINKS; i++)
                load.links[i].fd = -1;
        started = load_now();
        run(&load);
        report(&load, (double)(load_now() - started) / 1e9);
        load_plan_free(load.plan);
        load_tally_free(load.tally);
        return 0;
}
