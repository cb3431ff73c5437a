/* SPDX-License-Identifier: MIT */
/* Functions whose call alone says more than "SELECT". Those of transaction scope (pg_advisory_xact_lock) are plain. */
#include "sql/tree.h"

#include <string.h>
#include <strings.h>

enum {
        READS = SP__FUNCTION_SESSION,
        LEAVES = SP__FUNCTION_SESSION | SP__FUNCTION_DIRTIES,
        STAYS = LEAVES | SP__FUNCTION_STAYS,
        WRITES = SP__FUNCTION_WRITES
};

static const struct {
        const char *name; /* a `*` at the end stands for the rest */
        unsigned effects;
} functions[] = {
    {"set_config", LEAVES | SP__FUNCTION_SETS},
    {"setseed", STAYS},
    {"pg_advisory_lock", LEAVES},
    {"pg_advisory_lock_shared", LEAVES},
    {"pg_try_advisory_lock", LEAVES},
    {"pg_try_advisory_lock_shared", LEAVES},
    {"pg_advisory_unlock", LEAVES},
    {"pg_advisory_unlock_shared", LEAVES},
    {"pg_advisory_unlock_all", LEAVES},
    {"dblink_*", STAYS},
    {"postgres_fdw_disconnect*", LEAVES},
    {"pg_replication_origin_session_*", STAYS},
    {"pg_replication_origin_xact_*", LEAVES},
    {"currval", READS},
    {"lastval", READS},
    {"pg_export_snapshot", READS},
    {"lo_open", READS},
    {"lo_close", READS},
    {"lo_lseek*", READS},
    {"lo_tell*", READS},
    {"lo_truncate*", READS | WRITES},
    {"loread", READS},
    {"lowrite", READS | WRITES},
    {"nextval", WRITES},
    {"setval", WRITES},
    {"pg_notify", WRITES},
    {"lo_creat", WRITES},
    {"lo_create", WRITES},
    {"lo_from_bytea", WRITES},
    {"lo_put", WRITES},
    {"lo_import", WRITES},
    {"lo_export", WRITES},
    {"lo_unlink", WRITES},
    {"pg_cancel_backend", WRITES},
    {"pg_terminate_backend", WRITES},
    {"pg_reload_conf", WRITES},
    {"pg_rotate_logfile", WRITES},
    {"pg_promote", WRITES},
    {"pg_switch_wal", WRITES},
    {"pg_create_*", WRITES},
    {"pg_drop_*", WRITES},
    {"pg_copy_*", WRITES},
    {"pg_logical_emit_message", WRITES},
    {"pg_logical_slot_get_*", WRITES},
    {"pg_replication_slot_advance", WRITES},
    {"pg_replication_origin_*", WRITES},
    {"pg_stat_reset*", WRITES},
    {"pg_stat_statements_reset", WRITES},
    {"pg_wal_replay_*", WRITES},
    {"dblink", WRITES},
    {"now", SP__FUNCTION_CLOCK},
    {"transaction_timestamp", SP__FUNCTION_CLOCK},
    {"age", SP__FUNCTION_CLOCK}, /* of one argument: from today on */
    {"txid_current", SP__FUNCTION_CLOCK},
    {"txid_current_if_assigned", SP__FUNCTION_CLOCK},
    {"pg_current_xact_id*", SP__FUNCTION_CLOCK},
};

unsigned sp__function_effects(const char *schema, const char *name)
{
        bool own = *schema && strcmp(schema, "pg_catalog") != 0;

        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
                const char *known = functions[i].name;
                size_t len = strlen(known);

                if (known[len - 1] == '*' ? strncmp(name, known, len - 1) == 0 : strcmp(name, known) == 0)
                        return functions[i].effects | (own ? SP__FUNCTION_OBSCURE : 0u);
        }
        return !own && sp__function_harmless(name) ? 0 : SP__FUNCTION_OBSCURE;
}

bool sp__setting_renames(const char *name)
{
        static const char *const settings[] = {"search_path", "role", "session_authorization"};

        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
                size_t len = strlen(settings[i]);

                if (strncasecmp(name, settings[i], len) == 0 && (name[len] == 0 || name[len] == '"'))
                        return true;
        }
        return false;
}
