#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The recommendation service as a fleet, on this machine: ./run fleet [--chaos] [--members N] [--scale N] [--rate N] [--seconds S]

N processes behind HAProxy, a Redis Cluster of three masters with a replica each, PostgreSQL with a replica, the change feed. It stays
up until Ctrl-C and says where. With --chaos it is asked all the time while the process that reads the feed is killed, the Redis master
that holds the log of invalidations is killed, PostgreSQL's replica is stopped, and all processes are restarted one after the other;
it ends with PASS or FAIL: fewer than 0.1 % of the requests failed, no answer was older than its bound, all answers are plain SQL's.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

import fleet_parts  # noqa: E402  # pylint: disable=wrong-import-position
from fleet_parts import Failure, until  # noqa: E402  # pylint: disable=wrong-import-position
from fleet_watch import WAYS, Watch  # noqa: E402  # pylint: disable=wrong-import-position
from measure import answers  # noqa: E402  # pylint: disable=wrong-import-position
from measure.database import OwnDatabase  # noqa: E402  # pylint: disable=wrong-import-position
from measure.program import path_of  # noqa: E402  # pylint: disable=wrong-import-position
import servers  # noqa: E402  # pylint: disable=wrong-import-position
import traffic  # noqa: E402  # pylint: disable=wrong-import-position

SERVICE = traffic.SERVICES['recommendation']
WATCHED = 8
# Seconds. "post": cache.bound, and a second for trips and for a machine that is busy with all of this. "sql": besides, until another
# process reads the feed (feed.lease and the slot), or until the cluster has another master (its time-out, a vote) and the feed its leader.
BOUNDS = {'post': 2.0, 'sql': 10.0}
FAILED = 0.1


def say(text):
    print(f'==> {text}', file=sys.stderr, flush=True)


def sizes_of(scale):
    return {name: value if name == 'tags' else max(100, int(value * scale)) for name, value in SERVICE.sizes.items()}


