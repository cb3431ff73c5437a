/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often the table must have a token. ALIKE: as often as the first of its transaction, not more than once. */
enum fate { NEVER, ONCE, PERHAPS, ALIKE };

enum { OPEN_MAX = 64 };

struct entry {
        unsigned char fate, found, verb;
        int64_t first; /* ALIKE: the first of its transaction */
};

struct ledger {
        int64_t tokens;
        struct entry *entries;
        int wrong;
};

/* What a transaction has done so far. */
struct part {
        const struct deed *deed;
        bool vague; /* it may have been taken back */
};

struct mark {
        unsigned savepoint, parts;
};

struct state {
        struct ledger *ledger;
        bool open;  /* a transaction is */
        bool sure;  /* … and its caller was told so */
        bool vague; /* … or is not: nobody was told */
        struct part parts[OPEN_MAX];
        unsigned count;
        struct mark marks[OPEN_MAX];
        unsigned marked;
};

static const char *const words[VERBS] = {
    "BEGIN",          "COMMIT",           "ROLLBACK", "SAVEPOINT", "ROLLBACK TO", "RELEASE", "BEGIN as text",
    "COMMIT as text", "ROLLBACK as text", "INSERT",   "a batch",   "COPY",        "1/0",     "a read"};

void deed_told(struct deed *deed, sp_status status, const sp_error *error, const sp_result *result)
{
        deed->told = status;
        snprintf(deed->code, sizeof deed->code, "%s", error ? sp_error_code(error) : "");
        deed->undone = deed->verb == VERB_COMMIT_TEXT && result && strcmp(sp_result_command(result), "COMMIT") != 0;
}

bool verb_bounds(enum verb verb)
{
        return verb <= VERB_ROLLBACK || verb == VERB_BEGIN_TEXT || verb == VERB_COMMIT_TEXT ||
               verb == VERB_ROLLBACK_TEXT;
}

struct ledger *ledger_new(int64_t tokens)
{
        struct ledger *ledger = calloc(1, sizeof *ledger);

        ledger->tokens = tokens;
        ledger->entries = calloc((size_t)tokens, sizeof *ledger->entries);
        return ledger;
}

void ledger_free(struct ledger *ledger)
{
        free(ledger->entries);
        free(ledger);
}

static void wrong(struct ledger *ledger, const struct deed *deed, const char *why)
{
        printf("# %s (%s %s, token %lld): %s\n", words[deed->verb], sp_status_name(deed->told), deed->code,
               (long long)deed->token, why);
        ledger->wrong++;
}

static void set(struct ledger *ledger, const struct deed *deed, enum fate fate, int64_t first)
{
        for (int i = 0; i < deed->tokens; i++)
                ledger->entries[deed->token + i] =
                    (struct entry){.fate = (unsigned char)fate, .verb = (unsigned char)deed->verb, .first = first};
}

/* It says for certain that nothing was done. */
static bool failed(const struct deed *deed)
{
        return deed->undone || deed->told == SP_SQL || deed->told == SP_UNAVAILABLE || deed->told == SP_INVALID;
}

/* By itself, in no transaction. */
static void judge_alone(struct state *state, const struct deed *deed)
{
        set(state->ledger, deed, failed(deed) ? NEVER : deed->told == SP_OK ? ONCE : PERHAPS, 0);
}

static void settle(struct state *state, const struct part *part, enum fate fate, int64_t first)
{
        if (part->vague && fate != NEVER)
                set(state->ledger, part->deed, PERHAPS, 0);
        else
                set(state->ledger, part->deed, fate, first);
}

static int64_t first_of(const struct state *state)
{
        for (unsigned i = 0; i < state->count; i++) {
                if (!state->parts[i].vague && state->parts[i].deed->tokens > 0)
                        return state->parts[i].deed->token;
        }
        return 0;
}

static void close(struct state *state, enum fate fate)
{
        int64_t first = first_of(state);

        for (unsigned i = 0; i < state->count; i++)
                settle(state, &state->parts[i], fate, first);
        state->count = state->marked = 0;
        state->open = state->sure = false;
}

static const struct deed *failure(const struct state *state)
{
        for (unsigned i = 0; i < state->count; i++) {
                if (!state->parts[i].vague && failed(state->parts[i].deed))
                        return state->parts[i].deed;
        }
        return NULL;
}

/* It has all that it was given, whatever that was told. */
static void committed(struct state *state, const struct deed *deed)
{
        const struct deed *without = failure(state);

        if (without) {
                wrong(state->ledger, deed, "it took effect without what failed in it, which is");
                wrong(state->ledger, without, "this");
        }
        close(state, ONCE);
}

static void end(struct state *state, const struct deed *deed)
{
        bool commits = deed->verb == VERB_COMMIT || deed->verb == VERB_COMMIT_TEXT;

        if (deed->told == SP_INVALID && state->open && state->sure && !state->vague)
                wrong(state->ledger, deed, "a transaction is open");
        if (deed->told == SP_OK && commits && !deed->undone) {
                committed(state, deed);
        } else if (deed->told == SP_OK || failed(deed)) {
                close(state, NEVER);
        } else {
                close(state, failure(state) ? NEVER : ALIKE);
                state->vague = true;
        }
}

