#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Private PostgreSQL and Redis for one command, always cleaned up.

    servers.py exec [--pg] [--redis] [--missing] [--replica] [--tls] [--pg-opt k=v]... -- command [args...]
    servers.py ctl stop|start|restart|kill|freeze|thaw pg|redis|replica        (from inside such a command)
    servers.py ctl promote replica

A server that is frozen keeps its connections and answers nothing.

Without --pg and --redis both are started; with --missing those that DATABASE_URL and
REDIS_URL do not name, and it says which. The command sees SP_TEST_PG, SP_TEST_PG_SOCKET, SP_TEST_REDIS,
SP_TEST_REDIS_SOCKET, SP_TEST_SERVERS (the folder of this set), DATABASE_URL and REDIS_URL. Roles: test/test
(superuser) and sugar/sweet; Redis has the default user and sugar/sweet. TCP asks for the password, the socket does not.
--replica adds a PostgreSQL that streams from the first one (SP_TEST_PG_REPLICA, SP_TEST_PG_REPLICA_SOCKET). With --tls
PostgreSQL has a certificate for "localhost" by a private authority (SP_TEST_CA).
"""
import ctypes
import glob
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
START_TRIES = 5
RESTART_TRIES = 40
RESTART_PAUSE = 0.25
START_SECONDS = 60
STOP_SECONDS = 20
VERBS = ('stop', 'start', 'restart', 'kill', 'promote', 'freeze', 'thaw')
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A one-line reason, shown to the user."""


def die_with_parent(sig):
    """For a child just forked: receive sig when the parent dies."""
    LIBC.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def find_program(name, patterns=()):
    for pattern in patterns:
        found = sorted(glob.glob(pattern), key=lambda path: [int(n) for n in path.split('/') if n.isdigit()])
        if found:
            return found[-1]
    path = shutil.which(name)
    if not path:
        raise Failure(f'{name} is missing: run ./run setup')
    return path


def pg_program(name):
    return find_program(name, [f'/usr/lib/postgresql/*/bin/{name}'])


def unprivileged():
    """The account that runs servers: None for ourselves, else a passwd entry when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failure('no unprivileged account (postgres or nobody) to run PostgreSQL as')


def children(parent):
    """Process ids."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', encoding='utf-8', errors='replace') as file:
                if int(file.read().rpartition(')')[2].split()[1]) == parent:
                    found.append(int(name))
        except OSError:
            continue
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    """One server process: started with a port of its own, stopped, killed, started again on the same port."""

    name = ''
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGTERM

    def __init__(self, root, account):
        self.dir = os.path.join(root, self.name)
        self.account = account
        self.port = None
        self.process = None
        self.frozen = []
        os.mkdir(self.dir, 0o755)
        if account:
            os.chown(self.dir, account.pw_uid, account.pw_gid)

    def spawn(self, command, **options):
        if self.account:
            options.update(user=self.account.pw_uid, group=self.account.pw_gid, extra_groups=[])
        environment = {key: value for key, value in os.environ.items() if not key.startswith('PG')}
        environment.update(HOME=self.dir, LC_ALL='C')
        return subprocess.Popen(command, cwd=self.dir, env=environment, stdin=subprocess.DEVNULL, **options)

    def log(self):
        return os.path.join(self.dir, 'log')

    def log_tail(self):
        try:
            with open(self.log(), encoding='utf-8', errors='replace') as file:
                return ' | '.join(line.strip() for line in file.readlines()[-4:])
        except OSError:
            return 'no log'

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        if self.alive():
            return
        # A server that was killed leaves children, which hold its memory until they notice.
        for _ in range(RESTART_TRIES if self.port else START_TRIES):
            port = self.port or free_port()
            if self.try_start(port):
                self.port = port
                return
            time.sleep(RESTART_PAUSE if self.port else 0)
        raise Failure(f'{self.name} did not start: {self.log_tail()}')

    def try_start(self, port):
        with open(self.log(), 'ab') as log:
            self.process = self.spawn(self.command(port), stdout=log, stderr=log, start_new_session=True,
                                      preexec_fn=lambda: die_with_parent(self.death_signal))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.alive():
            if self.ready(port) and self.alive():
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def stop(self):
        self.end(self.stop_signal)

    def kill(self):
        self.end(signal.SIGKILL)

    def freeze(self):
        """It first, so that it makes no more children."""
        if self.frozen or not self.alive():
            return
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = children(self.process.pid)
        self.signal_frozen(signal.SIGSTOP)

    def thaw(self):
        self.signal_frozen(signal.SIGCONT)
        self.frozen = []
        if self.alive():
            self.process.send_signal(signal.SIGCONT)

    def signal_frozen(self, sig):
        for pid in self.frozen:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                continue

    def end(self, sig):
        if self.process is None:
            return
        self.thaw()
        if self.alive():
            self.process.send_signal(sig)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def control(self, verb):
        if verb in ('stop', 'restart'):
            self.stop()
        elif verb == 'kill':
            self.kill()
        if verb in ('start', 'restart'):
            self.start()
        if verb == 'promote':
            self.promote()
        if verb == 'freeze':
            self.freeze()
        if verb == 'thaw':
            self.thaw()

    def promote(self):
        raise Failure(f'{self.name} is nobody\'s replica')


