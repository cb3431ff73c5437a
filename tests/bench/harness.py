# SPDX-License-Identifier: MIT
"""Sides measured against each other: fresh processes, interleaved rounds, an A/A comparison first.

A side is a command that prints lines on its standard output: "start" when its warm-up is over, "stop" when the measured
time is, then one JSON object {"ops", "seconds", "p50_us", "p99_us", "user_cpu", "sys_cpu"}. Between start and stop the CPU
time of the servers is read; a side that does not say them is measured from its start to its end.
"""
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import threading

import estimate

FIELDS = ('ops', 'seconds', 'p50_us', 'p99_us', 'user_cpu', 'sys_cpu')

# name -> (unit, value of one run, whether more is better)
MEASURES = {
    'throughput': ('ops/s', lambda run: run['ops'] / run['seconds'], True),
    'time': ('ns/op', lambda run: run['seconds'] * 1e9 / run['ops'], False),
    # Of batches, so that what else runs on this machine does not count.
    'p50_ns': ('ns/op', lambda run: run['p50_us'] * 1e3, False),
    'p50': ('us', lambda run: run['p50_us'], False),
    'p99': ('us', lambda run: run['p99_us'], False),
    # What a side counted: of bytes or connections, fewer are better.
    'bytes': ('bytes', lambda run: run['count'], False),
    'delay': ('us', lambda run: run['count'], False),
    'hits': ('%', lambda run: run['count'], True),
    'connections': ('conns', lambda run: run['count'], False),
    # How many times what it would be without: two forms that one process compared itself.
    'times': ('times', lambda run: run['count'], False),
}


@dataclasses.dataclass(frozen=True)
class Side:
    """One program under measurement; with `why` it is missing here, for that reason."""
    name: str
    command: tuple = ()
    env: tuple = ()
    why: str = ''


@dataclasses.dataclass(frozen=True)
class Budget:
    """A goal in absolute units stands for the peer: in the unit of the case's measure."""
    value: float
    name = 'budget'
    why = ''


@dataclasses.dataclass(frozen=True)
class Case:
    """`floor` is a side that shows what the machine itself takes; it has no part in the ratio. `data` names what the sides
    read: methods of the context that make it. `cpus`: 0 leaves the placement to the kernel; 1 puts client and servers on one
    CPU, 2 on one each: a lone caller's time differs sevenfold between the two, and the kernel wanders from one to the other."""
    area: str
    name: str
    ours: Side
    peer: Side | Budget
    goal: float
    measure: str = 'throughput'
    floor: Side | None = None
    data: tuple = ()
    cpus: int = 0


class SideFailed(Exception):
    """A side that did not end as it should; the message is one line."""


class Runner:
    """Runs sides as processes of their own and keeps the A/A runs of a peer that several cases share."""

    def __init__(self, servers, seconds, rounds, progress=lambda text: None):
        self.servers, self.seconds, self.rounds, self.progress = servers, seconds, rounds, progress
        self.cpus = sorted(os.sched_getaffinity(0))
        self.client_cpus = self.cpus
        self.kept = {}

    def place(self, cpus):
        """Where clients and servers run, see Case; "" or why not."""
        if cpus > len(self.cpus):
            return f'{cpus} CPUs are wanted, {len(self.cpus)} is there'
        # From the far end: the first one answers most interrupts.
        self.client_cpus = self.cpus[-1:] if cpus else self.cpus
        try:
            self.servers.pin(self.cpus[-cpus:][:1] if cpus else self.cpus)
        except PermissionError:
            return 'the servers belong to another account and cannot be pinned'
        return ''

    def start(self, side, errors):
        environment = dict(os.environ, **dict(side.env))
        os.sched_setaffinity(0, self.client_cpus)
        try:
            return subprocess.Popen(side.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                    text=True, env=environment, start_new_session=True)
        except OSError as reason:
            raise SideFailed(f'{side.name}: cannot run {side.command[0]}: {reason.strerror}') from reason
        finally:
            os.sched_setaffinity(0, self.cpus)

    def run(self, side):
        """One fresh process: its object with "server_cpu" added."""
        with tempfile.TemporaryFile() as errors:
            process = self.start(side, errors)
            limit = threading.Timer(60 + 10 * self.seconds, end, [process])
            limit.start()
            try:
                line, cpu = self.listen(process)
            finally:
                limit.cancel()
                end(process)
            return checked(side, process, line, cpu, errors)

    def listen(self, process):
        """The last line, and the CPU time of the servers between start and stop."""
        last, begin, finish = '', self.servers.seconds(), None
        for line in process.stdout:
            word = line.strip()
            if word == 'start':
                begin = self.servers.seconds()
            elif word == 'stop':
                finish = self.servers.seconds()
            elif word:
                last = word
        process.wait()
        if finish is None:
            finish = self.servers.seconds()
        return last, None if begin is None or finish is None else max(finish - begin, 0)

    def interleaved(self, sides, label):
        """A list of runs a side; each round runs all, every second one in reverse order; a first round is thrown away."""
        runs = [[] for _ in sides]
        for number in range(-1, self.rounds):
            self.progress(f"{label} {'warm-up' if number < 0 else f'round {number + 1}/{self.rounds}'}")
            order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
            for index in order:
                run = self.run(sides[index])
                if number >= 0:
                    runs[index].append(run)
        return runs

    def against_itself(self, side, cpus, label):
        """Two sets of runs of one side, interleaved as two sides would be."""
        if (side, cpus) not in self.kept:
            self.kept[side, cpus] = self.interleaved([side, side], f'{label}: A/A of {side.name},')
        return self.kept[side, cpus]


