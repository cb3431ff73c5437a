/* SPDX-License-Identifier: MIT */
#include "pg/command.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 20, PIECE = 4096 };

extern char **environ;

/* Copies one word without its quotation marks; NULL: one is left open. */
static const char *take_word(const char *at, char **to)
{
        char quote = 0;

        for (; *at && (quote || (*at != ' ' && *at != '\t')); at++) {
                if (!quote && (*at == '\'' || *at == '"'))
                        quote = *at;
                else if (quote && *at == quote)
                        quote = 0;
                else if (*at == '\\' && quote != '\'' && at[1])
                        *(*to)++ = *++at;
                else
                        *(*to)++ = *at;
        }
        *(*to)++ = 0;
        return quote ? NULL : at;
}

char **sp__command_words(const char *text)
{
        size_t room = strlen(text) + 2, count = 0;
        char **words = malloc((room / 2 + 1) * sizeof *words + room);
        char *to = words ? (char *)(words + room / 2 + 1) : NULL;

        for (text += words ? strspn(text, " \t") : 0; words && *text; text += strspn(text, " \t")) {
                words[count++] = to;
                text = take_word(text, &to);
                if (!text)
                        break;
        }
        if (words && text && count > 0) {
                words[count] = NULL;
                return words;
        }
        free(words);
        return NULL;
}

static void set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, int out)
{
        sigset_t none, all;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(files);
        posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
        /* What it complains of may quote what it should keep to itself. */
        posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 34)
        posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
#endif
        posix_spawnattr_init(how);
        /* Our own threads block every signal. A group of its own: its children end with it. */
        posix_spawnattr_setsigmask(how, &none);
        posix_spawnattr_setsigdefault(how, &all);
        posix_spawnattr_setpgroup(how, 0);
        posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static bool start(char *const *words, int out, pid_t *pid)
{
        posix_spawn_file_actions_t files;
        posix_spawnattr_t how;
        int code;

        set_up(&files, &how, out);
        code = posix_spawnp(pid, words[0], &files, &how, words, environ);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&how);
        return code == 0;
}

static bool over(const atomic_bool *stop, int64_t until)
{
        return (stop && atomic_load(stop)) || sp__now() >= until;
}

/* NULL: its output ended. */
static const char *read_all(int fd, const atomic_bool *stop, int64_t until, struct sp__buf *out)
{
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        ssize_t got;

        /* At once: what is moved would be left behind. */
        if (!sp__buf_room(out, SP__COMMAND_OUTPUT + PIECE))
                return "memory is short";
        while (!over(stop, until)) {
                if (poll(&poller, 1, LOOK_MS) <= 0)
                        continue;
                got = read(fd, out->data + out->len, PIECE);
                if (got == 0)
                        return NULL;
                out->len += got > 0 ? (size_t)got : 0;
                if (out->len > SP__COMMAND_OUTPUT)
                        return "it printed more than 16 KiB";
        }
        return "it did not end in time";
}

/* The host's own handler for SIGCHLD may have been first: then what it printed has to do. */
static const char *await(pid_t pid, const atomic_bool *stop, int64_t until)
{
        pid_t got;
        int how;

        while ((got = waitpid(pid, &how, WNOHANG)) == 0 && !over(stop, until))
                poll(NULL, 0, 1);
        if (got == 0)
                return "it did not end in time";
        return got < 0 || (WIFEXITED(how) && WEXITSTATUS(how) == 0) ? NULL : "it failed";
}

const char *sp__command_run(char *const *words, const atomic_bool *stop, struct sp__buf *out)
{
        int64_t until = sp__after_ms(sp__now(), SP__COMMAND_MS);
        const char *why;
        int ends[2];
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) != 0)
                return "no descriptor is left";
        if (!start(words, ends[1], &pid)) {
                close(ends[0]);
                close(ends[1]);
                return "it cannot be started";
        }
        close(ends[1]);
        why = read_all(ends[0], stop, until, out);
        close(ends[0]);
        if (!why)
                why = await(pid, stop, until);
        if (!why)
                return NULL;
        if (kill(-pid, SIGKILL) == 0)
                waitpid(pid, NULL, 0);
        return why;
}