class Fleet:
    """Up from entering it to leaving it, however that ends."""

    def __init__(self, build, members, scale, check='500ms', **environment):
        self.build, self.count, self.sizes, self.check, self.environment = build, members, sizes_of(scale), check, environment
        self.database = OwnDatabase(os.environ['DATABASE_URL'], f'fleet_{os.getpid()}')
        self.members, self.cluster, self.balancer = [], None, None
        self.folder = os.path.join(os.environ['SP_TEST_SERVERS'], f'fleet-{os.getpid()}')    # goes with the servers, whoever dies

    def __enter__(self):
        if not fleet_parts.Balancer.program():
            raise Failure('haproxy is missing: ./run fleet installs it')
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        os.mkdir(self.folder, 0o755)
        say('data: ' + ', '.join(f'{value:,} {name}' for name, value in self.sizes.items()))
        self.fill()
        say('a Redis Cluster of three masters and three replicas')
        self.cluster = fleet_parts.Cluster(self.folder, servers.unprivileged())
        self.cluster.start()
        say(f'{self.count} processes behind HAProxy')
        for _ in range(self.count):
            self.members.append(fleet_parts.Member(self.build, self.settings()))
            self.members[-1].start()
        self.balancer = fleet_parts.Balancer(self.folder, [member.port for member in self.members], self.check)
        self.balancer.start()
        if self.settings()['FEED'] == 'on':
            until('somebody reads the change feed', self.leader)

    def fill(self):
        self.database.create()
        for name in SERVICE.files:
            self.database.run_file(name, **self.sizes)
        self.database.migrate(SERVICE.name)
        self.database.psql(['-c', 'VACUUM (ANALYZE)'])
        end = self.database.query('SELECT pg_current_wal_lsn()')
        until('the replica has all of it', lambda: self.database.psql(
            ['-c', f"SELECT pg_last_wal_replay_lsn() >= '{end}'"], os.environ['SP_TEST_PG_REPLICA']).strip() == 't')

    def settings(self):
        parts = urllib.parse.urlsplit(os.environ['SP_TEST_PG_REPLICA'])
        return {'DATABASE_URL': self.database.url, 'SUGARPERF_POOL_REPLICAS': parts._replace(path='/' + self.database.schema).geturl(),
                'REDIS_URL': self.cluster.url(), 'SUGARPERF_CACHE_NAMESPACE': self.database.schema, 'FEED': 'on', 'JOBS': 'on',
                'SUGARPERF_POOL_MAX': '20', **self.environment}

    def leader(self):
        return next((member for member in self.members if member.alive() and member.leads()), None)

    def log_master(self):
        """The node with the log of invalidations."""
        return self.cluster.owner(f'{{{self.database.schema}}}')

    def stop(self):
        running = [member for member in self.members if member.alive()]
        for member in running:
            member.program.process.terminate()
        for member in running:
            member.program.stop()
            member.close()
        if self.balancer:
            self.balancer.kill()
        if self.cluster:
            self.cluster.stop()
        self.database.drop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def watched(self):
        """The best ones, which stand in the list of whoever has no interests."""
        return self.database.query("SELECT string_agg(id, ' ') FROM (SELECT id FROM contents ORDER BY engagement_score DESC, id"
                                   f' LIMIT {WATCHED}) x').split()

    def differences(self):
        """Of each process, and by way of the balancer."""
        users = [f'user-{number}' for number in range(0, self.sizes['users'], max(1, self.sizes['users'] // 20))]
        return [line for member in self.members
                for line in answers.differences(self.database, member.program, [*users, 'nobody'], self.watched())]


# What is done to a fleet: each is a name and two steps, one early in its time under load, one later.

def kill_member(fleet):
    victim = until('somebody reads the feed', fleet.leader)
    victim.kill()
    return lambda: (victim.start(), until('it is in again', lambda: fleet.balancer.state(fleet.members.index(victim)) == 'UP'))


def kill_redis(fleet):
    victim = fleet.log_master()
    victim.kill()
    until('its replica serves its slots', lambda: fleet.log_master() not in (victim, None))
    return lambda: (victim.start(), until('the cluster is whole', fleet.cluster.whole))


def stop_replica(_fleet):
    servers.control('stop', 'replica')
    return lambda: servers.control('start', 'replica')


def rolling_restart(fleet):
    for number, member in enumerate(fleet.members):
        fleet.balancer.drain(number)
        member.stop()
        member.start()
        fleet.balancer.give(number)
    return lambda: None


PHASES = (('nothing', lambda _fleet: lambda: None), ('one process is killed, the feed\'s', kill_member),
          ('the Redis master of the log is killed', kill_redis), ('the PostgreSQL replica is stopped', stop_replica),
          ('a rolling restart', rolling_restart), ('nothing, afterwards', lambda _fleet: lambda: None))


class Load:
    """The open model, by way of the balancer, while a phase goes on."""

    def __init__(self, fleet, rate, seconds, seed):
        path = os.path.join(fleet.folder, 'requests')
        traffic.write_open(path, SERVICE, fleet.sizes, [], int(rate * seconds), seed)
        self.process = subprocess.Popen([path_of(fleet.build, 'load'), '--port', str(fleet.balancer.port), '--profile', 'file',
                                         '--file', path, '--rate', str(rate), '--seconds', str(seconds), '--grace', '20'],
                                        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: servers.die_with_parent(signal.SIGKILL))

    def end(self):
        output = self.process.communicate()[0]
        if self.process.returncode:
            raise Failure(f'recommendation-load ended with status {self.process.returncode}')
        run = json.loads(output)
        kinds = run['endpoints'].values()
        return {'answered': sum(kind['count'] for kind in kinds), 'p99': max(kind['p99'] for kind in kinds),
                # An empty list in place of an answer is a failure here: the database was there all the time.
                'failed': sum(kind['errors'] + kind['fallback'] for kind in kinds) + run['unfinished']}

    def kill(self):
        self.process.kill()
        self.process.communicate()


def run_phase(fleet, watch, phase, rate, seconds, seed):  # pylint: disable=too-many-arguments
    name, work = phase
    say(f'{name}: {rate} requests/s for {seconds:g} s')
    load, began = Load(fleet, rate, seconds, seed), time.monotonic()
    try:
        time.sleep(seconds * .2)
        mend = work(fleet)
        time.sleep(max(0, began + seconds * .6 - time.monotonic()))
        mend()
        took = time.monotonic() - began
        return {'name': name, **load.end(), 'took': took, **watch.phase()}
    except BaseException:
        load.kill()
        raise


def chaos(fleet, rate, seconds, bounds):
    """What happened in each phase; and the answers that are not plain SQL's at the end."""
    rows = []
    with Watch(fleet.database.url, fleet.balancer.port, [member.port for member in fleet.members], fleet.watched(), bounds) as watch:
        for number, phase in enumerate(PHASES):
            rows.append(run_phase(fleet, watch, phase, rate, seconds, number + 1))
    time.sleep(max(bounds.values()) if bounds is BOUNDS else 0)
    return {'members': fleet.count, 'sizes': fleet.sizes, 'rate': rate, 'bounds': bounds, 'phases': rows}


def verdicts(result, differences):
    answered, failed = (sum(row[key] for row in result['phases']) for key in ('answered', 'failed'))
    percent = 100 * failed / max(1, answered)
    stale = [line for row in result['phases'] for line in row['stale']]
    return [('failed, %', f'< {FAILED:g}', percent, percent < FAILED), ('answers past their bound', '0', len(stale), not stale),
            ("answers that are not plain SQL's at the end", '0', len(differences), not differences)]


def show(result, differences):
    print(f"\n{'':40}  answered    failed   p99, ms  reads  lists  oldest answer, s: post, sql")
    for row in result['phases']:
        ages = ', '.join(f"{row['oldest'][way]:.2f}" for way in WAYS)
        print(f"{row['name']:40}  {row['answered']:8,}  {row['failed']:8,}  {row['p99']:8.1f}  {row['reads']:5,}  {row['lists']:5,}  {ages}")
    for line in [line for row in result['phases'] for line in row['stale']][:20] + differences[:20]:
        print(f'OLD  {line}')
    rows = verdicts(result, differences)
    for what, bound, value, met in rows:
        print(f"{'PASS' if met else 'FAIL'}  {what:48} {bound:>6}  {value:10.3f}")
    return all(row[3] for row in rows)


def stay(fleet):
    print(f"\nUp, until Ctrl-C: http://127.0.0.1:{fleet.balancer.port}")
    for path in ('/recommendations/user-1?limit=10', '/content/content-7', '/metrics'):
        print(f"  curl 'http://127.0.0.1:{fleet.balancer.port}{path}'")
    print('  processes: ' + ' '.join(member.program.url for member in fleet.members))
    print(f"  redis-cli -c -p {fleet.cluster.nodes[0].port} CLUSTER NODES")
    print(f"  psql '{fleet.database.url}'", flush=True)
    while all(member.alive() for member in fleet.members):
        time.sleep(.5)
    raise Failure('a process of the service ended: ' + '; '.join(m.program.last_words() for m in fleet.members if not m.alive()))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True)
    parser.add_argument('--chaos', action='store_true', help='under load, with faults; ends with PASS or FAIL')
    parser.add_argument('--members', type=int, default=3, help='processes of the service')
    parser.add_argument('--scale', type=float, default=0.1, help='of the data; 1: 100,000 contents')
    parser.add_argument('--rate', type=int, default=300, help='requests a second')
    parser.add_argument('--seconds', type=float, default=20, help='of each of the six phases')
    parser.add_argument('--json', help='write all that was measured to this file')
    return parser.parse_args()


def main():
    options = parse()
    with Fleet(options.build, options.members, options.scale) as fleet:
        if not options.chaos:
            stay(fleet)
        result = chaos(fleet, options.rate, options.seconds, BOUNDS)
        differences = fleet.differences()
    good = show(result, differences)
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump({**result, 'differences': differences}, file, indent=1)
    return 0 if good else 1


def interrupted(_signal, _frame):
    # The first one counts: all is being taken down.
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda *_: None)
    raise KeyboardInterrupt


if __name__ == '__main__':
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupted)
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f'fleet: {failure}')
    except KeyboardInterrupt:
        sys.exit(130)
