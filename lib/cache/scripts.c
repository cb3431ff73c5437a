/* SPDX-License-Identifier: MIT */
#include "cache/scripts.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

/*
 * @e: epoch, @n: sequence, @r: the run of the server in which the epoch began. A log without epoch or sequence was lost; one
 * that began in another run may have come back from an old snapshot, which each connection asks once, before all else.
 */
static const char *const texts[SP__SCRIPTS] = {
    [SP__SCRIPT_PLACE] = "local v = redis.call('hmget', KEYS[1], '@e', '@n', '@r')\n"
                         "if v[1] and v[2] and (ARGV[3] == '0' or v[3] == ARGV[2]) then\n"
                         "  return {v[1], tonumber(v[2])}\n"
                         "end\n"
                         "redis.call('unlink', KEYS[1])\n"
                         "redis.call('hset', KEYS[1], '@e', ARGV[1], '@n', 0, '@r', ARGV[2])\n"
                         "return {ARGV[1], 0}\n",
    [SP__SCRIPT_BUMP] = "local v = redis.call('hmget', KEYS[1], '@e', '@n', '@r')\n"
                        "local e = v[1]\n"
                        "if not e or not v[2] or redis.call('hlen', KEYS[1]) > tonumber(ARGV[3]) then\n"
                        "  e = ARGV[1]\n"
                        "  redis.call('unlink', KEYS[1])\n"
                        "  redis.call('hset', KEYS[1], '@e', e, '@n', 0, '@r', ARGV[2])\n"
                        "end\n"
                        "local n = redis.call('hincrby', KEYS[1], '@n', 1)\n"
                        "local text = string.format('%.0f', n)\n"
                        "for i = 1, #ARGV[4], 800 do\n"
                        "  local words = {}\n"
                        "  for k = i, math.min(i + 799, #ARGV[4]), 8 do\n"
                        "    words[#words + 1] = string.sub(ARGV[4], k, k + 7)\n"
                        "    words[#words + 1] = text\n"
                        "  end\n"
                        "  redis.call('hset', KEYS[1], unpack(words))\n"
                        "end\n"
                        "redis.call('publish', ARGV[5], e .. ' ' .. text .. ' ' .. ARGV[4])\n"
                        "return {e, n}\n",
    [SP__SCRIPT_ACQUIRE] = "local held = redis.call('get', KEYS[2])\n"
                           "if not held or held == ARGV[1] or held == ARGV[3] then\n"
                           "  redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
                           "  return {1, redis.call('get', KEYS[1])}\n"
                           "end\n"
                           "return {0, redis.call('get', KEYS[1])}\n",
    [SP__SCRIPT_LEAD] = "redis.call('hsetnx', KEYS[3], 'id', ARGV[3])\n"
                        "local rules, id = redis.call('get', KEYS[1]), redis.call('hget', KEYS[3], 'id')\n"
                        "local held = redis.call('get', KEYS[2])\n"
                        "if held and held ~= ARGV[1] then return {0, rules, id} end\n"
                        "redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
                        "return {1, rules, id}\n",
    [SP__SCRIPT_FILL] = "if redis.call('get', KEYS[2]) ~= ARGV[1] then return 0 end\n"
                        "redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
                        "redis.call('del', KEYS[2])\n"
                        "return 1\n",
    [SP__SCRIPT_FILL_RAW] = "if redis.call('get', KEYS[2]) ~= ARGV[1] then return 0 end\n"
                            "redis.call('del', KEYS[2])\n"
                            "local there = redis.call('get', KEYS[1])\n"
                            "if (there and redis.sha1hex(there) or '') ~= ARGV[4] then return 0 end\n"
                            "redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
                            "return 1\n",
    /* A time of 0 for "kept until": one that slides is used; else the answer is what stands before the value. */
    [SP__SCRIPT_EXTEND] = "local head = redis.call('getrange', KEYS[1], 0, 175)\n"
                          "if #head < 48 or string.sub(head, 1, 2) ~= 'SP' then return 0 end\n"
                          "if string.byte(head, 3) == 0 or string.byte(head, 3) > tonumber(ARGV[1]) then return 0 end\n"
                          "local fresh, kept, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])\n"
                          "local leave, most = tonumber(ARGV[5]), (struct.unpack('<i8', string.sub(head, 41, 48)))\n"
                          "if kept == 0 then\n"
                          "  fresh = math.min(fresh, most)\n"
                          "  redis.call('setrange', KEYS[1], 32, struct.pack('<i8', fresh))\n"
                          "  redis.call('pexpire', KEYS[1], math.max(1, fresh - now))\n"
                          "  return 1\n"
                          "end\n"
                          "if string.byte(head, 4) == 0 or now >= most then return 0 end\n"
                          "if string.byte(head, 8) >= 128 then\n"
                          "  fresh, kept, leave = math.min(fresh, most), math.min(kept, most), math.min(leave, most)\n"
                          "end\n"
                          "redis.call('setrange', KEYS[1], 32, struct.pack('<i8i8', fresh, kept))\n"
                          "redis.call('pexpire', KEYS[1], math.max(1, leave - now))\n"
                          "return head\n",
    /* What was set later stays: the log's number says so, and a load of 0 ms that it was set. What stands raw has no number. */
    [SP__SCRIPT_SET] = "local there = ARGV[3] == '1' and redis.pcall('getrange', KEYS[1], 0, 23)\n"
                       "if type(there) == 'string' and #there == 24 and string.sub(there, 1, 2) == 'SP' and\n"
                       "    string.sub(there, 7, 7) == '\\0' and string.byte(there, 8) % 128 == 0 and\n"
                       "    string.sub(there, 9, 16) == string.sub(ARGV[1], 9, 16) and\n"
                       "    struct.unpack('<i8', string.sub(there, 17, 24)) >\n"
                       "    struct.unpack('<i8', string.sub(ARGV[1], 17, 24)) then\n"
                       "  return 2\n"
                       "end\n"
                       "redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                       "redis.call('unlink', KEYS[2])\n"
                       "return 1\n",
    [SP__SCRIPT_TURN] = "local done = tonumber(redis.call('get', KEYS[1]) or -1)\n"
                        "if done >= tonumber(ARGV[1]) - tonumber(ARGV[4]) then return 2 end\n"
                        "local held = redis.call('get', KEYS[2])\n"
                        "if held and held ~= ARGV[2] then return 0 end\n"
                        "redis.call('set', KEYS[2], ARGV[2], 'PX', ARGV[3])\n"
                        "return 1\n",
    [SP__SCRIPT_TURN_END] = "if redis.call('get', KEYS[2]) ~= ARGV[1] then return 0 end\n"
                            "if ARGV[3] ~= '0' then redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end\n"
                            "redis.call('unlink', KEYS[2])\n"
                            "return 1\n",
    /* What was lost, in a server that was emptied, is set again, unless another one did it meanwhile. */
    [SP__SCRIPT_TURN_KEEP] = "local held = redis.call('get', KEYS[2])\n"
                             "if held and held ~= ARGV[1] then return 0 end\n"
                             "if not held and tonumber(redis.call('get', KEYS[1]) or -1) >= tonumber(ARGV[3]) then\n"
                             "  return 0\n"
                             "end\n"
                             "redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
                             "return 1\n",
    [SP__SCRIPT_RELEASE] = ("if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end\n"
                            "return redis.call('del', KEYS[1])\n"),
};

void sp__sha1_hex(const void *data, size_t len, char *hex)
{
        unsigned char bytes[SHA_DIGEST_LENGTH];

        SHA1(data, len, bytes);
        for (int i = 0; i < SHA_DIGEST_LENGTH; i++)
                snprintf(hex + 2 * (size_t)i, 3, "%02x", bytes[i]);
}

const char *sp__script_text(enum sp__script script)
{
        return texts[script];
}

void sp__script_begin(struct sp__command *command, enum sp__script script, bool with_text, size_t keys, size_t args)
{
        char hex[2 * SHA_DIGEST_LENGTH + 1];

        sp__command_begin(command, 3 + keys + args);
        if (with_text) {
                sp__command_text(command, "EVAL");
                sp__command_text(command, texts[script]);
        } else {
                sp__sha1_hex(texts[script], strlen(texts[script]), hex);
                sp__command_text(command, "EVALSHA");
                sp__command_text(command, hex);
        }
        sp__command_int(command, (int64_t)keys);
}
