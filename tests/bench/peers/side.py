# SPDX-License-Identifier: MIT
"""One side of the benchmarks in Python: pybreaker, or with `--ours 1` the binding's breaker."""
import argparse
import json
import os
import resource
import sys
import time

BATCH = 256


def work():
    return 1


def ours(reject):
    sys.path.insert(0, os.environ['SUGARPERF_PACKAGE'])
    from sugarperf import Breaker, errors
    breaker = Breaker.create()
    if reject:
        breaker.force('OPEN')
    return lambda: breaker.run(work), errors.OpenError


def pybreaker(reject):
    sys.path.insert(0, os.environ['PYBREAKER'])
    from pybreaker import CircuitBreaker, CircuitBreakerError
    breaker = CircuitBreaker(fail_max=5, reset_timeout=60)
    if reject:
        breaker.open()
    return lambda: breaker.call(work), CircuitBreakerError


def batch(call, refused, reject):
    for _ in range(BATCH):
        try:
            call()
        except refused:
            if not reject:
                raise


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--warmup', type=float, default=0.3)
    parser.add_argument('--mode', default='record', choices=('record', 'reject'))
    parser.add_argument('--ours', type=int, default=0)
    options = parser.parse_args()
    reject = options.mode == 'reject'
    call, refused = (ours if options.ours else pybreaker)(reject)
    finish = time.perf_counter() + options.warmup
    while time.perf_counter() < finish:
        batch(call, refused, reject)
    print('start', flush=True)
    before, begin, samples = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter(), []
    at = begin
    while at - begin < options.seconds:
        batch(call, refused, reject)
        end = time.perf_counter()
        samples.append((end - at) / BATCH * 1e6)
        at = end
    after = resource.getrusage(resource.RUSAGE_SELF)
    print('stop', flush=True)
    samples.sort()
    print(json.dumps({'ops': len(samples) * BATCH, 'seconds': at - begin, 'p50_us': samples[len(samples) // 2],
                      'p99_us': samples[len(samples) * 99 // 100], 'user_cpu': after.ru_utime - before.ru_utime,
                      'sys_cpu': after.ru_stime - before.ru_stime}))


if __name__ == '__main__':
    main()
