#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Benchmarks against the peers: bench.py --build DIR [area...] [--json FILE], inside a private server set.

An area is a file cases_AREA.py beside this one with cases(context).
"""
import argparse
import glob
import importlib
import os
import signal
import subprocess
import sys

import harness
import procs
import report
from context import HERE, Context, Missing


def areas():
    return sorted(os.path.basename(path)[len('cases_'):-len('.py')] for path in glob.glob(os.path.join(HERE, 'cases_*.py')))


def arguments(words):
    parser = argparse.ArgumentParser(prog='./run bench', description='Benchmarks against the peers.')
    parser.add_argument('areas', nargs='*', metavar='area', help=f"of {', '.join(areas())}; all without one")
    parser.add_argument('--build', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--json', metavar='FILE', help='write the rows there')
    parser.add_argument('--case', default='', metavar='TEXT', help='only cases whose name contains it')
    parser.add_argument('--rounds', type=int, default=12, metavar='N', help='rounds of a case (12)')
    parser.add_argument('--seconds', type=float, default=1.0, metavar='S', help='measured time of a run (1)')
    parser.add_argument('--list', action='store_true', help='list the cases, run nothing')
    options = parser.parse_args(words)
    for area in options.areas:
        if area not in areas():
            parser.error(f"no area is called '{area}': there are {', '.join(areas())}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error('--rounds must be at least 1 and --seconds more than 0')
    return options


def server(name):
    url = os.environ.get(name)
    if not url:
        sys.exit(f'bench: {name} is not set: run this by ./run bench')
    return url


def say(text):
    """Progress: one line that is overwritten on a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f'\r\033[K{text}', end='', file=sys.stderr, flush=True)


def crowd():
    """A line of warning where others are at work on this machine."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return f'load {load:.1f} on {cpus} CPUs before the first run: expect wide intervals\n' if load > cpus / 2 else ''


def chosen(context, options):
    cases = [case for area in options.areas or areas()
             for case in importlib.import_module(f'cases_{area}').cases(context) if options.case in case.name]
    if not cases:
        sys.exit(f"bench: no case has '{options.case}' in its name")
    return cases


def row_of(case, context, runner):
    """Makes the data that the case reads, then measures it."""
    if harness.missing(case):
        return harness.measure(case, runner)
    try:
        for name in case.data:
            getattr(context, name)()
    except Missing as reason:
        return harness.row_without_figures(case, str(reason))
    except subprocess.CalledProcessError as reason:
        why = f'{os.path.basename(str(reason.cmd[0]))} could not make the data: status {reason.returncode}'
        return {**harness.row_without_figures(case, why), 'failed': True}
    return harness.measure(case, runner)


def main(words):
    options = arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    context = Context(options.build, options.seconds, server('SP_TEST_PG'), server('SP_TEST_REDIS'))
    cases = chosen(context, options)
    if options.list:
        print('\n'.join(f'{case.area}: {case.name}: {case.ours.name} against {case.peer.name}'
                        for case in cases))
        return 0
    runner = harness.Runner(procs.Servers(os.environ.get('SP_TEST_SERVERS')), options.seconds, options.rounds, say)
    rows = []
    print(crowd(), end='', flush=True)
    for case in cases:
        rows.append(row_of(case, context, runner))
        say('')
        print('\n'.join(report.lines(rows[-1])), flush=True)
    print()
    print('\n'.join(report.table(rows)))
    if options.json:
        report.write_json(options.json, rows)
    return 1 if any(row.get('failed') for row in rows) else 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
