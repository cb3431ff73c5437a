/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VIRTUAL_USERS = 50, DOCUMENT_USERS = 10, DOCUMENT_CONTENTS = 50 };
static const int64_t second = 1000000000;

struct virtual_user {
        int64_t due;
        bool waiting, content_next;
};

typedef bool load_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake);

struct load_plan {
        struct load_options options;
        load_next *next;
        int64_t start, end, made;
        uint64_t random;
        struct virtual_user users[VIRTUAL_USERS];
        bool waiting;
        struct load_file *file;
};

/* splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t random_next(struct load_plan *plan)
{
        uint64_t z = plan->random += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static double uniform(struct load_plan *plan)
{
        return (double)(random_next(plan) >> 11) * 0x1p-53;
}

/* Zipf's law with exponent 1 over n numbers, permuted as in data.sql: who is busy there is busy here. */
static int64_t zipf(struct load_plan *plan, int64_t n)
{
        return ((int64_t)pow((double)n + 1, uniform(plan)) - 1) * 2147483647 % n;
}

static void get(struct load_request *out, enum load_kind kind, const char *format, int64_t number)
{
        char path[64];

        snprintf(path, sizeof path, format, (long long)number);
        out->kind = kind;
        out->len = (size_t)snprintf(out->text, sizeof out->text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
}

static void get_list(struct load_request *out, enum load_kind kind, int64_t user)
{
        get(out, kind, "/recommendations/user-%lld?limit=10", user);
}

static void get_content(struct load_request *out, enum load_kind kind, int64_t content)
{
        get(out, kind, "/content/content-%lld", content);
}

static void post(struct load_request *out, enum load_kind kind, const char *path, const char *body)
{
        out->kind = kind;
        out->len = (size_t)snprintf(out->text, sizeof out->text,
                                    "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                    "Content-Length: %zu\r\n\r\n%s",
                                    path, strlen(body), body);
}

static void post_interaction(struct load_plan *plan, struct load_request *out)
{
        double kind = uniform(plan);
        char body[256];

        snprintf(body, sizeof body, "{\"userId\":\"user-%lld\",\"contentId\":\"content-%lld\",\"type\":\"%s\"}",
                 (long long)zipf(plan, plan->options.users), (long long)zipf(plan, plan->options.contents),
                 kind < 0.85   ? "view"
                 : kind < 0.97 ? "like"
                               : "share");
        post(out, LOAD_INTERACTION, "/interactions", body);
}

static void post_content(struct load_plan *plan, struct load_request *out)
{
        char body[512];

        snprintf(body, sizeof body,
                 "{\"creatorId\":\"user-%lld\",\"title\":\"Made under load %lld\",\"description\":\"A new content\","
                 "\"tags\":[\"tag-%lld\",\"tag-%lld\"]}",
                 (long long)zipf(plan, plan->options.users), (long long)plan->made,
                 (long long)zipf(plan, plan->options.tags), (long long)zipf(plan, plan->options.tags));
        post(out, LOAD_CREATE, "/content", body);
}

/* Whether another one of an open plan is due. */
static bool due(const struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        out->due = plan->start + (int64_t)((double)plan->made * (double)second / plan->options.rate);
        *wake = out->due;
        return out->due <= now && out->due < plan->end;
}

static bool file_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        if (!due(plan, now, out, wake))
                return false;
        load_file_get(plan->file, plan->made++, out);
        return true;
}

static bool mix_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        double kind;

        if (!due(plan, now, out, wake))
                return false;
        plan->made++;
        kind = uniform(plan);
        if (kind < 0.55)
                get_list(out, LOAD_RECOMMENDATIONS, zipf(plan, plan->options.users));
        else if (kind < 0.95)
                get_content(out, LOAD_CONTENT, zipf(plan, plan->options.contents));
        else if (kind < 0.995)
                post_interaction(plan, out);
        else
                post_content(plan, out);
        return true;
}

