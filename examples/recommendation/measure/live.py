# SPDX-License-Identifier: MIT
"""A page over a service that runs: before and after as it was measured, and what its own endpoints tell now.

One HTML file that loads nothing from elsewhere, served on 127.0.0.1 beside /live, which reads the service's page of metrics.
"""
import http.server
import json
import os
import sys
import threading

from . import report

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(HERE)), 'ops')]

import top  # noqa: E402  # pylint: disable=wrong-import-position

WORK = 'sugarperf_work_duration_seconds'
KEPT = 10   # seconds over which rates and times are told


def runs(side):
    return {'bearable': report.bearable(side), 'heavy': side['heavy']}


def bars(result):
    """[(title, unit, [(name, document, naive, library)])] of a demo's result."""
    naive, library = result['naive'], result['library']
    charts = []
    for title, run in ((f"p95 at {result['rate']:g} requests/s, which the naive form can bear", 'bearable'),
                       (f"p95 at {result['heavy_rate']:g} requests/s, where it is saturated", 'heavy')):
        rows = [row for row in report.endpoint_rows(*(runs(side)[run] for side in (naive, library))) if row[0].endswith(' p95')]
        charts.append((title, 'ms', [(name.removesuffix(' p95'), *figures) for name, *figures in rows]))
    rows = [(name.strip(), *figures[:3]) for name, *figures in report.query_rows(result)]
    charts.append(('One caller, median', 'ms', [row for row in rows if isinstance(row[3], (int, float)) and row[1]]))
    return [(title, unit, [(name, *(value if isinstance(value, (int, float)) else number_of(value) for value in values))
                           for name, *values in rows]) for title, unit, rows in charts]


def number_of(text):
    """Of an extrapolated figure: "2,192 *"."""
    digits = (text or '').rstrip(' *').replace(',', '')
    return float(digits) if digits.replace('.', '', 1).isdigit() else None


def times(new, old, metric, label):
    """[{name, count, rate, mean, p95}] by name, who took most time first; counts since the start, times of now: None where nobody asked."""
    counts, sums = (new.each(f'{metric}_{part}', label) for part in ('count', 'sum'))
    before = old.each(f'{metric}_count', label), old.each(f'{metric}_sum', label)
    rows = []
    for name, count in counts.items():
        if not name:    # Redis's have another label
            continue
        recent, spent = count - before[0].get(name, 0), sums[name] - before[1].get(name, 0)
        rows.append({'name': name, 'count': count, 'seconds': sums[name], 'rate': recent / max(1e-3, new.at - old.at),
                     'mean': 1e3 * spent / recent if recent else None,
                     'p95': quantile(new, old, metric, label, name) if recent else None})
    return sorted(rows, key=lambda row: (-row['seconds'], row['name']))


def buckets(page, metric, label, name):
    return sorted((float(dict(labels)['le'].replace('+Inf', 'inf')), number) for (sample, labels), number in page.samples.items()
                  if sample == f'{metric}_bucket' and dict(labels).get(label) == name)


def quantile(new, old, metric, label, name):
    """Milliseconds; None where it is beyond the last bound."""
    found = top.quantile(buckets(new, metric, label, name), buckets(old, metric, label, name), .95)
    return None if found == float('inf') else found


def figures(new, old):
    """What the page shows now."""
    requests, before = (page.each('sugarperf_cache_requests_total', 'result') for page in (new, old))
    asked = sum(requests.values())
    recent = {name: count - before.get(name, 0) for name, count in requests.items()}
    used, idle = (sum(number for (name, labels), number in new.samples.items()
                      if name == 'db_client_connections' and dict(labels)['state'] == state) for state in ('used', 'idle'))
    return {'seconds': new.at - old.at, 'hits': new.total('cache_hits_total'), 'misses': new.total('cache_misses_total'),
            'hitRate': new.total('cache_hit_rate'), 'lookups': asked, 'lookupRate': sum(recent.values()) / max(1e-3, new.at - old.at),
            'pool': {'used': used, 'idle': idle, 'max': new.total('db_client_connection_max'),
                     'waiting': new.total('db_client_connection_pending_requests')},
            'breakers': {dict(labels)['name']: dict(labels)['state'] for (name, labels), number in sorted(new.samples.items())
                         if name == 'sugarperf_circuitbreaker_state' and number == 1},
            'endpoints': times(new, old, WORK, 'name'), 'statements': times(new, old, top.TIMES, 'db_query_summary')}


class Live:
    """The page's server; `url` is where."""

    def __init__(self, service, result):
        with open(os.path.join(HERE, 'live.html'), encoding='utf-8') as file:
            page = file.read().replace('"BARS"', json.dumps(bars(result)).replace('<', '\\u003c')).encode()
        self.service, self.pages, self.lock = service, [], threading.Lock()
        answers = {'/': lambda: ('text/html; charset=utf-8', page), '/live': lambda: ('application/json', json.dumps(self.now()).encode())}

        class Handler(http.server.BaseHTTPRequestHandler):
            """Two paths; no line in a log."""

            def do_GET(self):  # pylint: disable=invalid-name  # the base class's
                try:
                    kind, body = answers[self.path]()
                except KeyError:
                    self.send_error(404)
                    return
                except OSError:
                    self.send_error(502, 'the service does not answer')
                    return
                try:
                    self.answer(kind, body)
                except ConnectionError:
                    pass    # who asked has gone

            def answer(self, kind, body):
                self.send_response(200)
                self.send_header('Content-Type', kind)
                self.send_header('Content-Length', str(len(body)))
                self.send_header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
                                 " connect-src 'self'; img-src data:")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin  # the base class's
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}/'
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def now(self):
        new = top.fetch(self.service + '/metrics')
        with self.lock:
            self.pages = [page for page in self.pages if page.at > new.at - KEPT] or self.pages[-1:]
            old = self.pages[0] if self.pages else new
            self.pages.append(new)
        return figures(new, old)
