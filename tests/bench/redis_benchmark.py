# SPDX-License-Identifier: MIT
"""redis-benchmark as a side: GET of one of the keys that all sides read, `--pipeline` at a time on each connection.

It runs by number of requests, not by time: a first short run says how many fill the time.
"""
import argparse
import json
import re
import resource
import subprocess
import sys
import urllib.parse

FIRST = 100_000
RATE = re.compile(r'([\d.]+) requests per second')
QUANTILES = re.compile(r'^\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*$', re.MULTILINE)


def run(options, count):
    """What a run of so many requests says."""
    place = urllib.parse.urlsplit(options.url)
    command = [options.program, '-h', place.hostname, '-p', str(place.port), '-c', str(options.clients), '-P',
               str(options.pipeline), '-n', str(count), 'GET', 'sp:bench:item:1']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rate = RATE.search(done.stdout.replace('\r', '\n'))
    if done.returncode or not rate:
        sys.exit(f'redis-benchmark: {done.stderr.strip() or done.stdout.strip()[-200:]}')
    return float(rate[1]), done.stdout


def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime, usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--program', required=True)
    parser.add_argument('--url', required=True)
    parser.add_argument('--clients', type=int, default=1)
    parser.add_argument('--pipeline', type=int, default=50)
    parser.add_argument('--seconds', type=float, required=True)
    options = parser.parse_args()
    rate, _ = run(options, FIRST)
    count = max(int(rate * options.seconds), FIRST)
    before = used()
    print('start', flush=True)
    rate, said = run(options, count)
    print('stop', flush=True)
    after = used()
    found = QUANTILES.search(said)
    print(json.dumps({'ops': count, 'seconds': count / rate, 'p50_us': float(found[3]) * 1e3 if found else 0.0,
                      'p99_us': float(found[5]) * 1e3 if found else 0.0, 'user_cpu': after[0] - before[0],
                      'sys_cpu': after[1] - before[1]}))


if __name__ == '__main__':
    main()
