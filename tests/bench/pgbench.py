# SPDX-License-Identifier: MIT
"""pgbench as a side: the same SELECT, prepared, for a time; its progress lines and a sampled log become one result.

The first second connects and warms up. pgbench ends by the alarm that its own -T would set, so that the servers' CPU time
is read while the load still runs.
"""
import argparse
import glob
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from procs import own_seconds

SELECT = '\\set id random(1, :items)\nSELECT id, title FROM bench_items WHERE id = :id;\n'
PROGRESS = re.compile(r'progress: [\d.]+ s, ([\d.]+) tps')
# A transaction a line costs pgbench about a microsecond: few of them give the quantiles.
SAMPLING = 0.05
THREADS = 2


def script_of(options):
    """One SELECT, or as many as share a Sync: pgbench sends the next ones when all of them were answered."""
    if options.pipeline == 1:
        return SELECT
    return '\\startpipeline\n' + SELECT * options.pipeline + '\\endpipeline\n'


def command(options, folder):
    script = os.path.join(folder, 'script')
    with open(script, 'w', encoding='ascii') as file:
        file.write(script_of(options))
    return [options.program, '-n', '-M', 'prepared', '-c', str(options.clients), '-j', str(min(THREADS, options.clients)),
            '-T', '3600', '-P', '1', '-l', f'--log-prefix={os.path.join(folder, "log")}', f'--sampling-rate={SAMPLING}',
            '-D', f'items={options.items}', '-f', script, options.url]


def latencies(folder, begin, finish):
    """Microseconds of the logged transactions that ended in the window, in order."""
    found = []
    for path in glob.glob(os.path.join(folder, 'log.*')):
        with open(path, encoding='ascii') as file:
            for fields in map(str.split, file):
                if len(fields) >= 6 and begin <= int(fields[4]) + int(fields[5]) / 1e6 <= finish:
                    found.append(float(fields[2]))
    return sorted(found)


def quantile(ordered, q):
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def mark(word, process):
    print(word, flush=True)
    return time.time(), own_seconds(process.pid)


def measure(options, folder):
    window = math.ceil(options.seconds)
    rates = []
    with subprocess.Popen(command(options, folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, 'LC_ALL': 'C'}) as process:
        said = ''
        for line in process.stderr:
            found = PROGRESS.search(line)
            if not found:
                said = line.strip()
                continue
            rates.append(float(found[1]))
            if len(rates) == 1:
                begin, before = mark('start', process)
            elif len(rates) == window + 1:
                finish, after = mark('stop', process)
                process.send_signal(signal.SIGALRM)
    if len(rates) <= window or process.returncode != 0:
        sys.exit(f'pgbench: {said or process.returncode}')
    times = latencies(folder, begin, finish)
    return {'ops': sum(rates[1:window + 1]) * options.pipeline, 'seconds': window, 'p50_us': quantile(times, 0.5), 'p99_us': quantile(times, 0.99),
            'user_cpu': after[0] - before[0], 'sys_cpu': after[1] - before[1]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--program', required=True)
    parser.add_argument('--url', required=True)
    parser.add_argument('--items', type=int, required=True)
    parser.add_argument('--clients', type=int, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--pipeline', type=int, default=1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args(), folder)))


if __name__ == '__main__':
    main()
