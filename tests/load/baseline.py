#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/baseline.md, baseline.json and its charts: the source document's tables and criteria, from a real run.

Runs the demo (before and after), several times, the load tests of the four services, and queries.py. Rows are medians with the
smallest and the largest of the rounds.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(ROOT, 'examples', 'recommendation'), HERE]

from measure import report  # noqa: E402  # pylint: disable=wrong-import-position
from baseline_page import FORMAT, page  # noqa: E402  # pylint: disable=wrong-import-position
import baseline_plot  # noqa: E402  # pylint: disable=wrong-import-position


def say(text):
    print(f'==> {text}', file=sys.stderr, flush=True)


def output(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def machine():
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo', encoding='utf-8') if line.startswith('model name')), '?')
    with open('/proc/meminfo', encoding='utf-8') as file:
        memory = int(file.readline().split()[1]) // 1024 // 1024
    with open('/etc/os-release', encoding='utf-8') as file:
        system = dict(line.rstrip().split('=', 1) for line in file if '=' in line)['PRETTY_NAME'].strip('"')
    server, folder = (output('psql', '-XAtd', os.environ['DATABASE_URL'], '-c', f'SHOW {name}')
                      for name in ('server_version', 'data_directory'))
    # A private server's is where TMPDIR says; what is read from a slow disk again shows in the tail.
    kind = output('stat', '-fc', '%T', folder)
    server += f', its data on {kind}' if kind else ''
    redis = output('redis-server', '--version').split('v=')[-1].split()[0] if output('redis-server', '--version') else '?'
    return {'cpu': cpu, 'cores': os.cpu_count(), 'memory_gib': memory, 'system': system, 'kernel': platform.release().split('-')[0],
            'postgresql': server, 'redis': redis, 'libpq': output('pkg-config', '--modversion', 'libpq'),
            'commit': output('git', 'rev-parse', '--short', 'HEAD'), 'date': datetime.date.today().isoformat()}


def run_json(folder, name, *words):
    """What a program writes to its --json file. 1: some threshold was not met, which the page tells."""
    path = os.path.join(folder, name)
    done = subprocess.run([sys.executable, *words, '--json', path], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1) or not os.path.exists(path):
        sys.exit(f'baseline: {os.path.basename(words[0])} ended with status {done.returncode}')
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def spread(values):
    """{"median", "low", "high"}; None where a round has no number."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) != len(values) or not numbers:
        return None
    return {'median': statistics.median(numbers), 'low': min(numbers), 'high': max(numbers)}


def rows_of(rounds, rows):
    """Rows (name, document, naive, library[, target]) of each round, as one with spreads."""
    every = [rows(result) for result in rounds]
    merged = []
    for same in zip(*every):
        row = same[0]
        merged.append({'name': row[0].strip(), 'document': row[1] or None, 'naive': spread([r[2] for r in same]) or text_of(row[2]),
                       'library': spread([r[3] for r in same]) or text_of(row[3]), 'target': row[4] if len(row) > 4 else None})
    return [row for row in merged if row['naive'] or row['library']]


def text_of(value):
    return value if isinstance(value, str) and value else None


def criteria_of(rounds):
    every = [report.criteria(result) for result in rounds]
    return [{'name': same[0][0], 'target': same[0][1], 'measured': spread([row[2] for row in same]),
             'met': all(row[3] == 'PASS' for row in same)} for same in zip(*every)]


def tables(rounds):
    naive_and_library = [(result['naive'], result['library']) for result in rounds]
    heavy = {id(result): pair for result, pair in zip(rounds, naive_and_library)}
    return {
        'endpoints': rows_of(rounds, lambda r: report.endpoint_rows(report.bearable(r['naive']), report.bearable(r['library']))),
        'endpoints_heavy': rows_of(rounds, lambda r: report.endpoint_rows(*(side['heavy'] for side in heavy[id(r)]))),
        'queries': rows_of(rounds, report.query_rows), 'cache': rows_of(rounds, report.cache_rows),
        'connections': rows_of(rounds, report.connection_rows), 'criteria': criteria_of(rounds)}


def scores_of(rounds):
    """Of the update of all scores: its rows, the milliseconds of 10,000 of them, and of its slowest statement."""
    every = [result['library']['scores_all'] for result in rounds]
    return {'rows': every[0]['rows'], 'saves': rounds[0]['naive']['scores']['rows'],
            'each': spread([one['milliseconds'] * 10000 / max(1, one['rows']) for one in every]),
            'slowest': spread([one['slowest'] for one in every])}


def findings(rounds, load):
    """Units of work that repeated a statement, as the profiler told: of all rounds, and of the four services under load."""
    return (sum(result['library'].get('findings', 0) for result in rounds)
            + sum(service['statements']['findings'] for service in load['services'].values()))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True)
    parser.add_argument('--rounds', type=int, default=2, help='of the demo')
    parser.add_argument('--scale', type=float, help='of the data; 1: 100,000 contents')
    parser.add_argument('--seconds', type=float, help='of the open model of each service, 30 if not said')
    parser.add_argument('--quick', action='store_true', help='shorter runs')
    parser.add_argument('--smoke', action='store_true', help='whether it works: the figures mean nothing')
    parser.add_argument('--render', action='store_true', help='measures nothing: writes the page from the figures of the last run')
    parser.add_argument('--out', default=os.path.join(ROOT, 'docs'), help='folder')
    options = parser.parse_args()
    options.scale = options.scale or (0.02 if options.smoke else 1)
    options.seconds = options.seconds or (1 if options.smoke else 5 if options.quick else 30)
    return options


def main():
    options, started = parse(), time.monotonic()
    if options.render:
        with open(os.path.join(options.out, 'baseline.json'), encoding='utf-8') as file:
            return 0 if render(options.out, json.load(file)) else 1
    kind = ['--smoke'] if options.smoke else ['--quick'] if options.quick else []
    demo = os.path.join(ROOT, 'examples', 'recommendation', 'demo.py')
    with tempfile.TemporaryDirectory() as folder:
        rounds = []
        for number in range(1 if options.smoke else options.rounds):
            say(f'before and after, round {number + 1} of {options.rounds}')
            rounds.append(run_json(folder, 'demo', demo, '--build', options.build, '--scale', str(options.scale), *kind))
        say('the load tests of the four services')
        load = run_json(folder, 'load', os.path.join(HERE, 'load.py'), '--build', options.build, '--seconds', str(options.seconds),
                        '--scale', str(options.scale / (10 if options.quick else 1)), *kind)
    say('plans')
    subprocess.run([sys.executable, os.path.join(HERE, 'queries.py'), '--build', options.build, '--scale', str(options.scale), '--out',
                    os.path.join(options.out, 'queries.md')], check=True)
    result = {'format': FORMAT, 'machine': machine(), 'sizes': rounds[0]['sizes'], 'loaded': rounds[0]['loaded'], 'rounds': len(rounds),
              'rates': {'bearable': spread([r['rate'] for r in rounds]), 'heavy': rounds[0]['heavy_rate']},
              'unsafe': rounds[0]['unsafe'], 'findings': findings(rounds, load),
              'differences': sum(len(r['checked']['differences']) for r in rounds),
              'scores': scores_of(rounds), **tables(rounds), 'load': load, 'seconds': round(time.monotonic() - started),
              'quick': options.quick, 'smoke': options.smoke}
    write(options.out, 'baseline.json', json.dumps(result, indent=1) + '\n')
    return 0 if render(options.out, result) or options.smoke else 1


def render(folder, result):
    """The page and its charts; whether every criterion is met."""
    text, good = page(result)
    write(folder, 'baseline.svg', baseline_plot.endpoints(result))
    write(folder, 'baseline-targets.svg', baseline_plot.targets(result))
    write(folder, 'baseline.md', text)
    print('\n'.join(line for line in text.splitlines() if line.startswith(('| PASS', '| FAIL'))))
    return good


def write(folder, name, text):
    with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
        file.write(text)


if __name__ == '__main__':
    sys.exit(main())
