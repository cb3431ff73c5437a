/* SPDX-License-Identifier: MIT */
/*
 * Hits in process as they cross. What JavaScript made of a value is kept there, at a place that is known here beside the value: as
 * long as the cache's answer is that very value (a reference is kept, so no other can lie where it lies), its place is all that
 * crosses. A value that finds the places of its set taken has one at its second miss in a row there.
 */
#include "watch_internal.h"

/* Of text and JSON: longer ones, or more of them, are made anew at each hit. */
enum { KEPT_VALUE = 4096, KEPT_BYTES = 4 << 20 };

static struct sp_near_set *set_of(sp_watch *watch, const sp_value *value)
{
        return &watch->near[((uintptr_t)value >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - SP_NEAR_BITS)];
}

static double place_of(const sp_watch *watch, const struct sp_near_set *set, unsigned way)
{
        return (double)((set - watch->near) * SP_NEAR_WAYS + way);
}

static void drop(sp_watch *watch, sp_value **kept)
{
        size_t len;

        if (*kept == NULL)
                return;
        sp_value_data(*kept, &len);
        watch->near_bytes -= len;
        sp_value_unref(*kept);
        *kept = NULL;
}

void sp__watch_forget_near(sp_watch *watch)
{
        for (size_t i = 0; i < SP_NEAR_SETS; i++) {
                for (unsigned way = 0; way < SP_NEAR_WAYS; way++)
                        drop(watch, &watch->near[i].kept[way]);
        }
}

/* Where JavaScript is to keep what it makes of the value; -1: nowhere. */
static double keep(sp_watch *watch, sp_value *value, size_t len)
{
        struct sp_near_set *set = set_of(watch, value);
        unsigned way = 0;

        if (len > KEPT_VALUE)
                return -1;
        while (way < SP_NEAR_WAYS && set->kept[way] != NULL)
                way++;
        if (way == SP_NEAR_WAYS && set->rival != value) {
                set->rival = value;
                return -1;
        }
        if (way == SP_NEAR_WAYS) {
                way = set->next;
                set->next = (way + 1) % SP_NEAR_WAYS;
                drop(watch, &set->kept[way]);
        }
        if (watch->near_bytes + len > KEPT_BYTES)
                return -1;
        set->kept[way] = sp_value_ref(value);
        watch->near_bytes += len;
        return place_of(watch, set, way);
}

/* Its place; -1: it has none. */
static double find(sp_watch *watch, const sp_value *value)
{
        struct sp_near_set *set = set_of(watch, value);

        for (unsigned way = 0; way < SP_NEAR_WAYS; way++) {
                if (set->kept[way] == value) {
                        set->rival = NULL;
                        return place_of(watch, set, way);
                }
        }
        return -1;
}

/* A string (text, JSON), or a Buffer; its codec in cell 1, its place in cell 2. */
static napi_value bring(napi_env env, sp_watch *watch, sp_value *value)
{
        uint32_t codec = sp_value_codec(value);
        napi_value made = NULL;
        size_t len;
        const void *data = sp_value_data(value, &len);

        watch->cells[1] = codec;
        watch->cells[2] = -1;
        if (codec == SP_CODEC_TEXT || codec == SP_CODEC_JSON) {
                if (napi_create_string_utf8(env, data, len, &made) == napi_ok)
                        watch->cells[2] = keep(watch, value, len);
        } else {
                napi_create_buffer_copy(env, len, data, NULL, &made);
        }
        return made;
}

static bool key_of(napi_env env, napi_value key, char room[SP_KEY_MAX + 1], const void **data, size_t *len)
{
        void *bytes;

        *data = room;
        if (napi_get_value_string_utf8(env, key, room, SP_KEY_MAX + 1, len) == napi_ok)
                return *len < SP_KEY_MAX;
        if (napi_get_typedarray_info(env, key, NULL, len, &bytes, NULL, NULL) != napi_ok)
                return false;
        *data = bytes;
        return true;
}

static napi_value near_hit(napi_env env, napi_callback_info info)
{
        char room[SP_KEY_MAX + 1];
        napi_value key, made = NULL;
        size_t count = 1, len;
        sp_value *value;
        const void *data;
        void *is;
        sp_watch *watch;
        double place;

        if (napi_get_cb_info(env, info, &count, &key, NULL, &is) != napi_ok)
                return NULL;
        watch = is;
        if (!key_of(env, key, room, &data, &len) || sp_cache_peek(watch->near_cache, data, len, &value) != 1)
                return NULL;
        place = find(watch, value);
        if (place >= 0)
                napi_create_uint32(env, (uint32_t)place, &made);
        else
                made = bring(env, watch, value);
        sp_value_unref(value);
        return made;
}

napi_value sp_watch_near(napi_env env, sp_watch *watch, sp_cache *cache)
{
        napi_value made = NULL;

        watch->near_cache = cache;
        if (napi_create_function(env, "near", NAPI_AUTO_LENGTH, near_hit, watch, &made) != napi_ok)
                napi_throw_error(env, "SP_INTERNAL", "no function could be made");
        return made;
}
