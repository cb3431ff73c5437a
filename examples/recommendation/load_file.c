/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load_file {
        char *kinds[LOAD_FILE_KINDS];
        struct load_request *all;
        size_t count, capacity;
};

/* -1: there are too many. */
static int kind_of(struct load_file *file, const char *name)
{
        for (int i = 0; i < LOAD_FILE_KINDS; i++) {
                if (!file->kinds[i])
                        file->kinds[i] = strdup(name);
                if (strcmp(file->kinds[i], name) == 0)
                        return LOAD_KINDS + i;
        }
        return -1;
}

static void add(struct load_request *request, const char *text)
{
        size_t left = sizeof request->text - request->len, len = strlen(text);

        if (len > left)
                len = left;
        memcpy(request->text + request->len, text, len);
        request->len += len;
}

static void add_all(struct load_request *request, const char *const texts[])
{
        for (size_t i = 0; texts[i]; i++)
                add(request, texts[i]);
}

/* False: a member is missing, or it is too long. */
static bool compose(struct load_request *request, const json_t *line)
{
        const char *method = json_string_value(json_object_get(line, "method")),
                   *path = json_string_value(json_object_get(line, "path"));
        json_t *headers = json_object_get(line, "headers"), *value;
        char *body = json_dumps(json_object_get(line, "body"), JSON_COMPACT), length[32];
        const char *name;

        if (!method || !path)
                return false;
        add_all(request, (const char *[]){method, " ", path, " HTTP/1.1\r\nHost: localhost\r\n", NULL});
        json_object_foreach(headers, name, value)
            add_all(request, (const char *[]){name, ": ", json_string_value(value), "\r\n", NULL});
        snprintf(length, sizeof length, "%zu", body ? strlen(body) : 0);
        if (strcmp(method, "GET") == 0)
                add(request, "\r\n");
        else
                add_all(request, (const char *[]){"Content-Type: application/json\r\nContent-Length: ", length,
                                                  "\r\n\r\n", body ? body : "", NULL});
        free(body);
        request->may_be_absent = json_is_true(json_object_get(line, "absent"));
        return request->len < sizeof request->text;
}

static struct load_request *next_place(struct load_file *file)
{
        if (file->count == file->capacity) {
                size_t capacity = file->capacity ? file->capacity * 2 : 256;
                struct load_request *grown = realloc(file->all, capacity * sizeof *grown);

                if (!grown)
                        abort();
                file->all = grown;
                file->capacity = capacity;
        }
        memset(&file->all[file->count], 0, sizeof *file->all);
        return &file->all[file->count];
}

static bool take(struct load_file *file, const char *text)
{
        struct load_request *request = next_place(file);
        json_t *line = json_loads(text, 0, NULL);
        const char *name = json_string_value(json_object_get(line, "kind"));
        int kind = name ? kind_of(file, name) : -1;
        bool good = kind >= 0 && compose(request, line);

        json_decref(line);
        request->kind = (enum load_kind)kind;
        file->count += good;
        return good;
}

struct load_file *load_file_read(const char *path)
{
        struct load_file *file = calloc(1, sizeof *file);
        FILE *in = fopen(path, "r");
        char *line = NULL;
        size_t capacity = 0;
        bool good = file && in;

        if (!in)
                fprintf(stderr, "recommendation-load: %s: %s\n", path, strerror(errno));
        while (good && getline(&line, &capacity, in) > 0) {
                good = take(file, line);
                if (!good)
                        fprintf(stderr, "recommendation-load: %s:%zu: not a request\n", path, file->count + 1);
        }
        free(line);
        if (in)
                fclose(in);
        if (good && file->count > 0)
                return file;
        load_file_free(file);
        return NULL;
}

void load_file_free(struct load_file *file)
{
        if (!file)
                return;
        for (size_t i = 0; i < LOAD_FILE_KINDS; i++)
                free(file->kinds[i]);
        free(file->all);
        free(file);
}

void load_file_get(const struct load_file *file, int64_t at, struct load_request *out)
{
        int64_t due = out->due;
        int user = out->user;

        *out = file->all[(size_t)at % file->count];
        out->due = due;
        out->user = user;
}

const char *load_file_kind(const struct load_file *file, size_t kind)
{
        return kind >= LOAD_KINDS && kind < LOAD_KINDS_ALL ? file->kinds[kind - LOAD_KINDS] : NULL;
}
