# SPDX-License-Identifier: MIT
"""The servers helper leaves nothing behind, however it ends, and two sets do not meet."""
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'servers.py')
PATIENCE = 60


def start(command, *flags, **options):
    return subprocess.Popen([sys.executable, HELPER, 'exec', *flags, '--', *command], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **options)


def pids_with(text):
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                if text.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Servers(unittest.TestCase):
    """Each test keeps its sets in a folder of its own, so that what is left can be seen."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='spt-', dir='/tmp')
        self.addCleanup(folder.cleanup)
        self.base = folder.name
        os.chmod(self.base, 0o755)
        self.environment = dict(os.environ, TMPDIR=self.base)

    def start(self, command, *flags):
        process = start(command, *flags, env=self.environment)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def started(self, *flags):
        process = self.start(['sh', '-c', 'echo $SP_TEST_SERVERS; exec sleep 600'], *flags)
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        self.assertTrue(ready, 'the servers did not start')
        return process, process.stdout.readline().strip()

    def assertNothingLeft(self):
        deadline = time.monotonic() + PATIENCE
        while (os.listdir(self.base) or pids_with(self.base)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(os.listdir(self.base), [])
        self.assertEqual(pids_with(self.base), [])

    def run_to_end(self, script, *flags):
        process = self.start(['sh', '-c', script], *flags)
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors

    def test_the_status_of_the_command_is_passed_on(self):
        code, output, errors = self.run_to_end('test -S "$SP_TEST_SERVERS/redis/redis.sock" && exit 7', '--redis')
        self.assertEqual((code, output, errors), (7, '', ''))
        self.assertNothingLeft()

    def test_both_servers_answer_by_both_ways(self):
        code, output, errors = self.run_to_end(
            'psql "$SP_TEST_PG" -XAtc "SELECT current_user" && psql "$SP_TEST_PG_SOCKET" -XAtc "SHOW wal_level" && '
            'redis-cli -u "$SP_TEST_REDIS" ping && redis-cli -s "$SP_TEST_SERVERS/redis/redis.sock" ping')
        self.assertEqual((code, output.split()), (0, ['test', 'logical', 'PONG', 'PONG']), errors)
        self.assertNothingLeft()

    def test_a_wrong_password_is_refused(self):
        code, output, _ = self.run_to_end(
            'url=$(echo "$SP_TEST_PG" | sed s/test:test@/sugar:WORD@/); '
            'psql "$(echo "$url" | sed s/WORD/sweet/)" -XAtc "SELECT 1"; '
            'psql "$(echo "$url" | sed s/WORD/wrong/)" -XAtc "SELECT 2" 2>/dev/null; echo $?', '--pg')
        self.assertEqual((code, output.split()), (0, ['1', '2']))

    def test_a_server_restarts_on_its_port(self):
        code, output, errors = self.run_to_end(
            f'ctl() {{ {sys.executable} {HELPER} ctl "$@" || exit 9; }}; ctl kill pg; ctl stop redis; '
            'psql "$SP_TEST_PG" -XAtc "SELECT 1" 2>/dev/null; redis-cli -u "$SP_TEST_REDIS" ping 2>/dev/null | grep -c PONG; '
            'ctl start pg; ctl restart redis; '
            'psql "$SP_TEST_PG" -XAtc "SELECT 3"; redis-cli -u "$SP_TEST_REDIS" ping')
        self.assertEqual((code, output.split()), (0, ['0', '3', 'PONG']), errors)
        self.assertNothingLeft()

    def test_a_replica_follows_and_is_promoted(self):
        code, output, errors = self.run_to_end(
            'psql "$SP_TEST_PG_REPLICA" -XAtc "SELECT pg_is_in_recovery()"; '
            'psql "$(echo "$SP_TEST_PG" | sed s/127.0.0.1/localhost/)?sslmode=verify-full&sslrootcert=$SP_TEST_CA" '
            '-XAtc "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"; '
            f'{sys.executable} {HELPER} ctl promote replica && '
            'psql "$SP_TEST_PG_REPLICA" -XAtc "SELECT pg_is_in_recovery()"', '--pg', '--replica', '--tls')
        self.assertEqual((code, output.split()), (0, ['t', 't', 'f']), errors)
        self.assertNothingLeft()

    def test_interrupt_and_terminate_clean_up(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=sig.name):
                process, _ = self.started()
                process.send_signal(sig)
                self.assertEqual(process.wait(PATIENCE), 128 + sig)
                self.assertNothingLeft()

    def assertQuietEnd(self, process):
        """Many signals, as of an impatient Ctrl-C, end it as one does."""
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * 20:
            process.send_signal(sig)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertIn(process.returncode, [128 + sig for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)], errors)
        self.assertEqual(errors, '')
        self.assertNothingLeft()

    def test_more_signals_change_nothing(self):
        for _ in range(3):
            self.assertQuietEnd(self.started('--redis')[0])

    def test_more_signals_while_the_servers_start_change_nothing(self):
        process = self.start(['sleep', '600'])
        deadline = time.monotonic() + PATIENCE
        while not pids_with(self.base) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertQuietEnd(process)

    def test_only_what_the_environment_does_not_name_is_started(self):
        show = 'echo ${SP_TEST_PG:+pg} ${SP_TEST_REDIS:+redis} $DATABASE_URL $REDIS_URL'
        for named, shown in (({}, 'pg redis postgresql:// redis://'), ({'DATABASE_URL': 'mine'}, 'redis mine redis://'),
                             ({'REDIS_URL': 'mine'}, 'pg postgresql:// mine'),
                             ({'DATABASE_URL': 'one', 'REDIS_URL': 'two'}, 'one two')):
            with self.subTest(named=named):
                self.environment = {key: value for key, value in self.environment.items()
                                    if not key.startswith('SP_TEST_') and key not in ('DATABASE_URL', 'REDIS_URL')}
                self.environment.update(named)
                code, output, errors = self.run_to_end(show, '--missing')
                words = [word.split('//')[0] + '//' if '//' in word else word for word in output.split()]
                self.assertEqual((code, words, errors.count('\n')), (0, shown.split(), 1), errors)
                for variable in ('DATABASE_URL', 'REDIS_URL'):
                    self.assertEqual(f'that of {variable}' in errors, variable in named)
        self.assertNothingLeft()

    def test_a_killed_helper_leaves_nothing(self):
        process, _ = self.started()
        process.kill()
        process.wait(PATIENCE)
        self.assertNothingLeft()

    def test_a_killed_command_ends_the_set(self):
        code, _, _ = self.run_to_end('kill -9 $$', '--redis')
        self.assertEqual(code, 128 + signal.SIGKILL)
        self.assertNothingLeft()

    def test_two_sets_stand_side_by_side(self):
        first, one = self.started()
        second, two = self.started()
        self.assertNotEqual(one, two)
        for process in (first, second):
            self.assertIsNone(process.poll())
            process.terminate()
            process.wait(PATIENCE)
        self.assertNothingLeft()

    def test_bad_arguments_are_one_line(self):
        for arguments in (['exec', '--nonsense', '--', 'true'], ['exec', '--'], ['ctl', 'stop', 'pg']):
            with self.subTest(arguments=arguments):
                environment = {key: value for key, value in self.environment.items() if key != 'SP_TEST_SERVERS'}
                done = subprocess.run([sys.executable, HELPER, *arguments], env=environment, capture_output=True, text=True,
                                      check=False)
                self.assertEqual((done.returncode, done.stderr.count('\n')), (2, 1))
