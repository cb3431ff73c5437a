# SPDX-License-Identifier: MIT
"""What each service answers, as plain SQL that shares no text with the service's own; and what changes it.

A read is (path, query, status when there is nothing); a write (path, body, status), and what the answer
says where that is asked; a change plain SQL that no service hears of.
"""
import collections

Plan = collections.namedtuple('Plan', 'name folder files sizes reads writes changes')

PERMISSIONS = """SELECT to_jsonb(x) FROM (
    SELECT u.id AS "userId", r.name AS role, u.is_active AS active,
           ARRAY(SELECT p.permission_id FROM role_permissions p WHERE u.is_active AND p.role_id = r.id ORDER BY 1) AS permissions
    FROM users u, roles r WHERE r.id = u.role_id AND u.id = '{0}') x"""
USER = """SELECT to_jsonb(x) FROM (
    SELECT u.id, u.username, u.email, r.name AS role, u.is_active AS active
    FROM users u, roles r WHERE r.id = u.role_id AND u.{0} = '{1}') x"""

PAYMENTS = """SELECT coalesce(jsonb_agg(x), '[]') FROM (
    SELECT p.id, p.amount_cents, p.currency, p.status, p.method_id, p.created_at
    FROM payments p WHERE (p.user_id, p.status) = ('{0}', '{1}') ORDER BY p.created_at DESC, p.id FETCH FIRST 50 ROWS ONLY) x"""
SUBSCRIPTION = """SELECT to_jsonb(x) FROM (
    SELECT s.id, s.user_id, s.plan, s.started_at FROM subscriptions s WHERE s.user_id = '{0}' AND s.is_active) x"""
INVOICE = """SELECT to_jsonb(x) FROM (SELECT i.id, i.user_id, i.payment_id, i.amount_cents, i.currency, i.is_cancelled, i.created_at
    FROM invoices i WHERE {0}) x"""

VIDEO = """SELECT to_jsonb(x) FROM (
    SELECT v.id, v.title, v.creator_id, c.name AS creator, c.is_verified, v.duration_seconds, v.created_at,
           ARRAY(SELECT j.profile FROM transcoding_jobs j WHERE j.status = 'done' AND j.video_id = v.id ORDER BY 1) AS renditions
    FROM videos v, creators c WHERE v.is_published AND c.id = v.creator_id AND v.id = '{0}') x"""
VIDEOS = """SELECT coalesce(jsonb_agg(x), '[]') FROM (
    SELECT v.id, v.title, v.duration_seconds, v.created_at FROM videos v
    WHERE v.is_published AND v.creator_id = '{0}' ORDER BY v.created_at DESC, v.id FETCH FIRST {1} ROWS ONLY) x"""
JOBS = """SELECT coalesce(jsonb_agg(x), '[]') FROM (
    SELECT j.id, j.profile, j.status, j.created_at FROM transcoding_jobs j
    WHERE (j.video_id, j.status) = ('{0}', '{1}') ORDER BY j.profile, j.id) x"""

LIST = """SELECT coalesce(jsonb_agg(x), '[]') FROM (
    SELECT c.id, c.title, c.creator_id, c.engagement_score,
           ARRAY(SELECT t.name FROM content_tag_links l, content_tags t WHERE t.id = l.tag_id AND l.content_id = c.id ORDER BY 1) AS tags
    FROM contents c
    WHERE NOT EXISTS (SELECT FROM user_interests WHERE user_id = '{0}')
       OR c.id IN (SELECT l.content_id FROM content_tag_links l JOIN user_interests i USING (tag_id) WHERE i.user_id = '{0}')
    ORDER BY c.engagement_score DESC, c.id FETCH FIRST {1} ROWS ONLY) x"""
