/* SPDX-License-Identifier: MIT */
/* Every statement and key of the service. The answers are built by PostgreSQL: a cached value is a response's body. */
#include "service.h"

#include <string.h>

/*
 * $1 user, $2 how many. Contents that share a tag with the user's interests, best score first; the best of all for a
 * user without interests. Tags are as skewed as traffic is, so there are two ways. `near` walks down the index of
 * scores: users with a common interest have their list after a few dozen steps. Who finds too few among the first 1,000
 * has rare tags alone, and `far` reads all contents under them: few, for the same reason. Either way it is exact. The
 * limits are subselects so that one generic plan serves every limit, and OFFSET 0 keeps the planner from turning a few
 * index reads into a scan.
 */
static const char recommendations_text[] =
    "WITH wanted AS MATERIALIZED ("
    " SELECT coalesce(array_agg(tag_id), '{}') AS tags, $2::integer AS count FROM user_interests WHERE user_id = $1"
    "), near AS MATERIALIZED ("
    " SELECT id"
    " FROM wanted, (SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 1000) AS top"
    " WHERE tags = '{}' OR (SELECT true FROM content_tag_links WHERE content_id = id AND tag_id = ANY (tags) LIMIT 1)"
    " LIMIT (SELECT count FROM wanted)"
    "), far AS MATERIALIZED ("
    " SELECT DISTINCT content_id FROM wanted, content_tag_links"
    " WHERE tag_id = ANY (tags) AND (SELECT count(*) FROM near) < wanted.count"
    "), picked AS ("
    " SELECT id FROM near WHERE NOT EXISTS (SELECT FROM far)"
    " UNION ALL"
    " (SELECT id FROM far, LATERAL (SELECT id, engagement_score FROM contents WHERE id = content_id OFFSET 0) AS "
    "content"
    "  ORDER BY engagement_score DESC, id LIMIT (SELECT count FROM wanted))"
    " LIMIT 100"
    ") "
    "SELECT coalesce(json_agg(item ORDER BY engagement_score DESC, id), '[]')"
    "FROM (SELECT id, title, creator_id, engagement_score,"
    "  (SELECT coalesce(json_agg(name ORDER BY name), '[]')"
    "   FROM content_tag_links, LATERAL (SELECT name FROM content_tags WHERE id = tag_id OFFSET 0) AS tag"
    "   WHERE content_id = contents.id) AS tags"
    " FROM picked JOIN contents USING (id)) AS item";

/* $1 content. Without the score: the batch update changes all of them, and would drop every content with them. */
static const char content_text[] =
    "SELECT row_to_json(content)"
    "FROM (SELECT id, creator_id, title, description, view_count, like_count, share_count, created_at,"
    "  (SELECT coalesce(json_agg(name ORDER BY name), '[]')"
    "   FROM content_tag_links, LATERAL (SELECT name FROM content_tags WHERE id = tag_id OFFSET 0) AS tag"
    "   WHERE content_id = contents.id) AS tags"
    " FROM contents WHERE id = $1) AS content";

/* $1 user. */
static const char interests_text[] = "SELECT coalesce(json_agg(tag ORDER BY name), '[]')"
                                     "FROM (SELECT content_tags.id, name FROM user_interests"
                                     " JOIN content_tags ON content_tags.id = tag_id WHERE user_id = $1) AS tag";

/* $1 user, $2 content, $3 type. No row: there is no such content. */
static const char interaction_text[] =
    "WITH counted AS ("
    " UPDATE contents SET view_count = view_count + ($3 = 'view')::integer, like_count = like_count + ($3 = "
    "'like')::integer,"
    "  share_count = share_count + ($3 = 'share')::integer"
    " WHERE id = $2 RETURNING id"
    ") "
    "INSERT INTO user_interactions (user_id, content_id, type) SELECT $1, id, $3 FROM counted "
    "RETURNING json_build_object('id', id)";

/*
 * $1 id or NULL, $2 creator, $3 title, $4 description, $5 tags as JSON. A new content has no score, so it can only show
 * in lists that lack a hundred scored ones: the second column tells whether one of its tags (or all contents together,
 * for users without interests) is so rare. The third is a tag that does not exist; then nothing is written.
 */
