# SPDX-License-Identifier: MIT
"""Whether a fleet answers what is old: contents are changed all the time, each process is asked all the time.

A change is written by one of two ways, which alternate: "post", asked of the service, and "sql", plain SQL that no service hears of
but by the change feed. A read that began more than the way's bound after the change was acknowledged must not tell what was before.
Each change is of a content's description; one of ten is of its title, too, which a list shows: that of a user without interests, the best
of all, in which the watched ones stand.
"""
import collections
import http.client
import json
import subprocess
import threading
import time

WAYS = ('post', 'sql')
LIST = '/recommendations/nobody?limit=100'
TITLED = 11     # each so many changes; of both ways, and of every content in its turn
Change = collections.namedtuple('Change', 'version way at')


class Session:
    """psql, which answers when a change has been committed."""

    def __init__(self, url):
        self.process = subprocess.Popen(['psql', '-XqAtw', '-d', url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def change(self, content, columns):
        sets = ', '.join(f"{name} = '{text}'" for name, text in columns.items())
        self.process.stdin.write(f"UPDATE contents SET {sets} WHERE id = '{content}' RETURNING 1;\n")
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
        self.changes = {name: [] for content in contents for name in (content, in_list(content))}
        self.lock, self.ended, self.seen = threading.Lock(), threading.Event(), self.nothing()
        self.threads = [threading.Thread(target=self.write, args=(front,), daemon=True),
                        *(threading.Thread(target=self.read, args=(port,), daemon=True) for port in members)]

    @staticmethod
    def nothing():
        return {'reads': 0, 'lists': 0, 'unanswered': 0, 'changes': dict.fromkeys(WAYS, 0), 'oldest': dict.fromkeys(WAYS, 0.0), 'stale': []}

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
            columns = dict.fromkeys(('description', 'title') if version % TITLED == 0 else ('description',), f'version {version}')
            if way == 'sql':
                good = session.change(content, columns)
            else:
                answer = caller.ask('POST', f'/content/{content}', json.dumps(columns))
                good = answer and answer[0] == 200      # else nobody knows whether it was written
            if good:
                change = Change(version, way, time.monotonic())
                self.note(content, change)
                if 'title' in columns:
                    self.note(in_list(content), change, 0)
        caller.close()
        session.close()

    def note(self, content, change, count=1):
        with self.lock:
            self.changes[content] = [*self.changes[content][-200:], change]
            self.seen['changes'][change.way] += count

    def read(self, port):
        caller, number = Caller(port), 0
        while not self.ended.wait(self.pause):
            number += 1
            content, began = self.contents[number % len(self.contents)], time.monotonic()
            listed = number % 4 == 0
            answer = caller.ask('GET', LIST if listed else f'/content/{content}')
            good = answer and answer[0] == 200
            with self.lock:
                self.seen['reads' if good else 'unanswered'] += 1
            if good and listed:
                self.judge_list(json.loads(answer[1]), began, port)
            elif good:
                self.judge(content, version_of(json.loads(answer[1])['description']), began, port)
        caller.close()

    def judge_list(self, rows, began, port):
        with self.lock:
            self.seen['lists'] += any(row['id'] in self.contents for row in rows)
        for row in rows:
            if row['id'] in self.contents:
                self.judge(in_list(row['id']), version_of(row['title']), began, port)

    def judge(self, content, version, began, port):
        with self.lock:
            for way in WAYS:
                newer = next((change for change in self.changes[content] if change.way == way and change.version > version), None)
                age = began - newer.at if newer else 0
                self.seen['oldest'][way] = max(self.seen['oldest'][way], age)
                if age > self.bounds[way]:
                    self.seen['stale'].append(f'{content} at port {port}: version {version}, {age:.2f} s after {newer.version} ({way})')


def in_list(content):
    return f'{content} in a list'


def version_of(text):
    """0: as it was filled."""
    word, _, number = (text or '').partition(' ')
    return int(number) if word == 'version' and number.isdigit() else 0