class Postgres(Server):
    name = 'pg'
    stop_signal = signal.SIGINT     # fast shutdown
    death_signal = signal.SIGQUIT   # immediate shutdown
    settings = {'fsync': 'off', 'synchronous_commit': 'off', 'full_page_writes': 'off', 'wal_level': 'logical',
                'shared_buffers': '128MB', 'max_connections': '200', 'jit': 'off', 'listen_addresses': '127.0.0.1',
                'max_wal_senders': '10', 'max_replication_slots': '20', 'max_prepared_transactions': '8',
                'log_min_messages': 'warning'}

    def __init__(self, root, account, options=(), tls=False):
        super().__init__(root, account)
        self.options = dict(self.settings)
        self.options.update(option.split('=', 1) for option in options)
        self.data = os.path.join(self.dir, 'data')
        self.tls = tls
        self.initialise()
        if tls:
            self.certify()

    def tool(self, command):
        """Runs a program of the server's account to its end."""
        done = self.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          preexec_fn=lambda: die_with_parent(signal.SIGTERM))
        try:
            output = done.communicate()[0]
        except BaseException:
            done.terminate()    # it takes away what it began
            done.communicate()
            raise
        if done.returncode:
            raise Failure(f'{os.path.basename(command[0])} failed: ' +
                          output.decode(errors='replace').strip().replace('\n', ' | '))

    def certify(self):
        """A private authority, and a certificate of its for "localhost"."""
        openssl = find_program('openssl')
        new = [openssl, 'req', '-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
        self.tool(new + ['-x509', '-days', '2', '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.crt'])
        self.tool(new + ['-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr'])
        self.tool([openssl, 'x509', '-req', '-days', '2', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key',
                   '-CAcreateserial', '-out', 'server.crt'])
        self.options.update(ssl='on', ssl_cert_file=os.path.join(self.dir, 'server.crt'),
                            ssl_key_file=os.path.join(self.dir, 'server.key'))

    def initialise(self):
        self.tool([pg_program('initdb'), '-D', self.data, '-U', 'test', '--auth=trust', '-E', 'UTF8',
                   '--locale=C.UTF-8', '--no-sync'])
        with open(os.path.join(self.data, 'pg_hba.conf'), 'w', encoding='ascii') as file:
            file.write('local all all trust\nlocal replication all trust\n'
                       'host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n')

    def start(self):
        first = self.port is None
        super().start()
        if first:
            self.sql('postgres', "ALTER ROLE test PASSWORD 'test'", "CREATE ROLE sugar LOGIN PASSWORD 'sweet'",
                     'CREATE DATABASE test', 'GRANT ALL ON DATABASE test TO sugar')
            self.sql('test', 'GRANT ALL ON SCHEMA public TO sugar')

    def command(self, port):
        command = [pg_program('postgres'), '-D', self.data, '-p', str(port), '-k', self.dir]
        for key, value in self.options.items():
            command += ['-c', f'{key}={value}']
        return command

    def ready(self, port):
        # A port in use only warns while the socket works: ask both.
        return all(subprocess.run([pg_program('pg_isready'), '-q', '-h', host, '-p', str(port)], check=False).returncode
                   == 0 for host in (self.dir, '127.0.0.1'))

    def sql(self, database, *statements):
        command = [pg_program('psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', self.dir, '-p', str(self.port),
                   '-U', 'test', '-d', database]
        for statement in statements:
            command += ['-c', statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure('psql failed: ' + done.stderr.strip().replace('\n', ' | '))

    def environment(self):
        tcp = f'postgresql://test:test@127.0.0.1:{self.port}/test'
        local = f'postgresql://test@/test?host={self.dir}&port={self.port}'
        authority = {'SP_TEST_CA': os.path.join(self.dir, 'ca.crt')} if self.tls else {}
        return {'SP_TEST_PG': tcp, 'SP_TEST_PG_SOCKET': local, 'DATABASE_URL': tcp, **authority}


class Replica(Postgres):
    """Streams from a primary that runs."""

    name = 'replica'

    def __init__(self, root, account, primary):
        self.primary = primary
        super().__init__(root, account)
        self.options = dict(primary.options)

    def initialise(self):
        self.tool([pg_program('pg_basebackup'), '-h', self.primary.dir, '-p', str(self.primary.port), '-U', 'test',
                   '-D', self.data, '-R', '--checkpoint=fast', '--no-sync'])

    def start(self):
        Server.start(self)

    def promote(self):
        self.tool([pg_program('pg_ctl'), 'promote', '-w', '-D', self.data])

    def environment(self):
        tcp = f'postgresql://test:test@127.0.0.1:{self.port}/test'
        local = f'postgresql://test@/test?host={self.dir}&port={self.port}'
        return {'SP_TEST_PG_REPLICA': tcp, 'SP_TEST_PG_REPLICA_SOCKET': local}


class Redis(Server):
    name = 'redis'

    def command(self, port):
        path = os.path.join(self.dir, 'redis.conf')
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'port {port}\nbind 127.0.0.1\nunixsocket {self.socket()}\nunixsocketperm 777\nsave ""\n'
                       f'appendonly no\ndaemonize no\ndir {self.dir}\nuser default on nopass ~* &* +@all\n'
                       'user sugar on >sweet ~* &* +@all\n')
        return [find_program('redis-server'), path]

    def socket(self):
        return os.path.join(self.dir, 'redis.sock')

    def ready(self, port):
        # Over the socket, so that another server on the same port cannot answer for ours.
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(self.socket())
                link.sendall(b'PING\r\n')
                return link.recv(64).startswith(b'+PONG')
        except OSError:
            return False

    def environment(self):
        tcp = f'redis://127.0.0.1:{self.port}/0'
        return {'SP_TEST_REDIS': tcp, 'SP_TEST_REDIS_SOCKET': f'unix://{self.socket()}?db=0', 'REDIS_URL': tcp}


class Interrupted(Exception):
    """A signal asked us to end."""

    def __init__(self, sig):
        super().__init__(sig)
        self.sig = sig


def handle(handler):
    for sig in SIGNALS:
        signal.signal(sig, handler)


def deaf(_sig, _frame):
    """Not SIG_IGN: Python complains of a signal that came before it was ignored and is looked at after."""


class Supervisor:
    """Owns the servers and the command; one thread, which answers `ctl` while the command runs."""

    def __init__(self, want, pg_options):
        self.want, self.pg_options = want, pg_options
        self.root = None
        self.servers = {}
        self.command = None
        self.guard = None

    def run(self, command):
        parent = os.getppid()
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            return 128 + signal.SIGTERM
        handle(self.interrupt)
        try:
            self.start()
            return self.attend(command)
        except Interrupted as reason:
            return 128 + reason.sig
        finally:
            handle(deaf)
            self.clean()

    @staticmethod
    def interrupt(sig, _frame):
        # The first one counts: from here on everything is being taken down.
        handle(deaf)
        raise Interrupted(sig)

    def start(self):
        # A short path: sun_path holds 108 bytes.
        base = os.environ.get('TMPDIR', '/tmp')
        self.root = tempfile.mkdtemp(prefix='sp-', dir=base if len(base) < 60 and os.path.isdir(base) else '/tmp')
        os.chmod(self.root, 0o755)
        self.watch()
        account = unprivileged()
        if 'pg' in self.want:
            self.servers['pg'] = Postgres(self.root, account, self.pg_options, 'tls' in self.want)
        if 'redis' in self.want:
            self.servers['redis'] = Redis(self.root, account)
        for server in self.servers.values():
            server.start()
        if 'replica' in self.want:
            self.servers['replica'] = Replica(self.root, account, self.servers['pg'])
            self.servers['replica'].start()

    def watch(self):
        """Fork a guard that removes the folder should we be killed outright; the servers get their death signal."""
        reader, self.guard = os.pipe()
        # Blocked, so that no signal finds the child with the parent's handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if os.fork() != 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.close(reader)
            return
        try:
            self.stand_guard(reader)
        finally:
            os._exit(0)

    def stand_guard(self, reader):
        os.setsid()
        os.close(self.guard)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.read(reader, 1)
        for _ in range(100):
            shutil.rmtree(self.root, ignore_errors=True)
            if not os.path.exists(self.root):
                break
            time.sleep(0.1)

    def attend(self, command):
        environment = dict(os.environ, SP_TEST_SERVERS=self.root)
        for server in self.servers.values():
            environment.update(server.environment())
        wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with socket.socket(socket.AF_UNIX) as door, selectors.DefaultSelector() as selector:
            door.bind(os.path.join(self.root, 'ctl'))
            door.listen(8)
            selector.register(door, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            try:
                self.command = subprocess.Popen(command, env=environment,
                                                preexec_fn=lambda: die_with_parent(signal.SIGTERM))
            except OSError as reason:
                raise Failure(f'cannot run {command[0]}: {reason.strerror}') from reason
            while self.command.poll() is None:
                for key, _ in selector.select():
                    if key.fileobj is door:
                        self.answer(door)
                    else:
                        os.read(wake, 512)
        code = self.command.returncode
        return code if code >= 0 else 128 - code

    def answer(self, door):
        link, _ = door.accept()
        with link:
            link.settimeout(5)
            try:
                verb, name = link.recv(64).decode().split()
                self.servers[name].control(verb)
                link.sendall(b'ok')
            except Failure as reason:
                link.sendall(str(reason).encode())
            except (OSError, ValueError, KeyError):
                with_error = b'no such server in this set'
                try:
                    link.sendall(with_error)
                except OSError:
                    pass

    def clean(self):
        if self.command is not None and self.command.poll() is None:
            self.command.terminate()
            try:
                self.command.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.command.kill()
                self.command.wait()
        for server in self.servers.values():
            server.stop()
        if self.root:
            shutil.rmtree(self.root, ignore_errors=True)
        if self.guard is not None:
            os.close(self.guard)


def control(verb, name):
    folder = os.environ.get('SP_TEST_SERVERS')
    if not folder:
        raise Failure('SP_TEST_SERVERS is not set: run this inside "servers.py exec -- ..."')
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(os.path.join(folder, 'ctl'))
            link.sendall(f'{verb} {name}'.encode())
            reply = link.recv(4096).decode()
        except OSError as reason:
            raise Failure(f'the servers of {folder} do not answer: {reason.strerror}') from reason
    if reply != 'ok':
        raise Failure(reply or 'the servers ended')


def missing():
    """The servers that the environment does not name; says which are whose."""
    absent, words = set(), []
    for name, title, variable in (('pg', 'PostgreSQL', 'DATABASE_URL'), ('redis', 'Redis', 'REDIS_URL')):
        if os.environ.get(variable):
            words.append(f'{title}: that of {variable}')
        else:
            absent.add(name)
            words.append(f'{title}: a private one ({variable} is not set)')
    print(f"==> {'; '.join(words)}", file=sys.stderr, flush=True)
    return absent


def parse_exec(args):
    want, extras, options = None, set(), []
    while args:
        word, args = args[0], args[1:]
        if word == '--':
            break
        if word in ('--pg', '--redis'):
            want = (want or set()) | {word[2:]}
        elif word == '--missing':
            want = (want or set()) | missing()
        elif word in ('--replica', '--tls'):
            extras.add(word[2:])
        elif word == '--pg-opt' and args and '=' in args[0]:
            options.append(args[0])
            args = args[1:]
        else:
            raise Failure(f'unknown argument {word}: see servers.py --help')
    if not args:
        raise Failure('no command: servers.py exec [--pg] [--redis] -- command')
    want = {'pg', 'redis'} if want is None else want
    return Supervisor(want | extras | ({'pg'} if extras else set()), options), args


def main(args):
    try:
        if args[:1] == ['exec']:
            supervisor, command = parse_exec(args[1:])
            return supervisor.run(command)
        if args[:1] == ['ctl'] and len(args) == 3 and args[1] in VERBS:
            control(args[1], args[2])
            return 0
    except Failure as reason:
        print(f'servers.py: {reason}', file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
