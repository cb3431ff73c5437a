# SPDX-License-Identifier: MIT
"""Takes keys of ours away from a Redis."""
import socket
import urllib.parse

from . import Failure


class Redis:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        query = urllib.parse.parse_qs(parts.query)
        try:
            if parts.scheme == 'unix':
                self.link = socket.socket(socket.AF_UNIX)
                self.link.settimeout(5)
                self.link.connect(parts.path)
                number = query.get('db', ['0'])[0]
            elif parts.scheme == 'redis':
                self.link = socket.create_connection((parts.hostname or '127.0.0.1', parts.port or 6379), 5)
                number = parts.path.strip('/') or '0'
            else:
                raise Failure('REDIS_URL must begin with redis:// or unix://')
        except OSError as reason:
            raise Failure(f'Redis does not answer ({reason}): is REDIS_URL right?') from None
        self.file = self.link.makefile('rb')
        if parts.password:
            user = [urllib.parse.unquote(parts.username)] if parts.username else []
            self.call('AUTH', *user, urllib.parse.unquote(parts.password))
        self.call('SELECT', number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.link.close()

    def call(self, *words):
        packed = b''.join(b'$%d\r\n%s\r\n' % (len(word), word) for word in (str(word).encode() for word in words))
        self.link.sendall(b'*%d\r\n%s' % (len(words), packed))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line:
            raise Failure('Redis closed the connection')
        kind, rest = line[:1], line[1:-2]
        if kind == b'-':
            raise Failure(f'Redis: {rest.decode()}: is REDIS_URL right?')
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2].decode(errors='replace')
        if kind == b'*':
            return [self.reply() for _ in range(int(rest))]
        return rest.decode()

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
