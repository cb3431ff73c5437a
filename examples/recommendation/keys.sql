-- SPDX-License-Identifier: MIT
-- The foreign keys of schema.sql, to be added when the rows are there.
ALTER TABLE contents ADD FOREIGN KEY (creator_id) REFERENCES users (id);
ALTER TABLE content_tag_links ADD FOREIGN KEY (content_id) REFERENCES contents (id) ON DELETE CASCADE,
        ADD FOREIGN KEY (tag_id) REFERENCES content_tags (id) ON DELETE CASCADE;
ALTER TABLE user_interests ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        ADD FOREIGN KEY (tag_id) REFERENCES content_tags (id) ON DELETE CASCADE;
ALTER TABLE user_interactions ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        ADD FOREIGN KEY (content_id) REFERENCES contents (id) ON DELETE CASCADE;
ANALYZE;
