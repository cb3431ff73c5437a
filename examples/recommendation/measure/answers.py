# SPDX-License-Identifier: MIT
"""Whether a service's answers are those of a plain SQL query, which shares no text with the service's own."""
import json

PLAIN_LIST = """
SELECT coalesce(json_agg(x), '[]') FROM (
    SELECT c.id, c.title, c.creator_id, c.engagement_score,
           ARRAY(SELECT t.name FROM content_tag_links l JOIN content_tags t ON t.id = l.tag_id
                 WHERE l.content_id = c.id ORDER BY t.name) AS tags
    FROM contents c
    WHERE NOT EXISTS (SELECT FROM user_interests WHERE user_id = '{user}')
       OR c.id IN (SELECT l.content_id FROM content_tag_links l JOIN user_interests i ON i.tag_id = l.tag_id
                   WHERE i.user_id = '{user}')
    ORDER BY c.engagement_score DESC, c.id LIMIT {limit}) x"""

PLAIN_CONTENT = """
SELECT row_to_json(x) FROM (
    SELECT c.id, c.creator_id, c.title, c.description, c.view_count, c.like_count, c.share_count, c.created_at,
           ARRAY(SELECT t.name FROM content_tag_links l JOIN content_tags t ON t.id = l.tag_id
                 WHERE l.content_id = c.id ORDER BY t.name) AS tags
    FROM contents c WHERE c.id = '{content}') x"""


def plain_list(database, user, limit=10):
    return json.loads(database.query(PLAIN_LIST.format(user=user, limit=limit)))


def plain_content(database, content):
    return json.loads(database.query(PLAIN_CONTENT.format(content=content)))


def differences(database, service, users, contents, limit=10):
    """One line for each answer that is not the plain query's."""
    lines = []
    for user in users:
        got = service.json('GET', f'/recommendations/{user}?limit={limit}')
        want = plain_list(database, user, limit)
        if got != want:
            lines.append(f'/recommendations/{user}?limit={limit}: '
                         f'{[item["id"] for item in got]} instead of {[item["id"] for item in want]}')
    for content in contents:
        got, want = service.json('GET', f'/content/{content}'), plain_content(database, content)
        if got != want:
            lines.append(f'/content/{content}: {got} instead of {want}')
    return lines


def change(database, service, user, outsider):
    """Makes an unpopular content the most shared one by interactions, updates the scores; what a cache must notice."""
    for _ in range(3):
        service.json('POST', '/interactions', {'userId': user, 'contentId': outsider, 'type': 'share'})
    # As much traffic as the most popular content has, in one statement: no test waits for 50,000 requests.
    database.query(f"UPDATE contents SET share_count = share_count + (SELECT max(share_count) + max(view_count)"
                   f" FROM contents) WHERE id = '{outsider}'")
    service.json('POST', '/interactions', {'userId': user, 'contentId': outsider, 'type': 'view'})
    return service.json('POST', '/admin/scores')
