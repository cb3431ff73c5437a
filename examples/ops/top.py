#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a running service does: pool, cache, breakers and the statements that take most time, refreshed each second.

    top.py [URL] [--interval S] [--count N] [--rows N]

URL is the service's page of metrics (http://127.0.0.1:3001/metrics). Works with any service that serves sp_metrics_text(), also
from another machine. Where it serves sp_profiler_server() beside that, at …/profiler/server, what the database's server knows is
shown too, asked every five seconds. Without a terminal it prints one view after the other.
"""
import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
TIMES = 'db_client_operation_duration_seconds'
SERVER_EVERY = 5
CLEAR = '\x1b[H\x1b[2J'


def unescape(text):
    return re.sub(r'\\(.)', lambda found: '\n' if found[1] == 'n' else found[1], text)


def parse(page):
    """{(name, ((label, value), …)): number}"""
    samples = {}
    for line in page.splitlines():
        found = SAMPLE.match(line)
        if found:
            labels = tuple((name, unescape(value)) for name, value in LABEL.findall(found[2] or ''))
            samples[found[1], labels] = float(found[3])
    return samples


class Page:
    """Samples of one moment, and what they have grown by since another."""

    def __init__(self, samples, at):
        self.samples, self.at = samples, at

    def each(self, name, label):
        """{value of the label: sum of the samples}"""
        sums = {}
        for (sample, labels), number in self.samples.items():
            if sample == name:
                key = dict(labels).get(label, '')
                sums[key] = sums.get(key, 0) + number
        return sums

    def total(self, name):
        return sum(self.each(name, '').values())

    def bounds(self, statement):
        """[(bound, how many are below)] of a statement's histogram."""
        found = []
        for (sample, labels), number in self.samples.items():
            labels = dict(labels)
            if sample == f'{TIMES}_bucket' and labels.get('db_query_summary') == statement:
                found.append((float(labels['le'].replace('+Inf', 'inf')), number))
        return sorted(found)


def growth(new, old):
    return {key: number - old.get(key, 0) for key, number in new.items()}


def quantile(new, old, q):
    """The bound below which so many of the new ones lie, in milliseconds; None where there are none."""
    before = dict(old)
    counts = [(bound, number - before.get(bound, 0)) for bound, number in new]
    if not counts or counts[-1][1] <= 0:
        return None
    for bound, number in counts:
        if number >= q * counts[-1][1]:
            return bound * 1e3
    return None


def shown_ms(value):
    return '-' if value is None else '> 10 s' if value == float('inf') else f'<= {value:g}'


def pools(new, old, seconds):
    label = 'db_client_connection_pool_name'
    queries = growth(new.each('sugarperf_pool_queries_total', label), old.each('sugarperf_pool_queries_total', label))
    errors = growth(new.each('sugarperf_pool_query_errors_total', label),
                    old.each('sugarperf_pool_query_errors_total', label))
    used, idle = {}, {}
    for (name, labels), number in new.samples.items():
        labels = dict(labels)
        if name == 'db_client_connections':
            (used if labels['state'] == 'used' else idle)[labels[label]] = number
    most, waiting = new.each('db_client_connection_max', label), new.each('db_client_connection_pending_requests', label)
    for pool in sorted(most):
        yield (f'pool {pool:<12} {used.get(pool, 0):3.0f} used {idle.get(pool, 0):3.0f} idle of {most[pool]:.0f}, '
               f'{waiting.get(pool, 0):.0f} waiting   {queries.get(pool, 0) / seconds:9.0f} statements/s '
               f'{errors.get(pool, 0) / seconds:6.0f} errors/s')


def cache(new, old, seconds):
    found = growth(new.each('sugarperf_cache_requests_total', 'result'), old.each('sugarperf_cache_requests_total', 'result'))
    asked = sum(found.values())
    if not new.each('sugarperf_cache_requests_total', 'result'):
        return
    rate = f'{100 * (found.get("hit", 0) + found.get("stale", 0)) / asked:5.1f} %' if asked else '    -'
    yield (f'cache {asked / seconds:9.0f} look-ups/s   hits {rate}   '
           f'{new.total("sugarperf_cache_memory_bytes") / 1e6:.1f} MB in {new.total("sugarperf_cache_memory_entries"):.0f} entries')


def breakers(new):
    for (name, labels), number in sorted(new.samples.items()):
        labels = dict(labels)
        if name == 'sugarperf_circuitbreaker_state' and number == 1:
            yield f'breaker {labels["name"]:<24} {labels["state"]}'


