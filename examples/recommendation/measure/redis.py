# SPDX-License-Identifier: MIT
"""Takes keys of ours away from a Redis."""
import socket
import urllib.parse

from . import Failure


def place_of(parts):
    """Where it is, for people: never who asks, or with which password."""
    return parts.path if parts.scheme == 'unix' else f'{parts.hostname or "127.0.0.1"}:{parts.port or 6379}'


class Redis:
    SECONDS = 5

    def __init__(self, url):
        try:
            parts = urllib.parse.urlsplit(url)
            if parts.scheme not in ('redis', 'unix'):
                raise ValueError(url)
            self.place = place_of(parts)
        except ValueError:
            raise Failure('REDIS_URL must be redis://[user:password@]host[:port][/number] or unix://path') from None
        self.link, self.file = None, None
        try:
            self.connect(parts)
            if parts.password:
                user = [urllib.parse.unquote(parts.username)] if parts.username else []
                self.call('AUTH', *user, urllib.parse.unquote(parts.password))
            number = urllib.parse.parse_qs(parts.query).get('db') if parts.scheme == 'unix' else [parts.path.strip('/')]
            self.call('SELECT', number and number[0] or '0')
        except BaseException:
            self.close()
            raise

    def failure(self, reason):
        return Failure(f'Redis at {self.place}, which REDIS_URL names: {reason}')

    def connect(self, parts):
        try:
            if parts.scheme == 'unix':
                self.link = socket.socket(socket.AF_UNIX)
                self.link.settimeout(self.SECONDS)
                self.link.connect(parts.path)
            else:
                self.link = socket.create_connection((parts.hostname or '127.0.0.1', parts.port or 6379), self.SECONDS)
        except (OSError, UnicodeError) as reason:
            raise self.failure(getattr(reason, 'strerror', None) or 'no connection') from None
        self.file = self.link.makefile('rb')

    def close(self):
        for each in (self.file, self.link):
            if each:
                each.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, *words):
        packed = b''.join(b'$%d\r\n%s\r\n' % (len(word), word) for word in (str(word).encode() for word in words))
        try:
            self.link.sendall(b'*%d\r\n%s' % (len(words), packed))
            return self.reply()
        except TimeoutError:
            raise self.failure(f'no answer within {self.SECONDS} seconds') from None
        except OSError as reason:
            raise self.failure(reason.strerror or 'the connection broke') from None

    def reply(self):
        line = self.file.readline()
        if not line:
            raise self.failure('it closed the connection')
        kind, rest = line[:1], line[1:-2]
        if kind == b'-':
            raise self.failure(rest.decode(errors='replace'))
        if kind == b'+':
            return rest.decode(errors='replace')
        try:
            if kind == b':':
                return int(rest)
            if kind == b'$':
                return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2].decode(errors='replace')
            if kind == b'*':
                return [self.reply() for _ in range(int(rest))]
        except ValueError:
            pass
        raise self.failure('this is no Redis')

    def probe(self, name):
        """Whether it lets us write, run scripts and publish under this name: a Failure tells what it does not."""
        self.call('EVAL', "return redis.call('SET', KEYS[1], 'x', 'PX', 1000)", 1, name)
        self.call('SET', name, 'x', 'PX', 1000)
        self.call('UNLINK', name)
        self.call('PUBLISH', name, 'x')

    def keys(self, pattern):
        """Batches of keys that match."""
        cursor = '0'
        while True:
            cursor, batch = self.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000)
            if batch:
                yield batch
            if cursor == '0':
                return

    def remove(self, pattern):
        for batch in self.keys(pattern):
            self.call('UNLINK', *batch)