static void add(struct state *state, const struct deed *deed)
{
        if (state->open)
                state->parts[state->count++] = (struct part){.deed = deed};
}

static void mark(struct state *state, const struct deed *deed)
{
        if (failed(deed))
                add(state, deed);
        else if (state->open)
                state->marks[state->marked++] = (struct mark){deed->savepoint, state->count};
}

static unsigned find(const struct state *state, const struct deed *deed)
{
        unsigned at = 0;

        while (at < state->marked && state->marks[at].savepoint != deed->savepoint)
                at++;
        return at;
}

static void back(struct state *state, const struct deed *deed)
{
        unsigned at = find(state, deed), from;

        if (failed(deed)) {
                add(state, deed);
                return;
        }
        if (at == state->marked) {
                if (deed->told == SP_OK && !state->vague)
                        wrong(state->ledger, deed, "there is no such savepoint");
                return;
        }
        from = state->marks[at].parts;
        for (unsigned i = from; i < state->count; i++) {
                state->parts[i].vague = true;
                if (deed->told == SP_OK)
                        settle(state, &state->parts[i], NEVER, 0);
        }
        if (deed->told != SP_OK)
                return;
        state->count = from;
        state->marked = at + 1;
}

static void release(struct state *state, const struct deed *deed)
{
        if (deed->told == SP_OK)
                state->marked = find(state, deed);
        else
                add(state, deed);
}

/* What may come of each while callers give up and connections go. */
static bool fits(const struct deed *deed)
{
        const char *code = deed->code;

        switch (deed->told) {
        case SP_OK:
                return deed->verb != VERB_FAIL;
        case SP_SQL:
                /* 25P02: its transaction had failed. */
                if (strcmp(code, "25P02") == 0)
                        return true;
                if (deed->verb == VERB_FAIL)
                        return strcmp(code, "22012") == 0;
                return (deed->verb == VERB_SAVEPOINT || deed->verb == VERB_BACK || deed->verb == VERB_RELEASE) &&
                       (strcmp(code, "25P01") == 0 || strcmp(code, "3B001") == 0);
        case SP_INVALID:
                return deed->verb == VERB_BEGIN || deed->verb == VERB_COMMIT;
        default:
                return deed->told == SP_UNAVAILABLE || deed->told == SP_LOST || deed->told == SP_TIMEOUT ||
                       deed->told == SP_CANCELLED;
        }
}

static void judge(struct state *state, const struct deed *deed)
{
        if (!fits(deed))
                wrong(state->ledger, deed, "that is no answer to it");
        switch (deed->verb) {
        case VERB_BEGIN_TEXT:
                /* Late, it may have begun or not, and the session goes on. */
                if (deed->told != SP_OK && !failed(deed) && !state->open) {
                        state->vague = true;
                        break;
                }
                /* fall through */
        case VERB_BEGIN:
                /* Where it is late the server may have it all the same. */
                state->open |= !failed(deed);
                state->sure |= deed->told == SP_OK;
                break;
        case VERB_COMMIT:
        case VERB_COMMIT_TEXT:
        case VERB_ROLLBACK:
        case VERB_ROLLBACK_TEXT:
                end(state, deed);
                break;
        case VERB_SAVEPOINT:
                mark(state, deed);
                break;
        case VERB_BACK:
                back(state, deed);
                break;
        case VERB_RELEASE:
                release(state, deed);
                break;
        default:
                if (state->vague)
                        set(state->ledger, deed, failed(deed) ? NEVER : PERHAPS, 0);
                else if (state->open)
                        add(state, deed);
                else
                        judge_alone(state, deed);
        }
}

static void show(const struct deed *deeds, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                printf("#     %s %s%s %s\n", words[deeds[i].verb], sp_status_name(deeds[i].told),
                       deeds[i].undone ? ", undone" : "", deeds[i].code);
}

void ledger_judge(struct ledger *ledger, const struct deed *deeds, unsigned count)
{
        struct state state = {.ledger = ledger};
        int before = ledger->wrong;

        for (unsigned i = 0; i < count; i++)
                judge(&state, &deeds[i]);
        /* What is open when a session is given back is rolled back. */
        close(&state, NEVER);
        if (ledger->wrong > before)
                show(deeds, count);
}

void ledger_found(struct ledger *ledger, int64_t token)
{
        ledger->entries[token].found++;
}

int ledger_wrong(struct ledger *ledger)
{
        for (int64_t i = 0; i < ledger->tokens; i++) {
                const struct entry *entry = &ledger->entries[i];
                int fate = entry->fate, found = entry->found;
                bool alike = fate != ALIKE || found == ledger->entries[entry->first].found;

                if (found <= 1 && alike && (fate == PERHAPS || fate == ALIKE || found == (fate == ONCE)))
                        continue;
                printf("# token %lld of %s is there %d times, and was told %s\n", (long long)i, words[entry->verb],
                       found,
                       fate == NEVER     ? "never"
                       : fate == ONCE    ? "once"
                       : fate == PERHAPS ? "perhaps"
                                         : "to be there as the others of its transaction are");
                ledger->wrong++;
        }
        return ledger->wrong;
}
