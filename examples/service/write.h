/* SPDX-License-Identifier: MIT */
/**
 * Writes: one statement, then what the rules say of the row that it changed goes from the cache, then the answer. Who gets the
 * answer and reads again of this process sees the write, of another one of the namespace within cache.bound; also when it is unknown
 * whether it took effect, unless it does only after that: then the change feed drops it again.
 *
 * The row is told from the request, before the statement runs. The answer is the first cell. Further columns tell more of the
 * row: a column's name its value, "was_" before it the one that it had. Two are none of the row's: "refused" is why nothing was
 * written (400); "also" names, in each row of the result, another answer that is to go (`also` of the writing). What the row leaves open (an update whose outcome is unknown) costs the whole namespace: it is never taken for
 * unchanged.
 */
#ifndef SERVICE_WRITE_H
#define SERVICE_WRITE_H

#include "work.h"

#include <jansson.h>

/* The body as an object; NULL, and the call is answered, when it is none. To be given back by json_decref(). */
json_t *body_parse(struct http_call *call);
/* A member of the body that is an id; NULL when it is none. */
const char *body_id(const json_t *body, const char *name);
/* The same of a name or an address, which may have a slash. */
const char *body_word(const json_t *body, const char *name);
/* Whether it is there; null is nothing. */
bool body_has(const json_t *body, const char *name);
/* A text that is not empty; NULL when it is none. */
const char *body_text(const json_t *body, const char *name);
/* What a member of the body may be that need not be there. */
enum body_kind { BODY_ID, BODY_TEXT, BODY_ANY_TEXT, BODY_FLAG };
/* False, and the call is answered with what it may be: it is there, and something else. What is not there, or null, is nothing. */
bool body_may(struct http_call *call, const json_t *body, const char *name, enum body_kind kind);
/* "true" or "false"; NULL when it is neither. */
const char *body_flag(const json_t *body, const char *name);
/* Whether the word is one of the list, which ends with NULL. */
bool word_of(const char *word, const char *const list[]);

enum { ID_SIZE = 37 };
/* A random UUID, for rows whose id the caller leaves to us: the rules need it even if the outcome is unknown. */
void id_make(char id[ID_SIZE]);

/* NULL, and the call is answered, when out of memory. */
struct work *write_new(struct service *service, struct http_call *call, const struct writing *writing);
/* A parameter that is a column of the row; one that an update leaves as it is. NULL: as work_param(). */
void write_column(struct work *work, const char *column, const char *text);
/* The same of a column that an update changes; NULL: it stays. */
void write_change(struct work *work, const char *column, const char *text);
void write_run(struct work *work);
/* It succeeded, or nobody knows: then what it may have changed has to go from the cache. */
bool write_may_have_happened(sp_status status);

#endif
