-- SPDX-License-Identifier: MIT
-- content_db, as an ORM would make it: primary keys, no other index (../migrations/content-streaming adds those). A video is a
-- content of the recommendation service, with the same id.
CREATE TABLE creators (
        id text PRIMARY KEY,
        name text NOT NULL,
        is_verified boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE videos (
        id text PRIMARY KEY,
        creator_id text NOT NULL REFERENCES creators (id),
        title text NOT NULL,
        duration_seconds integer NOT NULL CHECK (duration_seconds > 0),
        is_published boolean NOT NULL DEFAULT true,
        play_count bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transcoding_jobs (
        id text PRIMARY KEY,
        video_id text NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
        profile text NOT NULL CHECK (profile IN ('360p', '720p', '1080p', '2160p')),
        status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
        created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE playback_sessions (
        id text PRIMARY KEY,
        video_id text NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
        user_id text NOT NULL,
        seconds integer NOT NULL DEFAULT 0 CHECK (seconds >= 0),
        created_at timestamptz NOT NULL DEFAULT now()
);