CONTENT = """SELECT to_jsonb(x) FROM (
    SELECT c.id, c.creator_id, c.title, c.description, c.view_count, c.like_count, c.share_count, c.created_at,
           ARRAY(SELECT t.name FROM content_tag_links l, content_tags t WHERE t.id = l.tag_id AND l.content_id = c.id ORDER BY 1) AS tags
    FROM contents c WHERE c.id = '{0}') x"""
INTERESTS = """SELECT coalesce(jsonb_agg(x), '[]') FROM (
    SELECT t.id, t.name FROM user_interests i, content_tags t WHERE t.id = i.tag_id AND i.user_id = '{0}' ORDER BY t.name) x"""

FILES = ('schema.sql', 'data.sql')


def auth():
    users = ['user-0', 'user-1', 'user-7', 'user-new', 'user-nobody']
    reads = [(f'/auth/user/{user}/permissions', PERMISSIONS.format(user), 404) for user in users]
    reads += [(f'/auth/user?username={name}', USER.format('username', name), 404)
              for name in ('member0', 'member1', 'fresh', 'renamed')]
    reads += [(f'/auth/user?email={name}@example.org', USER.format('email', f'{name}@example.org'), 404)
              for name in ('member0', 'member1', 'fresh', 'moved')]
    writes = [('/auth/user', {'id': 'user-new', 'username': 'fresh', 'email': 'fresh@example.org', 'roleId': 'role-1'}, 201),
              ('/auth/user', {'username': 'fresh', 'email': 'other@example.org', 'roleId': 'role-1'}, 409),
              ('/auth/user/user-1', {'email': 'moved@example.org'}, 200),
              ('/auth/user/user-1', {'username': 'renamed', 'roleId': 'role-6'}, 200),
              ('/auth/user/user-0', {'active': False}, 200),
              ('/auth/role/role-1/permission', {'permission': 'role.delete', 'granted': True}, 200),
              ('/auth/role/role-1/permission', {'permission': 'role.delete', 'granted': True}, 200),
              ('/auth/role/role-1/permission', {'permission': 'content.read', 'granted': False}, 200),
              ('/auth/role/role-1/permission', {'permission': 'nothing', 'granted': True}, 400),
              ('/auth/user/user-nobody', {'active': True}, 404),
              ('/auth/user/user-0', {}, 400)]
    changes = ["UPDATE users SET username = 'member1', email = 'member1@example.org' WHERE id = 'user-1'",
               "UPDATE users SET is_active = true, role_id = 'role-3' WHERE id = 'user-0'",
               "UPDATE roles SET name = 'anyone' WHERE id = 'role-1'",
               "DELETE FROM role_permissions WHERE permission_id = 'role.delete'",
               "DELETE FROM users WHERE id = 'user-new'"]
    return Plan('auth', 'auth', FILES, {'users': 200, 'revoked': 50}, reads, writes, changes)


