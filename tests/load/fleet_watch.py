# SPDX-License-Identifier: MIT
"""Whether a fleet answers what is old: contents are changed all the time, each process is asked all the time.

A change is written by one of two ways, which alternate: "post", asked of the service, and "sql", plain SQL that no service hears of
but by the change feed. A read that began more than the way's bound after the change was acknowledged must not tell what was before.
"""
import collections
import http.client
import json
import subprocess
import threading
import time

WAYS = ('post', 'sql')
Change = collections.namedtuple('Change', 'version way at')


class Session:
    """psql, which answers when a change has been committed."""

    def __init__(self, url):
        self.process = subprocess.Popen(['psql', '-XqAtw', '-d', url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def change(self, content, text):
        self.process.stdin.write(f"UPDATE contents SET description = '{text}' WHERE id = '{content}' RETURNING 1;\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == '1\n'

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Caller:
    """A connection that is made again when it breaks."""

    def __init__(self, port):
        self.port, self.link = port, None

    def ask(self, method, path, body=None):
        """(status, text); None where nobody answered."""
        try:
            self.link = self.link or http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
            self.link.request(method, path, body)
            answer = self.link.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def close(self):
        if self.link:
            self.link.close()
        self.link = None


class Watch:
    """`bounds` in seconds by way. phase() gives out what was seen since it was last called."""

    def __init__(self, url, front, members, contents, bounds, pause=.02):  # pylint: disable=too-many-arguments
        self.contents, self.bounds, self.pause, self.url = contents, bounds, pause, url
        self.changes = {content: [] for content in contents}
        self.lock, self.ended, self.seen = threading.Lock(), threading.Event(), self.nothing()
        self.threads = [threading.Thread(target=self.write, args=(front,), daemon=True),
                        *(threading.Thread(target=self.read, args=(port,), daemon=True) for port in members)]

    @staticmethod
    def nothing():
        return {'reads': 0, 'unanswered': 0, 'changes': dict.fromkeys(WAYS, 0), 'oldest': dict.fromkeys(WAYS, 0.0), 'stale': []}

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def phase(self):
        with self.lock:
            seen, self.seen = self.seen, self.nothing()
        return seen

    def write(self, front):
        caller, session, version = Caller(front), Session(self.url), 0
        while not self.ended.wait(self.pause * 5):
            version += 1
            content, way = self.contents[version % len(self.contents)], WAYS[version // len(self.contents) % 2]
            text = f'version {version}'
            if way == 'sql':
                good = session.change(content, text)
            else:
                answer = caller.ask('POST', f'/content/{content}', json.dumps({'description': text}))
                good = answer and answer[0] == 200      # else nobody knows whether it was written
            if good:
                self.note(content, Change(version, way, time.monotonic()))
        caller.close()
        session.close()

    def note(self, content, change):
        with self.lock:
            self.changes[content] = [*self.changes[content][-200:], change]
            self.seen['changes'][change.way] += 1

    def read(self, port):
        caller, number = Caller(port), 0
        while not self.ended.wait(self.pause):
            number += 1
            content, began = self.contents[number % len(self.contents)], time.monotonic()
            answer = caller.ask('GET', f'/content/{content}')
            if answer and answer[0] == 200:
                self.judge(content, version_of(json.loads(answer[1])['description']), began, port)
            else:
                with self.lock:
                    self.seen['unanswered'] += 1
        caller.close()

    def judge(self, content, version, began, port):
        with self.lock:
            self.seen['reads'] += 1
            for way in WAYS:
                newer = next((change for change in self.changes[content] if change.way == way and change.version > version), None)
                age = began - newer.at if newer else 0
                self.seen['oldest'][way] = max(self.seen['oldest'][way], age)
                if age > self.bounds[way]:
                    self.seen['stale'].append(f'{content} at port {port}: version {version}, {age:.2f} s after {newer.version} ({way})')


def version_of(text):
    """0: as it was filled."""
    word, _, number = (text or '').partition(' ')
    return int(number) if word == 'version' and number.isdigit() else 0
