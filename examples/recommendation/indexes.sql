-- SPDX-License-Identifier: MIT
-- The source document's indexes for this service (their names are its own) and what else the statements need.
-- The score's index ends in id: the order of recommendations is by score, then id, so that they are read off the index.
CREATE INDEX idx_content_engagement_score ON contents (engagement_score DESC, id);
CREATE INDEX idx_content_created_at ON contents (created_at DESC);
CREATE INDEX idx_user_interaction_user_id_created_at ON user_interactions (user_id, created_at DESC);
CREATE UNIQUE INDEX idx_user_interest_user_id_tag_id ON user_interests (user_id, tag_id);
CREATE INDEX idx_content_tag_link_tag_id_content_id ON content_tag_links (tag_id, content_id);
CREATE INDEX idx_content_creator_id ON contents (creator_id);
CREATE INDEX idx_user_interaction_content_id ON user_interactions (content_id);
ANALYZE;