def payment():
    users = ['user-0', 'user-3', 'user-nobody']
    reads = [(f'/payments/{user}?status={status}', PAYMENTS.format(user, status), None)
             for user in users for status in ('pending', 'completed', 'refunded')]
    reads += [(f'/subscription/{user}', SUBSCRIPTION.format(user), 404) for user in users]
    reads += [(f'/user/{user}/invoice', INVOICE.format(f"i.user_id = '{user}' ORDER BY i.created_at DESC, i.id LIMIT 1"), 404)
              for user in users]
    reads += [(f'/invoice/{invoice}', INVOICE.format(f"i.id = '{invoice}'"), 404)
              for invoice in ('invoice-0', 'invoice-made', 'invoice-' + 'p' * 120, 'invoice-nothing')]
    writes = [('/payments', {'id': 'made', 'userId': 'user-3', 'methodId': 'method-3', 'amountCents': 999}, 201),
              ('/payments', {'id': 'made', 'userId': 'user-3', 'amountCents': 999}, 409),
              ('/payments', {'userId': 'user-3', 'methodId': 'method-none', 'amountCents': 999}, 400),
              ('/payments/made', {'userId': 'user-3', 'status': 'refunded'}, 404),
              ('/payments/made', {'userId': 'user-3', 'status': 'completed'}, 200),
              ('/payments/made', {'userId': 'user-0', 'status': 'refunded'}, 404),
              ('/payments/made', {'userId': 'user-3', 'status': 'refunded'}, 200),
              ('/payments/made', {'userId': 'user-3', 'status': 'pending'}, 400),
              ('/payments', {'id': 'p' * 121, 'userId': 'user-3', 'amountCents': 999}, 400, 'id may be 1 to 120'),
              ('/payments', {'id': 'p' * 120, 'userId': 'user-3', 'amountCents': 999}, 201),
              ('/payments/' + 'p' * 120, {'userId': 'user-3', 'status': 'completed'}, 200),
              ('/payments/payment-0', {'userId': 'user-26', 'status': 'refunded'}, 200),    # its invoice is not one of ours
              ('/subscription', {'userId': 'user-3', 'plan': 'platinum'}, 201),
              ('/subscription', {'userId': 'user-nobody', 'plan': 'gold'}, 201),
              ('/subscription', {'userId': 'user-3', 'plan': 'copper'}, 400),
              ('/subscription/user-3/cancel', {}, 200),
              ('/subscription/user-3/cancel', {}, 404)]
    changes = ["UPDATE subscriptions SET plan = 'basic' WHERE user_id = 'user-nobody'",
               "UPDATE payments SET status = 'pending' WHERE id = 'made'",
               "UPDATE invoices SET is_cancelled = NOT is_cancelled WHERE id = 'invoice-0'",
               "DELETE FROM invoices WHERE payment_id = 'made'",
               "UPDATE payments SET user_id = 'user-0' WHERE id = 'made'"]
    return Plan('payment', 'payment', FILES, {'users': 40, 'payments': 2000}, reads, writes, changes)


def streaming():
    videos = ['content-0', 'content-7', 'content-made']
    reads = [(f'/content/{video}', VIDEO.format(video), 404) for video in videos]
    reads += [(f'/content/{video}/jobs?status={status}', JOBS.format(video, status), None)
              for video in videos for status in ('queued', 'done')]
    reads += [(f'/creator/{creator}/videos?limit={limit}', VIDEOS.format(creator, limit), None)
              for creator in ('creator-0', 'creator-1', 'creator-nobody') for limit in (1, 10)]
    writes = [('/content', {'id': 'content-made', 'creatorId': 'creator-1', 'title': 'Made', 'seconds': 60}, 201),
              ('/content', {'id': 'content-made', 'creatorId': 'creator-1', 'title': 'Made', 'seconds': 60}, 409),
              ('/content', {'creatorId': 'creator-none', 'title': 'Made', 'seconds': 60}, 404),
              ('/content', {'creatorId': 'creator-1', 'title': 'Made', 'seconds': 0}, 400),
              ('/content', {'id': 7, 'creatorId': 'creator-1', 'title': 'Made', 'seconds': 60}, 400, 'id may be'),
              ('/content/content-made', {'creatorId': 'creator-1', 'title': 'Called "otherwise"'}, 200),
              ('/content/content-made', {'creatorId': 'creator-1', 'title': 7, 'published': True}, 400, 'title may be'),
              ('/content/content-made', {'creatorId': 'creator-1', 'title': 'T', 'published': 'no'}, 400, 'published may be'),
              ('/jobs', {'videoId': 'content-made', 'profile': '720p'}, 201),
              ('/jobs', {'videoId': 'content-none', 'profile': '720p'}, 404),
              ('/jobs/job-0-1', {'videoId': 'content-0', 'status': 'queued'}, 200),
              ('/jobs/job-0-1', {'videoId': 'content-7', 'status': 'queued'}, 404),
              ('/playback', {'videoId': 'content-7', 'userId': 'user-1', 'seconds': 30}, 201),
              ('/content/content-made', {'creatorId': 'creator-1', 'published': False}, 200),
              ('/playback', {'videoId': 'content-made', 'userId': 'user-1', 'seconds': 30}, 404)]
    changes = ["UPDATE videos SET duration_seconds = 7, created_at = now() WHERE creator_id = 'creator-0'",
               "UPDATE creators SET name = 'A new name', is_verified = NOT is_verified",
               "UPDATE videos SET creator_id = 'creator-1', is_published = true WHERE id IN ('content-7', 'content-made')",
               "UPDATE transcoding_jobs SET status = 'done' WHERE video_id = 'content-0'",
               "DELETE FROM transcoding_jobs WHERE video_id = 'content-made'",
               "UPDATE videos SET id = 'content-moved' WHERE id = 'content-made'"]
    return Plan('content-streaming', 'content-streaming', FILES,
                {'users': 50, 'creators': 10, 'videos': 200, 'sessions': 1000}, reads, writes, changes)


