# SPDX-License-Identifier: MIT
"""The built programs: the service and the naive form as servers, the load generator as a command."""
import http.client
import json
import os
import subprocess
import tempfile

from . import Failure


SERVICES = ('auth', 'payment', 'content-streaming')


def path_of(build, name):
    """"service", "naive" and "load" are the recommendation service's; the others have its name."""
    words = (name, f'{name}-service') if name in SERVICES else ('recommendation', f'recommendation-{name}')
    path = os.path.join(build, 'examples', *words)
    if not os.access(path, os.X_OK):
        raise Failure(f'{path} is missing: ./run setup builds it')
    return path


class Program:
    """A server on a port, a free one where none is named, asked over HTTP."""

    def __init__(self, build, name, environment, port=0, **options):
        # pylint: disable=consider-using-with  # closed in stop()
        self.name, self.log = name, tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([path_of(build, name), '--port', str(port)], env=dict(os.environ, **environment),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True, **options)
        try:
            line = self.process.stdout.readline()
        except BaseException:   # interrupted: nobody knows it yet who would stop it
            self.stop(1)
            raise
        if not line.startswith('listening on '):
            self.process.wait()
            raise Failure(f'{name} did not start: {self.last_words()}')
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(':', 1)[1])

    def last_words(self):
        return '; '.join(self.messages()[-3:]) or 'it said nothing'

    def messages(self):
        self.log.seek(0)
        return self.log.read().splitlines()

    def stop(self, seconds=15):
        """Its exit status; killed when it does not end by itself."""
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop(1)
        self.log.close()

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        link = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        try:
            link.request(method, path, json.dumps(body) if body is not None else None, headers or {})
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        except (OSError, http.client.HTTPException) as reason:
            raise Failure(f'{self.name} did not answer {method} {path} ({reason}): {self.last_words()}') from None
        finally:
            link.close()

    def json(self, method, path, body=None):
        status, _, text = self.request(method, path, body)
        if status not in (200, 201):
            raise Failure(f'{self.name}: {method} {path} answered {status}: {text.strip()}')
        return json.loads(text)


class Load:
    """Runs the load generator against a program."""

    def __init__(self, build, sizes):
        self.command = [path_of(build, 'load'), '--users', str(sizes['users']), '--contents', str(sizes['contents']),
                        '--tags', str(sizes['tags'])]

    def run(self, program, **options):
        words = [word for key, value in options.items() for word in (f'--{key}', str(value))]
        done = subprocess.run([*self.command, '--port', str(program.port), *words], stdout=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode:
            raise Failure(f'recommendation-load ended with status {done.returncode}')
        return json.loads(done.stdout)