def statements(new, old, seconds, rows):
    label = 'db_query_summary'
    counts = growth(new.each(f'{TIMES}_count', label), old.each(f'{TIMES}_count', label))
    times = growth(new.each(f'{TIMES}_sum', label), old.each(f'{TIMES}_sum', label))
    errors = growth(new.each('sugarperf_statement_errors_total', label), old.each('sugarperf_statement_errors_total', label))
    yield f'{"statement":<32} {"runs/s":>9} {"busy":>7} {"mean ms":>9} {"p95 ms":>9} {"errors":>7}'
    for name in sorted(counts, key=lambda name: (-times[name], name))[:rows]:
        if counts[name] <= 0:
            continue
        p95 = quantile(new.bounds(name), old.bounds(name), .95)
        yield (f'{name[:32]:<32} {counts[name] / seconds:9.1f} {times[name] / seconds:7.2f} '
               f'{1e3 * times[name] / counts[name]:9.3f} {shown_ms(p95):>9} {errors.get(name, 0):7.0f}')


def findings(new):
    for kind, count in sorted(new.each('sugarperf_profiler_findings', 'kind').items()):
        if count:
            yield f'{count:.0f} places with {kind}: see sp_profiler_report()'


def percent(ratio):
    return '-' if ratio is None else f'{100 * ratio:.1f} %'


def server(report):
    """What deserves a look of sp_profiler_server(); nothing where the service does not serve it."""
    if not report:
        return
    database = report.get('database')
    if database:
        yield (f'server {database["connections"]} of {database["maxConnections"]} connections   '
               f'cache hits {percent(database["hitRatio"])}   {database["deadlocks"]} deadlocks')
    for table in report['tables']:
        if table['faults']:
            yield (f'table {table["schema"]}.{table["table"]}: {", ".join(table["faults"])}   {table["rows"]} rows, '
                   f'{table["deadRows"]} dead, {table["seqScans"]} scans of the whole')
    for other in report['transactions']:
        yield (f'transaction {other["pid"]} ({other["application"]}) {other["state"]} for {other["ageMs"] / 1e3:.1f} s   '
               f'{other["text"][:60]}')
    for lock in report['locks']:
        yield (f'lock {lock["pid"]} ({lock["application"]}) waits {lock["waitsMs"] / 1e3:.1f} s for '
               f'{", ".join(map(str, lock["blockedBy"]))}   {lock["text"][:60]}')
    for line in report['lacks']:
        yield f'unknown: {line}'


def view(new, old, rows, report=None):
    """The lines of one view."""
    seconds = max(new.at - old.at, 1e-3)
    slow = growth({'': new.total('sugarperf_profiler_slow_total')}, {'': old.total('sugarperf_profiler_slow_total')})['']
    lines = [*pools(new, old, seconds), *cache(new, old, seconds), *breakers(new), *findings(new),
             *server(report), '',
             *statements(new, old, seconds, rows)]
    if slow:
        lines.append(f'{slow:.0f} slow')
    return lines


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return Page(parse(answer.read().decode()), time.monotonic())


class Server:
    """The server's own report, which costs it a few statements: not asked each time."""

    def __init__(self, url):
        self.url = url[:-len('/metrics')] + '/profiler/server' if url.endswith('/metrics') else None
        self.due, self.report = 0, None

    def latest(self):
        if self.url and time.monotonic() >= self.due:
            self.due = time.monotonic() + SERVER_EVERY
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:
                    self.report = json.load(answer)
            except urllib.error.HTTPError as reason:
                self.report = None
                if reason.code == 404:
                    self.url = None
        return self.report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('url', nargs='?', default='http://127.0.0.1:3001/metrics')
    parser.add_argument('--interval', type=float, default=1, help='seconds between views')
    parser.add_argument('--count', type=int, default=0, help='views, then it ends; 0: without end')
    parser.add_argument('--rows', type=int, default=20, help='statements at most')
    options = parser.parse_args()
    shown, beside = 0, Server(options.url)
    try:
        old = fetch(options.url)
        while not options.count or shown < options.count:
            time.sleep(options.interval)
            new = fetch(options.url)
            print((CLEAR if os.isatty(1) else '') + '\n'.join(view(new, old, options.rows, beside.latest())),
                  flush=True)
            old, shown = new, shown + 1
    except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError) as reason:
        sys.exit(f'top: {options.url}: {getattr(reason, "reason", reason)}')
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)


if __name__ == '__main__':
    main()
