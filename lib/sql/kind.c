/* SPDX-License-Identifier: MIT */
#include "sql/kind.h"

#include <string.h>
#include <strings.h>

enum {
        SESSION = 1,
        TX = 2,
        DIRTIES = 4,
        COPY = 8,
        READ = 16,
        QUERY = 32,
        SETTING = 64,
        COMMITS = 128,
        ALTERS = 256,
        STAYS = 1024,
        KEEPS = 512 /* changes no name and no type */
};

/* Statements that are named here; every other one changes the schema or the server, and is a write. */
static const struct {
        const char *name;
        unsigned traits;
} statements[] = {
    {"SelectStmt", READ | QUERY},
    {"InsertStmt", QUERY},
    {"UpdateStmt", QUERY},
    {"DeleteStmt", QUERY},
    {"MergeStmt", QUERY},
    {"VariableShowStmt", READ},
    {"CallStmt", COMMITS},
    {"DoStmt", COMMITS | ALTERS},
    {"CopyStmt", COPY},
    {"TransactionStmt", SESSION | TX},
    {"ConstraintsSetStmt", SESSION},
    {"LockStmt", SESSION},
    {"VariableSetStmt", SESSION | DIRTIES | SETTING},
    {"DiscardStmt", SESSION | DIRTIES},
    {"ListenStmt", SESSION | DIRTIES},
    {"UnlistenStmt", SESSION | DIRTIES},
    {"PrepareStmt", SESSION | DIRTIES},
    {"ExecuteStmt", SESSION},
    {"DeallocateStmt", SESSION | DIRTIES},
    {"DeclareCursorStmt", SESSION},
    {"FetchStmt", SESSION},
    {"ClosePortalStmt", SESSION},
    {"LoadStmt", SESSION | DIRTIES | STAYS},
    {"AlterSystemStmt", SETTING},
    {"AlterRoleSetStmt", SETTING},
    {"AlterDatabaseSetStmt", SETTING},
    {"TruncateStmt", KEEPS},
    {"VacuumStmt", KEEPS},
    {"ReindexStmt", KEEPS},
    {"ClusterStmt", KEEPS},
    {"IndexStmt", KEEPS},
    {"RefreshMatViewStmt", KEEPS},
    {"CheckPointStmt", KEEPS},
    {"NotifyStmt", KEEPS},
    {"GrantStmt", KEEPS},
    {"CommentStmt", KEEPS},
};

static unsigned traits_of(const char *name)
{
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
                if (strcmp(name, statements[i].name) == 0)
                        return statements[i].traits;
        }
        return 0;
}

/* SET TRANSACTION and SET LOCAL end with the transaction. */
static bool outlives_transaction(const struct sp__tree *tree)
{
        return !tree->local && strncmp(tree->name, "TRANSACTION", 11) != 0;
}

static void classify_setting(const struct sp__tree *tree, struct sp__sql *out)
{
        out->kind = SP__SQL_SESSION;
        out->dirties = outlives_transaction(tree);
        out->tx = strncmp(tree->name, "TRANSACTION", 11) == 0;
        out->stays = strcasecmp(tree->name, "seed") == 0;
        /* Without a name: RESET ALL. */
        out->renames = !*tree->name || sp__setting_renames(tree->name);
}

/* What runs: EXPLAIN without ANALYZE only plans. */
static bool plans_only(const struct sp__tree *tree)
{
        return strcmp(tree->top, "ExplainStmt") == 0 && !tree->analyze;
}

void sp__sql_classify(const struct sp__tree *tree, struct sp__sql *out)
{
        bool explain = strcmp(tree->top, "ExplainStmt") == 0;
        unsigned traits = traits_of(explain ? tree->inner : tree->top);

        out->alters = !explain && (traits == 0 || (traits & ALTERS) || tree->into);
        out->resolves = (traits & (QUERY | COMMITS)) != 0;
        if (strcmp(tree->top, "VariableSetStmt") == 0) {
                classify_setting(tree, out);
                return;
        }
        if (plans_only(tree)) {
                /* EXPLAIN EXECUTE needs the session that prepared it; nothing else that is planned does. */
                out->kind =
                    strcmp(tree->inner, "ExecuteStmt") == 0 || tree->temp_schema ? SP__SQL_SESSION : SP__SQL_READ;
                return;
        }
        out->session_function = tree->fn_session;
        out->clock = tree->clock;
        out->commits = (traits & COMMITS) != 0;
        out->stays = (traits & STAYS) || tree->fn_stays;
        out->renames = tree->fn_renames;
        out->obscure = out->commits || tree->fn_obscure;
        out->tx = (traits & TX) != 0;
        out->dirties = (traits & DIRTIES) || tree->fn_dirties || tree->temporary || tree->hold ||
                       (tree->temp_schema && !(traits & QUERY));
        if (traits & COPY)
                out->kind = SP__SQL_COPY;
        else if ((traits & SESSION) || out->session_function || out->dirties || tree->temp_schema)
                out->kind = SP__SQL_SESSION;
        else if ((traits & READ) && !tree->modifies && !tree->locks && !tree->into && !tree->fn_writes)
                out->kind = SP__SQL_READ;
        else
                out->kind = SP__SQL_WRITE;
}

bool sp__sql_is_query(const struct sp__tree *tree)
{
        return (traits_of(tree->top) & QUERY) != 0;
}

bool sp__sql_is_setting(const struct sp__tree *tree)
{
        return (traits_of(tree->top) & SETTING) != 0;
}
