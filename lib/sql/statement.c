/* SPDX-License-Identifier: MIT */
#include "sql/statement.h"

#include "base/buf.h"
#include "base/hash.h"
#include "core/error.h"
#include "sql/depth.h"
#include "sql/kind.h"
#include "sql/parser.h"
#include "sql/text.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

/* The message of libpg_query quotes the text, so only the place of the error is told. */
static sp_status unparsable(const PgQueryError *cause, sp_error **error)
{
        if (cause->cursorpos > 0)
                return sp__fail(error, SP_INVALID, "the statement does not parse: error at character %d",
                                cause->cursorpos);
        return sp__fail(error, SP_INVALID, "the statement does not parse");
}

static sp_status check_tree(const struct sp__tree *tree, sp_error **error)
{
        if (tree->statements == 0)
                return sp__fail(error, SP_INVALID, "the text holds no statement");
        if (tree->statements > 1)
                return sp__fail(error, SP_INVALID, "the text holds %zu statements: one at a time", tree->statements);
        return SP_OK;
}

static sp_status read_tree(const char *text, struct sp__tree *tree, sp_error **error)
{
        PgQueryParseResult parsed = pg_query_parse(text);
        sp_status status;

        if (parsed.error)
                status = unparsable(parsed.error, error);
        else {
                sp__tree_read(parsed.parse_tree, tree);
                status = check_tree(tree, error);
        }
        pg_query_free_parse_result(parsed);
        return status;
}

/* libpg_query's fingerprint, which looks through aliases and orders; of other statements it would hash the literals too. */
static uint64_t fingerprint(const char *text, const struct sp__tree *tree, const struct sp__buf *shown)
{
        PgQueryFingerprintResult print;
        uint64_t value;

        if (!sp__sql_is_query(tree))
                return sp__hash(shown->data, shown->len, 0);
        print = pg_query_fingerprint(text);
        value = print.error ? sp__hash(shown->data, shown->len, 0) : print.fingerprint;
        pg_query_free_fingerprint_result(print);
        return value;
}

