/* SPDX-License-Identifier: MIT */
#include "redis/resolve.h"

#include <netdb.h>
#include <sys/socket.h>

static void run(struct sp__task *task)
{
        struct sp__resolve *resolve = SP__OF(task, struct sp__resolve, task);
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
        int code = getaddrinfo(resolve->address->host, NULL, &hints, &found);

        if (code == 0)
                code = getnameinfo(found->ai_addr, found->ai_addrlen, resolve->number, sizeof resolve->number, NULL, 0,
                                   NI_NUMERICHOST);
        if (found)
                freeaddrinfo(found);
        resolve->reason = code == 0 ? NULL : gai_strerror(code);
        resolve->then(resolve);
}

void sp__resolve_start(struct sp__resolve *resolve, struct sp__engine *engine)
{
        sp__list_init(&resolve->task.link);
        resolve->task.run = run;
        sp__engine_offload(engine, &resolve->task);
}
