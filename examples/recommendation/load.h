/* SPDX-License-Identifier: MIT */
/** The load generator's parts: what is asked when (plan), over which connections (link), how long it took (tally). */
#ifndef RECOMMENDATION_LOAD_H
#define RECOMMENDATION_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_kind { LOAD_RECOMMENDATIONS, LOAD_CONTENT, LOAD_CREATE, LOAD_INTERACTION, LOAD_COLD_LIST, LOAD_COLD_CONTENT };
/* Those of a file (load_file.c) come behind. */
enum { LOAD_KINDS = 6, LOAD_FILE_KINDS = 10, LOAD_KINDS_ALL = LOAD_KINDS + LOAD_FILE_KINDS };

/* Nanoseconds of the monotonic clock. */
int64_t load_now(void);

/* One request: the time when it should start counts, not the time when a connection was free for it. */
struct load_request {
        enum load_kind kind;
        bool may_be_absent; /* 404 is no failure */
        int64_t due;
        int user; /* virtual user of a closed plan */
        size_t len;
        char text[1024];
};

struct load_options {
        const char *profile, *file;
        int port;
        double rate, seconds, grace; /* grace: how long answers are waited for at the end */
        int64_t users, contents, tags, count;
        uint64_t seed;
};

/*
 * Plans. "mix" is open: requests arrive at a constant rate whatever the answers take; 95 % are reads, users and contents
 * follow Zipf's law. "document" is the source document's: up to fifty virtual users, ten user ids, fifty content ids, a
 * second of sleep after each answer; its stages are scaled to `seconds`. "single" is one caller without pause: `count`
 * users and contents for the first time, then again. "file" is open and asks what a file says, in its order; "stages" the
 * same by virtual users, as "document" does.
 */
struct load_plan;
/* NULL for a profile that is none, and for a file that cannot be read, which is told. */
struct load_plan *load_plan_new(const struct load_options *options);
/* Of a kind from LOAD_KINDS on; NULL where there is none. */
const char *load_plan_kind(const struct load_plan *plan, size_t kind);
void load_plan_free(struct load_plan *plan);
/* The next request that is due at `now`; else false, and `*wake` says when to ask again. */
bool load_plan_next(struct load_plan *plan, int64_t now, struct load_request *out, int64_t *wake);
void load_plan_done(struct load_plan *plan, const struct load_request *request, int64_t now);
/* Nothing more will be due. */
bool load_plan_over(const struct load_plan *plan, int64_t now);

/*
 * Requests of a file, a JSON object a line: {"kind": "GET /content/{id}", "method", "path", "body"?, "headers"? (an object),
 * "absent"? (404 is no failure)}. NULL, and the reason on stderr, when it cannot be read.
 */
struct load_file;
struct load_file *load_file_read(const char *path);
void load_file_free(struct load_file *file);
/* Number `at`, again from the first behind the last. */
void load_file_get(const struct load_file *file, int64_t at, struct load_request *out);
const char *load_file_kind(const struct load_file *file, size_t kind);

/* What came back: status 0 when the connection broke. */
struct load_answer {
        int status;
        char source[16]; /* X-Cache */
};

/* One keep-alive connection with at most one request on it. */
struct load_link {
        int fd; /* -1: not connected */
        bool busy;
        struct load_request request;
        size_t sent, got, capacity;
        char *buffer;
};

enum load_step { LOAD_WAIT_READ, LOAD_WAIT_WRITE, LOAD_ANSWERED };
/* Connects when it must, and begins to send. */
enum load_step load_link_start(struct load_link *link, int port, const struct load_request *request,
                               struct load_answer *answer);
/* Goes on when the descriptor is ready. */
enum load_step load_link_continue(struct load_link *link, struct load_answer *answer);
void load_link_close(struct load_link *link);

/* Exact quantiles: every sample is kept. */
struct load_tally;
struct load_tally *load_tally_new(void);
void load_tally_free(struct load_tally *tally);
void load_tally_add(struct load_tally *tally, const struct load_request *request, const struct load_answer *answer,
                    int64_t ns);
/* {"GET /recommendations": {"count", "errors", "mean", "p50", "p95", "p99", "max" (ms), "hit", …}, …} */
json_t *load_tally_json(struct load_tally *tally, const struct load_plan *plan);
/* Share of answers that pass the document's checks: status 200, lists under 500 ms, contents under 200 ms. */
double load_tally_checks(const struct load_tally *tally);

#endif
