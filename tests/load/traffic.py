# SPDX-License-Identifier: MIT
"""What is asked of each service under load, as the k6 scripts do: the document's stages, and an open model over all ids."""
import collections
import json
import random

# name, folder of schema and data, sizes at scale 1, the column "files" besides, a caller's environment
Service = collections.namedtuple('Service', 'name files sizes stages open')


def zipf(dice, count):
    """Zipf's law with exponent 1, permuted as in data.sql: who is busy there is busy here."""
    return (int((count + 1) ** dice.random()) - 1) * 2147483647 % count


def get(kind, path, absent=False, headers=None):
    return {'kind': f'GET {kind}', 'method': 'GET', 'path': path, 'absent': absent, 'headers': headers or {}}


def post(kind, path, body):
    return {'kind': f'POST {kind}', 'method': 'POST', 'path': path, 'body': body}


def recommendation(dice, sizes, _tokens):
    kind, users, contents = dice.random(), sizes['users'], sizes['contents']
    if kind < .55:
        return get('/recommendations/{userId}', f'/recommendations/user-{zipf(dice, users)}?limit=10')
    if kind < .95:
        return get('/content/{id}', f'/content/content-{zipf(dice, contents)}')
    if kind < .995:
        return post('/interactions', '/interactions', {
            'userId': f'user-{zipf(dice, users)}', 'contentId': f'content-{zipf(dice, contents)}',
            'type': dice.choice(['view'] * 17 + ['like'] * 2 + ['share'])})
    return post('/content', '/content', {'creatorId': f'user-{zipf(dice, users)}', 'title': 'Made under load',
                                         'tags': [f"tag-{zipf(dice, sizes['tags'])}"]})


def recommendation_stages(number, _tokens):
    return [get('/recommendations/{userId}', f'/recommendations/user-{number % 10}?limit=10'),
            get('/content/{id}', f'/content/content-{number % 50}')]


def token(tokens, number):
    return get('/auth/token/valid', '/auth/token/valid', headers={'Authorization': f'Bearer {tokens[number % len(tokens)]}'})


def auth(dice, sizes, tokens):
    kind, user = dice.random(), zipf(dice, sizes['users'])
    if kind < .5:
        return get('/auth/user/{id}/permissions', f'/auth/user/user-{user}/permissions')
    if kind < .8:
        return token(tokens, dice.randrange(1000))
    if kind < .9:
        return get('/auth/user?username', f'/auth/user?username=member{user}')
    if kind < .95:
        return get('/auth/user?email', f'/auth/user?email=member{user}@example.org')
    return post('/auth/user/{id}', f'/auth/user/user-{user}', {'roleId': f'role-{dice.randrange(8)}'})


def auth_stages(number, tokens):
    return [get('/auth/user/{id}/permissions', f'/auth/user/user-{number % 10}/permissions'), token(tokens, number)]


def payment(dice, sizes, _tokens):
    kind, user = dice.random(), zipf(dice, sizes['users'])
    if kind < .5:
        status = dice.choice(['completed'] * 3 + ['pending', 'refunded'])
        return get('/payments/{userId}', f'/payments/user-{user}?status={status}')
    if kind < .75:
        return get('/subscription/{userId}', f'/subscription/user-{user}', True)
    if kind < .95:
        return get('/user/{id}/invoice', f'/user/user-{user}/invoice', True)
    return post('/payments', '/payments', {'userId': f'user-{user}', 'amountCents': 999})


def payment_stages(number, _tokens):
    return [get('/payments/{userId}', f'/payments/user-{number % 10}?status=completed'),
            get('/user/{id}/invoice', f'/user/user-{number % 10}/invoice', True)]


def streaming(dice, sizes, _tokens):
    kind, video = dice.random(), zipf(dice, sizes['videos'])
    if kind < .55:
        return get('/content/{id}', f'/content/content-{video}', True)
    if kind < .85:
        return get('/creator/{id}/videos', f"/creator/creator-{zipf(dice, sizes['creators'])}/videos")
    if kind < .95:
        return get('/content/{id}/jobs', f'/content/content-{video}/jobs?status=done')
    return {**post('/playback', '/playback', {'videoId': f'content-{video}', 'userId': f"user-{zipf(dice, sizes['users'])}",
                                              'seconds': 30}), 'absent': True}


def streaming_stages(number, _tokens):
    return [get('/content/{id}', f'/content/content-{number % 50}', True),
            get('/creator/{id}/videos', f'/creator/creator-{number % 10}/videos')]


SERVICES = {service.name: service for service in (
    Service('recommendation', ('schema.sql', 'data.sql', 'keys.sql'),
            {'users': 50000, 'contents': 100000, 'interactions': 1000000, 'tags': 500}, recommendation_stages, recommendation),
    Service('auth', ('schema.sql', 'data.sql'), {'users': 50000, 'revoked': 20000}, auth_stages, auth),
    Service('payment', ('schema.sql', 'data.sql'), {'users': 50000, 'payments': 500000}, payment_stages, payment),
    Service('content-streaming', ('schema.sql', 'data.sql'),
            {'users': 50000, 'creators': 5000, 'videos': 100000, 'sessions': 500000}, streaming_stages, streaming))}


def write_stages(path, service, tokens):
    with open(path, 'w', encoding='utf-8') as file:
        for number in range(50):
            for request in service.stages(number, tokens):
                print(json.dumps(request), file=file)


def write_open(path, service, sizes, tokens, count, seed):  # pylint: disable=too-many-arguments
    dice = random.Random(seed)
    with open(path, 'w', encoding='utf-8') as file:
        for _ in range(count):
            print(json.dumps(service.open(dice, sizes, tokens)), file=file)


def write_warm(path, service, sizes, tokens, count, seed):  # pylint: disable=too-many-arguments
    """The readings among so many requests, each once; how many they are."""
    dice, seen = random.Random(seed), set()
    with open(path, 'w', encoding='utf-8') as file:
        for _ in range(count):
            request = service.open(dice, sizes, tokens)
            name = (request['path'], *request.get('headers', {}).values())
            if request['method'] == 'GET' and name not in seen:
                seen.add(name)
                print(json.dumps(request), file=file)
    return len(seen)