def recommendation():
    users = ['user-0', 'user-3', 'user-nobody']
    reads = [(f'/recommendations/{user}?limit={limit}', LIST.format(user, limit), None) for user in users for limit in (3, 100)]
    reads += [(f'/content/{content}', CONTENT.format(content), 404) for content in ('content-0', 'content-7', 'content-made')]
    reads += [(f'/user/{user}/interests', INTERESTS.format(user), None) for user in users]
    writes = [('/interactions', {'userId': 'user-3', 'contentId': 'content-7', 'type': 'like'}, 201),
              ('/content', {'id': 'content-made', 'creatorId': 'user-1', 'title': 'Made', 'tags': ['tag-0', 'tag-3']}, 201),
              ('/content/content-0', {'title': 'Called otherwise'}, 200),
              ('/content/content-7', {'description': 'Of what it is about'}, 200),
              ('/content/content-7', {'title': 'Once more', 'description': ''}, 200),
              ('/content/content-7', {'title': 'T', 'description': 7}, 400, 'description may be'),
              ('/content/content-7', {'title': '', 'description': 'D'}, 400, 'title may be'),
              ('/content', {'creatorId': 'user-1', 'title': 'T', 'description': 7}, 400, 'description may be'),
              ('/content', {'id': 7, 'creatorId': 'user-1', 'title': 'T'}, 400, 'id may be'),
              ('/content/content-none', {'title': 'T'}, 404),
              ('/admin/scores', {}, 200)]
    changes = ["UPDATE contents SET title = 'Behind the back', like_count = like_count + 1 WHERE id = 'content-7'",
               "INSERT INTO user_interests (user_id, tag_id) SELECT 'user-3', id FROM content_tags WHERE id NOT IN"
               " (SELECT tag_id FROM user_interests WHERE user_id = 'user-3') ORDER BY id LIMIT 1",
               # The best content of all is in the lists of users who have no interests.
               "INSERT INTO content_tag_links SELECT best.id, tag.id FROM content_tags AS tag, LATERAL"
               " (SELECT id FROM contents ORDER BY engagement_score DESC, id LIMIT 1) AS best"
               " WHERE NOT EXISTS (SELECT FROM content_tag_links WHERE (content_id, tag_id) = (best.id, tag.id)) ORDER BY 2 LIMIT 1",
               "UPDATE content_tags SET name = name || ' renamed' WHERE id IN ('tag-0', 'tag-7')",
               "DELETE FROM content_tag_links WHERE content_id IN ('content-0', 'content-made')",
               "UPDATE contents SET id = 'content-moved' WHERE id = 'content-made'",
               "DELETE FROM user_interests WHERE user_id = 'user-0'"]
    return Plan('recommendation', 'recommendation', ('schema.sql', 'data.sql', 'keys.sql'),
                {'users': 60, 'contents': 300, 'interactions': 2000, 'tags': 12}, reads, writes, changes)


PLANS = (recommendation(), auth(), payment(), streaming())