static const char create_text[] =
    "WITH unknown AS MATERIALIZED ("
    " SELECT tag FROM json_array_elements_text($5::json) AS tag"
    " WHERE NOT EXISTS (SELECT FROM content_tags WHERE id = tag) LIMIT 1"
    "), created AS ("
    " INSERT INTO contents (id, creator_id, title, description)"
    " SELECT coalesce($1, gen_random_uuid()::text), $2, $3, $4 WHERE NOT EXISTS (SELECT FROM unknown) RETURNING id"
    "), linked AS ("
    " INSERT INTO content_tag_links (content_id, tag_id)"
    " SELECT created.id, content_tags.id FROM created, content_tags"
    " WHERE content_tags.id IN (SELECT json_array_elements_text($5::json)) RETURNING tag_id"
    ") "
    "SELECT json_build_object('id', id, 'tags', (SELECT count(*) FROM linked)),"
    " (SELECT count(*) FROM (SELECT FROM contents WHERE engagement_score > 0 LIMIT 100) AS scored) < 100"
    " OR EXISTS (SELECT FROM linked WHERE"
    "  (SELECT count(*) FROM"
    "    (SELECT FROM content_tag_links AS other,"
    "      LATERAL (SELECT FROM contents WHERE id = content_id AND engagement_score > 0 OFFSET 0) AS content"
    "     WHERE other.tag_id = linked.tag_id LIMIT 100) AS scored) < 100), NULL "
    "FROM created UNION ALL SELECT NULL, NULL, tag FROM unknown";

/* $1 the last id of the chunk before, $2 rows. One statement a chunk; a row whose score stays is not written. */
static const char scores_text[] =
    "WITH chunk AS MATERIALIZED ("
    " SELECT max(id) AS last, count(*) AS rows"
    " FROM (SELECT id FROM contents WHERE id > $1 ORDER BY id LIMIT (SELECT $2::integer)) AS following"
    "), changed AS ("
    " UPDATE contents SET engagement_score = engagement_score(view_count, like_count, share_count, created_at)"
    " WHERE id > $1 AND id <= (SELECT last FROM chunk)"
    "  AND engagement_score <> engagement_score(view_count, like_count, share_count, created_at) RETURNING 1"
    ") "
    "SELECT last, rows, (SELECT count(*) FROM changed) FROM chunk";

static sp_status key_new(const char *text, const char *options, const char *const patterns[], sp_cache *cache,
                         sp_template **out, sp_error **error)
{
        sp_status status = sp_template_new(text, options, out, error);

        for (size_t i = 0; status == SP_OK && patterns[i]; i++)
                status = sp_template_pattern(*out, patterns[i], error);
        return status == SP_OK ? sp_cache_declare(cache, *out, error) : status;
}

static sp_status keys_new(struct service *service, sp_error **error)
{
        sp_cache *cache = service->cache;
        sp_status status;

        status = key_new("rec:recommendations:{userId}:{limit}", "ttl=1h size=5KB stale=10m",
                         (const char *[]){PATTERN_RECOMMENDATIONS, PATTERN_RECOMMENDATIONS_OF_USER, NULL}, cache,
                         &service->recommendations.key, error);
        if (status == SP_OK)
                status = key_new("rec:user:{userId}:interests", "ttl=24h size=500B",
                                 (const char *[]){PATTERN_INTERESTS, NULL}, cache, &service->interests.key, error);
        if (status == SP_OK)
                status = key_new("rec:content:{contentId}:full", "ttl=24h size=2KB stale=10m", (const char *[]){NULL},
                                 cache, &service->content.key, error);
        return status;
}

static sp_status statements_new(struct service *service, sp_error **error)
{
        const struct {
                const char *name, *text;
                uint32_t flags;
                sp_stmt **out;
        } all[] = {
            {"getRecommendations", recommendations_text, SP_STMT_READ, &service->recommendations.stmt},
            {"getContentWithTags", content_text, SP_STMT_READ, &service->content.stmt},
            {"getUserInterests", interests_text, SP_STMT_READ, &service->interests.stmt},
            {"recordInteraction", interaction_text, SP_STMT_WRITE, &service->record_interaction},
            {"createContent", create_text, SP_STMT_WRITE, &service->create_content},
            {"updateEngagementScores", scores_text, SP_STMT_WRITE | SP_STMT_IDEMPOTENT, &service->update_scores},
        };
        sp_status status = SP_OK;

        for (size_t i = 0; status == SP_OK && i < sizeof all / sizeof *all; i++)
                status = sp_stmt_new(all[i].name, all[i].text, strlen(all[i].text), all[i].flags, all[i].out, error);
        return status;
}

sp_status catalog_new(struct service *service, sp_error **error)
{
        sp_status status = statements_new(service, error);

        service->recommendations.name = "GET /recommendations";
        service->recommendations.fallback = "[]";
        service->content.name = "GET /content";
        service->content.missing = "there is no such content";
        service->interests.name = "GET /user/interests";
        return status == SP_OK ? keys_new(service, error) : status;
}

void catalog_free(struct service *service)
{
        sp_stmt *const stmts[] = {service->recommendations.stmt, service->content.stmt,   service->interests.stmt,
                                  service->record_interaction,   service->create_content, service->update_scores};
        sp_template *const keys[] = {service->recommendations.key, service->content.key, service->interests.key};

        for (size_t i = 0; i < sizeof stmts / sizeof *stmts; i++)
                sp_stmt_unref(stmts[i]);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
                sp_template_unref(keys[i]);
}