def end(process):
    """Ends what is left of a side: its process group is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def checked(side, process, line, cpu, errors):
    if process.returncode != 0:
        errors.seek(0)
        said = errors.read().decode(errors='replace').strip().splitlines()
        how = f'signal {-process.returncode}' if process.returncode < 0 else f'status {process.returncode}'
        raise SideFailed(f"{side.name}: {how}: {said[0] if said else 'nothing said'}")
    try:
        run = json.loads(line)
        values = {name: float(run[name]) for name in FIELDS}
    except (ValueError, TypeError, KeyError) as reason:
        raise SideFailed(f'{side.name}: no result in "{line[:80]}"') from reason
    if values['ops'] <= 0 or values['seconds'] <= 0:
        raise SideFailed(f'{side.name}: it did nothing in {values["seconds"]} s')
    return {**run, **values, 'server_cpu': cpu}


def cpu_per_operation(runs):
    """Microseconds of client and server, medians over the runs."""
    client = estimate.summary([(run['user_cpu'] + run['sys_cpu']) * 1e6 / run['ops'] for run in runs])['median']
    server = [run['server_cpu'] * 1e6 / run['ops'] for run in runs if run['server_cpu'] is not None]
    return {'client': client, 'server': estimate.summary(server)['median'] if server else None}


def missing(case):
    """Why a case cannot be measured here, "" when it can."""
    return '; '.join(f'{side.name}: {side.why}' for side in (case.ours, case.peer, case.floor) if side and side.why)


def row_without_figures(case, why):
    return {'area': case.area, 'case': case.name, 'ours': case.ours.name, 'peer': case.peer.name,
            'unit': MEASURES[case.measure][0], 'ratio': None, 'goal': float(case.goal), 'met': None, 'why': why}


def measured_row(case, runner):
    unit, value, more_is_better = MEASURES[case.measure]
    label = f'{case.area}: {case.name}'
    budget = isinstance(case.peer, Budget)
    twice = runner.against_itself(case.ours if budget else case.peer, case.cpus, label)
    aa = estimate.summary(estimate.ratios(*[[value(run) for run in runs] for runs in twice], more_is_better))
    aa['spread'] = estimate.spread(aa)

    names = ['ours'] + ([] if budget else ['peer']) + (['floor'] if case.floor else [])
    runs = dict(zip(names, runner.interleaved([getattr(case, name) for name in names], f'{label}:'), strict=True))
    values = {name: [value(run) for run in runs[name]] for name in names}
    peer = [case.peer.value] * runner.rounds if budget else values['peer']
    ratio = estimate.summary(estimate.ratios(values['ours'], peer, more_is_better))
    verdict = estimate.verdict(ratio, case.goal, aa['spread'])
    row = row_without_figures(case, '')
    del row['why']
    row.update(ratio=ratio, met=verdict == estimate.MET, verdict=verdict, aa=aa, rounds=runner.rounds,
               values={name: estimate.summary(values[name]) for name in names if name != 'floor'},
               latency_us={name: {q: estimate.summary([run[f'{q}_us'] for run in runs[name]])['median']
                                  for q in ('p50', 'p99')} for name in names},
               cpu_us={name: cpu_per_operation(runs[name]) for name in names})
    if budget:
        row['values']['peer'] = {'median': case.peer.value, 'low': case.peer.value, 'high': case.peer.value}
    if case.floor:
        row['floor'] = {'name': case.floor.name, **estimate.summary(values['floor'])}
    return row


def measure(case, runner):
    """The row of a case, as it stands in the JSON file; "failed" is true where a side that is here broke."""
    why = missing(case) or runner.place(case.cpus)
    if why:
        return row_without_figures(case, why)
    try:
        return measured_row(case, runner)
    except SideFailed as reason:
        return {**row_without_figures(case, str(reason)), 'failed': True}
