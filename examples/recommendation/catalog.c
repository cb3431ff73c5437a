/* SPDX-License-Identifier: MIT */
/* Every statement and key of the service. The answers are built by PostgreSQL: a cached value is a response's body. */
#include "recommendation.h"

/*
 * $1 user, $2 how many. Contents that share a tag with the user's interests, best score first; the best of all for a
 * user without interests. Tags are as skewed as traffic is, so there are two ways. `near` walks down the index of
 * scores: users with a common interest have their list after a few dozen steps. Who finds too few among the first 1,000
 * has rare tags alone, and `far` reads all contents under them: few, for the same reason. Either way it is exact. A new
 * content has no score: only a list with such ones, or with fewer than were asked for, has a place for it, and says so by a tag. The
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
    "SELECT coalesce(json_agg(item ORDER BY engagement_score DESC, id), '[]'),"
    " CASE WHEN count(*) < $2 OR min(engagement_score) <= 0 THEN '" TAG_OPEN_LISTS "' END AS tag "
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

/* $1 id or NULL, $2 creator, $3 title, $4 description, $5 tags as JSON. Where one does not exist nothing is written. */
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
    "SELECT json_build_object('id', id, 'tags', (SELECT count(*) FROM linked)) AS answer, NULL AS refused "
    "FROM created UNION ALL SELECT NULL, 'there is no tag with the id ' || tag FROM unknown";

/* $1 content, $2 title, $3 description; NULL leaves one as it is. */
static const char change_text[] =
    "UPDATE contents SET title = coalesce($2, title), description = coalesce($3, description) WHERE id = $1 "
    "RETURNING json_build_object('id', id, 'title', title)";

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

void catalog(struct recommendation *service)
{
        service->recommendations =
            (struct reading){.name = "GET /recommendations",
                             .key = "rec:recommendations:{userId}:{limit}",
                             .options = "ttl=1h size=5KB stale=10m",
                             .patterns = {PATTERN_RECOMMENDATIONS, "rec:recommendations:{userId}:*"},
                             .query = "getRecommendations",
                             .text = recommendations_text,
                             .fallback = "[]"};
        service->content = (struct reading){.name = "GET /content",
                                            .key = "rec:content:{contentId}:full",
                                            .options = "ttl=24h size=2KB stale=10m",
                                            .patterns = {"rec:content:*"},
                                            .query = "getContentWithTags",
                                            .text = content_text,
                                            .absent = "there is no such content"};
        service->interests = (struct reading){.name = "GET /user/interests",
                                              .key = "rec:user:{userId}:interests",
                                              .options = "ttl=24h size=500B",
                                              .patterns = {"rec:user:*:interests"},
                                              .query = "getUserInterests",
                                              .text = interests_text};
        service->record_interaction = (struct writing){.name = "POST /interactions",
                                                       .query = "recordInteraction",
                                                       .text = interaction_text,
                                                       .table = "user_interactions",
                                                       .change = SP_ROW_INSERT,
                                                       .refusals = {{"23503", 404, "there is no such user"}},
                                                       .absent = "there is no such content",
                                                       .status = 201};
        service->create_content = (struct writing){
            .name = "POST /content",
            .query = "createContent",
            .text = create_text,
            .table = "contents",
            .change = SP_ROW_INSERT,
            .refusals = {{"23503", 404, "there is no such user"}, {"23505", 409, "there is a content with this id"}},
            .status = 201};
        service->change_content = (struct writing){.name = "POST /content/{id}",
                                                   .query = "changeContent",
                                                   .text = change_text,
                                                   .table = "contents",
                                                   .change = SP_ROW_UPDATE,
                                                   .absent = "there is no such content",
                                                   .status = 200};
        service->update_scores =
            (struct writing){.query = "updateEngagementScores", .text = scores_text, .flags = SP_STMT_IDEMPOTENT};
}