static sp_status parse_tokens(const char *text, struct sp__tokens tokens, struct sp__sql *out, sp_error **error)
{
        struct sp__sql sql = {0};
        struct sp__buf shown = SP__BUF_INIT;
        struct sp__tree tree;
        sp_status status;

        if (!sp__sql_shallow(text, tokens))
                return sp__fail(error, SP_LIMIT, "the statement nests deeper than %d levels", SP__SQL_DEPTH);
        status = read_tree(text, &tree, error);
        if (status != SP_OK)
                return status;
        sp__sql_classify(&tree, &sql);
        sp__sql_text(text, tokens, sp__sql_is_setting(&tree), &shown);
        sp__buf_char(&shown, 0);
        if (shown.failed) {
                sp__buf_free(&shown);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        sql.fingerprint = fingerprint(text, &tree, &shown);
        sql.literals = sp__sql_literals(text, tokens);
        sql.text = shown.data;
        *out = sql;
        return SP_OK;
}

/* What is done behind the parser's door, and what came of it. */
struct errand {
        const char *text;
        struct sp__sql *sql;
        struct sp__buf *split;
        char *tree;
        void (*use)(void *arg, const char *text, const struct sp__tokens *tokens);
        void *arg;
        sp_status status;
        sp_error **error;
};

static struct sp__tokens tokens_of(const PgQueryScanResult *scanned)
{
        const char *data = scanned->pbuf.data;

        return (struct sp__tokens){data, data + scanned->pbuf.len};
}

static void parse(void *arg)
{
        struct errand *errand = arg;
        PgQueryScanResult scanned = pg_query_scan(errand->text);

        if (scanned.error)
                errand->status = unparsable(scanned.error, errand->error);
        else
                errand->status = parse_tokens(errand->text, tokens_of(&scanned), errand->sql, errand->error);
        pg_query_free_scan_result(scanned);
}

static sp_status check_length(const char *text, size_t len, sp_error **error)
{
        if (len > SP__SQL_MAX)
                return sp__fail(error, SP_LIMIT, "the statement has %zu bytes, more than 1 MiB (%zu)", len,
                                SP__SQL_MAX);
        if (memchr(text, 0, len))
                return sp__fail(error, SP_INVALID, "the statement holds a zero byte");
        return SP_OK;
}

/* Ended by a zero byte, to be freed. */
static sp_status copy_text(const char *text, size_t len, char **copy, sp_error **error)
{
        sp_status status = check_length(text, len, error);

        if (status != SP_OK)
                return status;
        *copy = malloc(len + 1);
        if (!*copy)
                return sp__fail(error, SP_NOMEM, "out of memory");
        memcpy(*copy, text, len);
        (*copy)[len] = 0;
        return SP_OK;
}

sp_status sp__sql_opaque(const char *text, size_t len, struct sp__sql *out, sp_error **error)
{
        sp_status status = check_length(text, len, error);
        char *shown = status == SP_OK ? strdup("?") : NULL;

        if (status != SP_OK)
                return status;
        if (!shown)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = (struct sp__sql){.kind = SP__SQL_SESSION,
                                .dirties = true,
                                .renames = true,
                                .resolves = true,
                                .fingerprint = sp__hash(text, len, 0),
                                .text = shown};
        return SP_OK;
}

static void write_split(PgQuerySplitResult split, struct sp__buf *out)
{
        sp__buf_char(out, '[');
        for (int i = 0; i < split.n_stmts; i++) {
                const PgQuerySplitStmt *stmt = split.stmts[i];

                sp__buf_format(out, "%s[%d,%d]", i > 0 ? "," : "", stmt->stmt_location,
                               stmt->stmt_location + stmt->stmt_len);
        }
        sp__buf_char(out, ']');
}

/* Whether the parser may have it. */
static sp_status check_scan(const char *text, sp_error **error)
{
        PgQueryScanResult scanned = pg_query_scan(text);
        sp_status status = SP_OK;

        if (scanned.error)
                status = unparsable(scanned.error, error);
        else if (!sp__sql_shallow(text, tokens_of(&scanned)))
                status = sp__fail(error, SP_LIMIT, "the statement nests deeper than %d levels", SP__SQL_DEPTH);
        pg_query_free_scan_result(scanned);
        return status;
}

static void split_text(void *arg)
{
        struct errand *errand = arg;
        PgQuerySplitResult split;

        errand->status = check_scan(errand->text, errand->error);
        if (errand->status != SP_OK)
                return;
        split = pg_query_split_with_parser(errand->text);
        if (split.error)
                errand->status = unparsable(split.error, errand->error);
        else
                write_split(split, errand->split);
        pg_query_free_split_result(split);
}

/* With the text ended by a zero byte. */
static sp_status run(void (*use)(void *arg), struct errand *errand, size_t len)
{
        char *copy;
        sp_status status = copy_text(errand->text, len, &copy, errand->error);

        if (status != SP_OK)
                return status;
        errand->text = copy;
        sp__parser_enter(use, errand);
        free(copy);
        return errand->status;
}

sp_status sp__sql_split(const char *text, size_t len, struct sp__buf *out, sp_error **error)
{
        return run(split_text, &(struct errand){.text = text, .split = out, .error = error}, len);
}

sp_status sp__sql_parse(const char *text, size_t len, struct sp__sql *out, sp_error **error)
{
        return run(parse, &(struct errand){.text = text, .sql = out, .error = error}, len);
}

static void scan(void *arg)
{
        struct errand *errand = arg;
        PgQueryScanResult scanned = pg_query_scan(errand->text);
        struct sp__tokens tokens;

        errand->status = scanned.error ? SP_INVALID : SP_OK;
        if (errand->status == SP_OK) {
                tokens = tokens_of(&scanned);
                errand->use(errand->arg, errand->text, &tokens);
        }
        pg_query_free_scan_result(scanned);
}

bool sp__sql_scan(const char *text, void (*use)(void *arg, const char *text, const struct sp__tokens *tokens),
                  void *arg)
{
        struct errand errand = {.text = text, .use = use, .arg = arg};

        sp__parser_enter(scan, &errand);
        return errand.status == SP_OK;
}

static void read_text(void *arg)
{
        struct errand *errand = arg;
        PgQueryParseResult parsed = pg_query_parse(errand->text);

        errand->tree = parsed.error ? NULL : strdup(parsed.parse_tree);
        pg_query_free_parse_result(parsed);
}

char *sp__sql_tree_text(const char *text)
{
        struct errand errand = {.text = text};

        sp__parser_enter(read_text, &errand);
        return errand.tree;
}

void sp__sql_free(struct sp__sql *sql)
{
        free(sql->text);
        sql->text = NULL;
}

const char *sp__sql_kind_name(enum sp__sql_kind kind)
{
        static const char *const names[] = {"read", "write", "session", "copy"};

        return names[kind];
}