/* Virtual users at a moment: to 10 in the first quarter, to 50 until the third, to none at the end. */
static int document_target(const struct load_plan *plan, int64_t now)
{
        double at = (double)(now - plan->start) / (double)(plan->end - plan->start);

        if (at < 0.25)
                return (int)ceil(at * 4 * 10);
        if (at < 0.75)
                return (int)ceil(10 + (at - 0.25) * 2 * 40);
        return at < 1 ? (int)ceil(50 * (1 - at) * 4) : 0;
}

static bool document_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        int target = document_target(plan, now);

        for (int i = 0; i < target && i < VIRTUAL_USERS; i++) {
                struct virtual_user *user = &plan->users[i];

                if (user->waiting || user->due > now)
                        continue;
                user->waiting = true;
                out->user = i;
                out->due = now;
                if (plan->file)
                        load_file_get(plan->file, plan->made, out);
                else if (user->content_next)
                        get_content(out, LOAD_CONTENT, (i + 1) % DOCUMENT_CONTENTS);
                else
                        get_list(out, LOAD_RECOMMENDATIONS, (i + 1) % DOCUMENT_USERS);
                user->content_next = !user->content_next;
                plan->made++;
                return true;
        }
        *wake = now + second / 100;
        return false;
}

/* The number of a pass over the same users: a permutation, so that they differ and are spread over all. */
static int64_t spread(const struct load_plan *plan, int64_t at, int64_t n)
{
        return (at * 2147483647 + (int64_t)(plan->options.seed % 1000)) % n;
}

static bool single_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        int64_t count = plan->options.count, at = plan->made % count, pass = plan->made / count;

        *wake = now + second;
        if (plan->waiting || pass >= 4)
                return false;
        plan->waiting = true;
        plan->made++;
        out->due = now;
        if (pass < 2)
                get_list(out, pass == 0 ? LOAD_COLD_LIST : LOAD_RECOMMENDATIONS, spread(plan, at, plan->options.users));
        else
                get_content(out, pass == 2 ? LOAD_COLD_CONTENT : LOAD_CONTENT,
                            spread(plan, at, plan->options.contents));
        return true;
}

static bool needs_file(const char *profile)
{
        return strcmp(profile, "file") == 0 || strcmp(profile, "stages") == 0;
}

static load_next *next_of(const char *profile)
{
        static const struct {
                const char *profile;
                load_next *next;
        } all[] = {{"mix", mix_next},
                   {"document", document_next},
                   {"single", single_next},
                   {"file", file_next},
                   {"stages", document_next}};

        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                if (strcmp(profile, all[i].profile) == 0)
                        return all[i].next;
        }
        return NULL;
}

struct load_plan *load_plan_new(const struct load_options *options)
{
        struct load_plan *plan = calloc(1, sizeof *plan);

        if (!plan)
                return NULL;
        plan->options = *options;
        plan->random = options->seed;
        plan->next = next_of(options->profile);
        if (options->file)
                plan->file = load_file_read(options->file);
        plan->start = load_now();
        plan->end = plan->start + (int64_t)(options->seconds * (double)second);
        if (plan->next && (plan->file != NULL) == needs_file(options->profile))
                return plan;
        load_plan_free(plan);
        return NULL;
}

void load_plan_free(struct load_plan *plan)
{
        if (plan)
                load_file_free(plan->file);
        free(plan);
}

const char *load_plan_kind(const struct load_plan *plan, size_t kind)
{
        return plan->file ? load_file_kind(plan->file, kind) : NULL;
}

bool load_plan_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake)
{
        return plan->next(plan, now, out, wake);
}

void load_plan_done(struct load_plan *plan, const struct load_request *request, int64_t now)
{
        plan->waiting = false;
        plan->users[request->user].waiting = false;
        plan->users[request->user].due = now + second;
}

bool load_plan_over(const struct load_plan *plan, int64_t now)
{
        if (plan->next == single_next)
                return plan->made >= 4 * plan->options.count;
        return now >= plan->end;
}
