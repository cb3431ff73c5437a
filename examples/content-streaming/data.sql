-- SPDX-License-Identifier: MIT
-- Fills the schema: psql -v users=50000 -v creators=5000 -v videos=100000 -v sessions=500000 -f data.sql. The same rows each time
-- (hashes of row numbers); who creates, and what is watched, follows Zipf's law, as in ../recommendation/data.sql.
CREATE FUNCTION pg_temp.u(i bigint, salt bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN ((hashint8extended(i, salt) >> 11) & 9007199254740991) / 9007199254740992::double precision;

CREATE FUNCTION pg_temp.pick(n bigint, i bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (floor(power(n + 1, pg_temp.u(i, salt)))::bigint - 1) * 2147483647 % n;

INSERT INTO creators (id, name, is_verified, created_at)
SELECT 'creator-' || i, 'Creator ' || i, pg_temp.u(i, 1) < 0.1, now() - interval '1 day' * 900 * pg_temp.u(i, 2)
FROM generate_series(0, :creators - 1) i;

CREATE TEMP TABLE drawn AS
SELECT i AS number, pg_temp.pick(:videos, i, 3) AS video, pg_temp.pick(:users, i, 4) AS member
FROM generate_series(1, :sessions) i;

INSERT INTO videos (id, creator_id, title, duration_seconds, is_published, play_count, created_at)
SELECT 'content-' || i, 'creator-' || pg_temp.pick(:creators, i, 5), 'Title ' || i || ' about ' || md5(i::text),
       15 + floor(3600 * pg_temp.u(i, 6) ^ 2)::integer, pg_temp.u(i, 7) < 0.97, coalesce(plays, 0),
       now() - interval '1 day' * 730 * pg_temp.u(i, 8) ^ 2
FROM generate_series(0, :videos - 1) i
LEFT JOIN (SELECT video, count(*) AS plays FROM drawn GROUP BY video) AS seen ON seen.video = i;

-- Two to four profiles a video; of the newest some are still at work.
INSERT INTO transcoding_jobs (id, video_id, profile, status, created_at)
SELECT 'job-' || i || '-' || n, 'content-' || i, (ARRAY['360p', '720p', '1080p', '2160p'])[n],
       CASE WHEN pg_temp.u(i * 4 + n, 10) < 0.95 THEN 'done' WHEN pg_temp.u(i * 4 + n, 10) < 0.97 THEN 'failed'
            WHEN pg_temp.u(i * 4 + n, 10) < 0.98 THEN 'running' ELSE 'queued' END,
       now() - interval '1 day' * 730 * pg_temp.u(i, 8) ^ 2
FROM generate_series(0, :videos - 1) i, generate_series(1, 2 + floor(3 * pg_temp.u(i, 9))::integer) n;

INSERT INTO playback_sessions (id, video_id, user_id, seconds, created_at)
SELECT 'session-' || number, 'content-' || video, 'user-' || member, floor(1800 * pg_temp.u(number, 11) ^ 2)::integer,
       now() - interval '1 day' * 365 * pg_temp.u(number, 12)
FROM drawn;

DROP TABLE drawn;
ANALYZE;
