-- SPDX-License-Identifier: MIT
-- Fills the schema: psql -v users=50000 -v contents=100000 -v interactions=1000000 -v tags=500 -f data.sql
-- The same rows each time (hashes of row numbers, no random()); ages count from now. Who interacts, with what, and which
-- tags are used follow Zipf's law with exponent 1: rank floor((n + 1)^u) - 1 for a uniform u. A rank's row number is
-- rank * (2^31 - 1) mod n, which permutes 0 … n - 1, so that what is popular is spread over the tables.
CREATE FUNCTION pg_temp.u(i bigint, salt bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN ((hashint8extended(i, salt) >> 11) & 9007199254740991) / 9007199254740992::double precision;

CREATE FUNCTION pg_temp.pick(n bigint, i bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (floor(power(n + 1, pg_temp.u(i, salt)))::bigint - 1) * 2147483647 % n;

-- Days since content number i was made: many are young, the oldest has two years.
CREATE FUNCTION pg_temp.age(i bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN 730 * pg_temp.u(i, 1) ^ 2;

INSERT INTO users (id, username, is_active, created_at)
SELECT 'user-' || i, 'member' || i, pg_temp.u(i, 2) < 0.9, now() - interval '1 day' * 900 * pg_temp.u(i, 3)
FROM generate_series(0, :users - 1) i;

INSERT INTO content_tags (id, name) SELECT 'tag-' || i, 'topic ' || i FROM generate_series(0, :tags - 1) i;

CREATE TEMP TABLE drawn AS
SELECT i AS number, pg_temp.pick(:users, i, 4) AS member, pg_temp.pick(:contents, i, 5) AS content,
       CASE WHEN pg_temp.u(i, 6) < 0.85 THEN 'view' WHEN pg_temp.u(i, 6) < 0.97 THEN 'like' ELSE 'share' END AS type
FROM generate_series(1, :interactions) i;

-- The counters are those of the interactions; the scores come from an earlier update, before the last tenth of them.
INSERT INTO contents (id, creator_id, title, description, view_count, like_count, share_count, engagement_score, created_at)
SELECT 'content-' || i, 'user-' || pg_temp.pick(:users, i, 8), 'Title ' || i || ' about ' || md5(i::text),
       repeat(md5((i + 1)::text) || ' ', 1 + (pg_temp.u(i, 9) * 10)::integer),
       coalesce(views, 0), coalesce(likes, 0), coalesce(shares, 0),
       engagement_score(coalesce(views_before, 0)::integer, coalesce(likes_before, 0)::integer,
                        coalesce(shares_before, 0)::integer, now() - interval '1 day' * pg_temp.age(i)),
       now() - interval '1 day' * pg_temp.age(i)
FROM generate_series(0, :contents - 1) i
LEFT JOIN (SELECT content, count(*) FILTER (WHERE type = 'view') AS views,
                  count(*) FILTER (WHERE type = 'like') AS likes, count(*) FILTER (WHERE type = 'share') AS shares,
                  count(*) FILTER (WHERE type = 'view' AND number <= :interactions * 0.9) AS views_before,
                  count(*) FILTER (WHERE type = 'like' AND number <= :interactions * 0.9) AS likes_before,
                  count(*) FILTER (WHERE type = 'share' AND number <= :interactions * 0.9) AS shares_before
           FROM drawn GROUP BY content) AS seen ON seen.content = i;

INSERT INTO user_interactions (user_id, content_id, type, created_at)
SELECT 'user-' || member, 'content-' || content, type,
       now() - interval '1 day' * pg_temp.age(content) * pg_temp.u(number, 7)
FROM drawn;

DROP TABLE drawn;

-- One to seven tags a content, none to eight interests a user; a pair drawn twice counts once.
INSERT INTO content_tag_links (content_id, tag_id)
SELECT DISTINCT 'content-' || i, 'tag-' || pg_temp.pick(:tags, i * 8 + n, 10)
FROM generate_series(0, :contents - 1) i, generate_series(0, (pg_temp.u(i, 11) * 7)::integer) n;

INSERT INTO user_interests (user_id, tag_id, created_at)
SELECT DISTINCT ON (1, 2) 'user-' || i, 'tag-' || pg_temp.pick(:tags, i * 8 + n, 12), now() - interval '1 day' * n
FROM generate_series(0, :users - 1) i, generate_series(1, (pg_temp.u(i, 13) * 8)::integer) n;
