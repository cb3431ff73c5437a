/* SPDX-License-Identifier: MIT */
#include "loop/resolve.h"

#include <netdb.h>
#include <sys/socket.h>

static int take(const struct addrinfo *found, struct sp__numbers *out)
{
        int code = 0;

        out->count = 0;
        for (; found && code == 0 && out->count < SP__NUMBERS_MAX; found = found->ai_next) {
                code = getnameinfo(found->ai_addr, found->ai_addrlen, out->text[out->count], SP__NUMBER_LEN, NULL, 0,
                                   NI_NUMERICHOST);
                out->count += code == 0;
        }
        return out->count > 0 ? 0 : code;
}

const char *sp__resolve(const char *host, struct sp__numbers *out)
{
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
        int code = getaddrinfo(host, NULL, &hints, &found);

        if (code == 0)
                code = take(found, out);
        if (found)
                freeaddrinfo(found);
        return code == 0 ? NULL : gai_strerror(code);
}

static void run(struct sp__task *task)
{
        struct sp__resolving *resolving = SP__OF(task, struct sp__resolving, task);

        resolving->reason = sp__resolve(resolving->host, &resolving->numbers);
        resolving->then(resolving);
}

void sp__resolve_start(struct sp__resolving *resolving, struct sp__engine *engine)
{
        sp__list_init(&resolving->task.link);
        resolving->task.run = run;
        sp__engine_offload(engine, SP__ASIDE_LONG, &resolving->task);
}
