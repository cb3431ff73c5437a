# SPDX-License-Identifier: MIT
"""What a fleet is made of beside PostgreSQL: a Redis Cluster, members, the balancer before them. All end with this process."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), os.path.join(ROOT, 'tests', 'support')]

from measure import Failure  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import Program  # noqa: E402  # pylint: disable=wrong-import-position
from measure.redis import Redis as Link  # noqa: E402  # pylint: disable=wrong-import-position
import servers  # noqa: E402  # pylint: disable=wrong-import-position

SECONDS = 60
PAUSE = .05


def until(what, done, seconds=SECONDS):
    """What `done` answers, once that is something; a server that cannot be asked has answered nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = done()
        except (Failure, OSError):
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f'not within {seconds} s: {what}')
        time.sleep(PAUSE)


class Node(servers.Redis):
    """One of a cluster; started again it finds the others by its own file."""

    def __init__(self, root, account, number):
        self.name = f'node-{number}'
        super().__init__(root, account)
        self.bus = servers.free_port()      # by default 10,000 above its port, which may be no port

    def command(self, port):
        return [*super().command(port), '--cluster-enabled', 'yes', '--cluster-port', str(self.bus), '--cluster-node-timeout', '1000',
                '--repl-diskless-sync-delay', '0']

    def ask(self, *words):
        with Link(f'unix://{self.socket()}') as link:
            return link.call(*words)

    def says(self, question, text):
        return text in self.ask(*question.split())


class Cluster:
    """Three masters, each with a replica."""

    MASTERS, NODES = 3, 6

    def __init__(self, root, account):
        self.nodes = [Node(root, account, number) for number in range(self.NODES)]

    def start(self):
        for node in self.nodes:
            node.start()
        done = subprocess.run(['redis-cli', '--cluster', 'create', *(f'127.0.0.1:{node.port}' for node in self.nodes),
                               '--cluster-replicas', '1', '--cluster-yes'], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure('redis-cli made no cluster: ' + ' | '.join((done.stdout + done.stderr).strip().splitlines()[-3:]))
        until('a cluster of six nodes', self.whole)

    def whole(self):
        """All of them agree that all is served, and each replica follows."""
        return all(node.says('CLUSTER INFO', 'cluster_state:ok') and node.says('CLUSTER INFO', f'cluster_known_nodes:{self.NODES}')
                   and (node.says('INFO replication', 'role:master') or node.says('INFO replication', 'master_link_status:up'))
                   for node in self.nodes) and sum(node.says('INFO replication', 'role:master') for node in self.nodes) == self.MASTERS

    def url(self):
        return 'redis+cluster://' + ','.join(f'127.0.0.1:{node.port}' for node in self.nodes)

    def owner(self, key):
        """The node that serves the key's slot, as one says that is alive."""
        alive = [node for node in self.nodes if node.alive()]
        slot = alive[0].ask('CLUSTER', 'KEYSLOT', key)
        for low, high, master, *_ in alive[0].ask('CLUSTER', 'SLOTS'):
            if low <= slot <= high:
                return next(node for node in self.nodes if node.port == master[1])
        return None

    def stop(self):
        for node in self.nodes:
            node.kill()


class Balancer(servers.Server):
    """HAProxy: asks each member for its health, gives a read that broke to another one, takes one out before it is restarted."""

    name = 'haproxy'

    def __init__(self, root, ports, check):
        super().__init__(root, None)
        self.ports, self.check = ports, check

    @staticmethod
    def program():
        """None where there is none."""
        path = os.environ.get('SP_HAPROXY') or os.path.join(ROOT, '.venv', 'bin', 'haproxy')
        return path if os.access(path, os.X_OK) else shutil.which('haproxy', path=os.environ.get('PATH', '') + ':/usr/sbin')

    def door(self):
        return os.path.join(self.dir, 'door')

    def command(self, port):
        path = os.path.join(self.dir, 'haproxy.cfg')
        with open(path, 'w', encoding='ascii') as file:
            file.write(CONFIGURATION.format(door=self.door(), port=port, check=self.check) + ''.join(
                f'    server member-{number} 127.0.0.1:{member}\n' for number, member in enumerate(self.ports)))
        return [self.program(), '-db', '-f', path]

    def ready(self, port):
        try:
            return f'{len(self.ports)}' == str(sum(line.split(',')[17].startswith('UP') for line in self.rows()))
        except OSError:
            return False

    def say(self, text):
        """What its runtime interface answers."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(self.door())
            link.sendall(text.encode() + b'\n')
            parts = []
            while part := link.recv(65536):
                parts.append(part)
        return b''.join(parts).decode()

    def rows(self):
        """A line a member; column 4 its requests, 17 its state."""
        return re.findall(r'^service,member-.*$', self.say('show stat'), re.MULTILINE)

    def state(self, number):
        return self.rows()[number].split(',')[17]

    def drain(self, number):
        """Gives it nothing more, and waits for what it has."""
        self.say(f'set server service/member-{number} state drain')
        until(f'member-{number} has no requests', lambda: self.rows()[number].split(',')[4] == '0')

    def give(self, number):
        self.say(f'set server service/member-{number} state ready')
        until(f'member-{number} is up', lambda: self.state(number) == 'UP')


CONFIGURATION = """global
    stats socket {door} mode 600 level admin
    maxconn 4000
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 30s
    timeout check 5s
    retries 5
    option redispatch 1
    # A member that ended took what it was asked with it: a read may be asked of another one, a write may not.
    retry-on conn-failure empty-response
    default-server check inter {check} fastinter 100ms downinter 100ms fall 2 rise 1 observe layer4 error-limit 3 on-error mark-down
frontend front
    bind 127.0.0.1:{port}
    default_backend service
backend service
    http-request disable-l7-retry if METH_POST
    option httpchk GET /metrics/cache
"""


class Member:
    """A process of the service, on the same port whenever it is started."""

    def __init__(self, build, environment):
        self.build, self.environment, self.port, self.program = build, environment, 0, None

    def start(self):
        self.program = Program(self.build, 'service', self.environment, self.port,
                               preexec_fn=lambda: servers.die_with_parent(signal.SIGKILL))
        self.port = self.program.port

    def kill(self):
        self.program.process.kill()
        self.program.process.wait()
        self.close()

    def stop(self):
        status = self.program.stop(SECONDS)
        words = self.program.last_words()
        self.close()
        if status:
            raise Failure(f'the service ended with status {status}: {words}')

    def close(self):
        self.program.process.stdout.close()
        self.program.log.close()

    def alive(self):
        return self.program is not None and self.program.process.poll() is None

    def leads(self):
        """Whether it reads the change feed for all."""
        return self.program.json('GET', '/health/feed')['state'] == 'leading'
