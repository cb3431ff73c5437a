# SPDX-License-Identifier: MIT
"""k6, where PATH has it or somebody wants it: it is under the AGPL, so Go builds it here, and it is no part of what we give on."""
import json
import os
import shutil
import subprocess
import sys

from measure import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'build-k6')
MODULE = 'go.k6.io/k6@v1.8.1'
TOKENS = 20     # they are words of its command line


def found():
    return shutil.which('k6')


def fetch():
    """Sees to it that there is one: PATH's, what was built before, or a new one into build-k6/."""
    if found():
        return
    if not os.path.exists(os.path.join(FOLDER, 'k6')):
        build()
    os.environ['PATH'] = FOLDER + os.pathsep + os.environ['PATH']


def build():
    if not shutil.which('go'):
        raise Failure('--k6 needs k6 on PATH, or Go to build it: https://go.dev/dl/')
    print(f'==> {MODULE} by Go, into build-k6/: some minutes', file=sys.stderr, flush=True)
    done = subprocess.run(['go', 'install', MODULE], env={**os.environ, 'GOBIN': FOLDER, 'GOFLAGS': '-mod=mod'}, cwd=HERE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f'{MODULE}: ' + (done.stderr.strip().splitlines() or ['go install failed'])[-1])


def summary(text):
    """Of --summary-export."""
    metrics = json.loads(text)['metrics']
    times, failed = metrics['http_req_duration'], metrics['http_req_failed']
    return {'count': metrics['http_reqs']['count'], 'mean': times['avg'], 'p95': times['p(95)'], 'p99': times['p(99)'],
            'max': times['max'], 'failed': 100 * failed.get('value', failed.get('rate', 0)),
            'left_out': metrics.get('dropped_iterations', {}).get('count', 0), 'achieved': metrics['http_reqs']['rate'],
            'endpoints': {}}


def run(world, folder, tokens, **variables):
    """A service's script; what it measured."""
    out = os.path.join(folder, 'summary.json')
    variables = {'URL': world.program.url, 'TOKENS': ','.join(tokens[:TOKENS]), **{name.upper(): value for name, value in world.sizes.items()}, **variables}
    words = [word for key, value in variables.items() for word in ('-e', f'{key}={value}')]
    # No report to its makers, and no port of its own: four of them run at once.
    done = subprocess.run(['k6', 'run', '--quiet', '--no-usage-report', '--address', '', '--summary-export', out, *words,
                           os.path.join(HERE, f'{world.service.name}.js')], stdout=sys.stderr, check=False)
    if done.returncode not in (0, 99):      # 99: a threshold was crossed, which we judge ourselves
        raise Failure(f'k6 ended with status {done.returncode}')
    with open(out, encoding='utf-8') as file:
        return summary(file.read())
