/* SPDX-License-Identifier: MIT */
/**
 * What the text of a statement shows, seen by PostgreSQL's own parser (libpg_query): how it may be run, and a form of it
 * that holds no literal. A guess from the text alone: a function that writes looks like a read.
 *
 * Costs some 10 µs and memory of several times the text: parse a statement once and keep the view.
 *
 * Threads: safe from any thread; one parses at a time.
 */
#ifndef SP_SQL_STATEMENT_H
#define SP_SQL_STATEMENT_H

#include <sugarperf/base.h>

/** Bytes of a statement's text. */
#define SP__SQL_MAX ((size_t)1 << 20)

enum sp__sql_kind {
        SP__SQL_READ,    /* changes nothing: may run again, may run on a shared lane */
        SP__SQL_WRITE,   /* changes or locks rows, or the schema */
        SP__SQL_SESSION, /* depends on the session: needs a connection of its own */
        SP__SQL_COPY     /* speaks another protocol */
};

struct sp__sql {
        enum sp__sql_kind kind;
        bool tx;               /* begins, ends or sets up a transaction */
        bool dirties;          /* leaves something behind in the session: reset it before anyone else gets it */
        bool session_function; /* calls a function of session state (advisory locks, set_config(), currval(), …) */
        bool clock;    /* asks when its transaction began (now()), or which it is: it must not be its neighbours' */
        bool obscure;  /* runs what its text does not show: DO, CALL, a function that is not known */
        bool commits;  /* … and what that is may commit: DO, CALL */
        bool stays;    /* leaves what no reset takes back: setseed(), an origin of replication, LOAD */
        bool renames;  /* may change what names mean in this session: SET search_path, SET ROLE, RESET ALL, … */
        bool alters;   /* may change what names and types mean: CREATE, ALTER, DROP, …, DO */
        bool resolves; /* looks names and types up when it is prepared: a query */
        uint64_t fingerprint; /* alike for statements that differ in literals, lengths of lists, comments and blanks */
        uint64_t literals;    /* a hash of those in it; 0: it has none, or was not looked into */
        char *text;           /* on one line, without comments; literals read `?`, lists of them `...` */
};

/**
 * SP_INVALID: does not parse (the error tells the position, never the text), or is not exactly one statement. SP_LIMIT:
 * longer than SP__SQL_MAX or nested too deep. On success sp__sql_free() what `out` holds.
 */
sp_status sp__sql_parse(const char *text, size_t len, struct sp__sql *out, sp_error **error);
/** Of a text that is not looked into: it may be anything that a session can run, and leave anything behind. */
sp_status sp__sql_opaque(const char *text, size_t len, struct sp__sql *out, sp_error **error);
void sp__sql_free(struct sp__sql *sql);

/** Adds where each statement of a text begins and ends, in bytes: [[0,8],[10,18]]. SP_INVALID: it does not parse. */
struct sp__buf;
sp_status sp__sql_split(const char *text, size_t len, struct sp__buf *out, sp_error **error);

/** Hands the tokens of a text (ended by a zero byte) to `use`, while nobody else parses; false where it has none. */
struct sp__tokens;
bool sp__sql_scan(const char *text, void (*use)(void *arg, const char *text, const struct sp__tokens *tokens),
                  void *arg);

/** libpg_query's tree of a text that parsed before, as JSON, to be freed; NULL: it does not parse, or memory is short. */
char *sp__sql_tree_text(const char *text);

/** "read", "write", "session", "copy". */
const char *sp__sql_kind_name(enum sp__sql_kind kind);

#endif
