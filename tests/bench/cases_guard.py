# SPDX-License-Identifier: MIT
"""Circuit breaker: what it costs to let a call through and to refuse one, beside other breakers."""
from harness import Budget, Case

RATED = ('--set', 'breaker.failure_rate=50')
TIMED = (*RATED, '--set', 'breaker.window=time', '--set', 'breaker.slow=1s', '--set', 'breaker.slow_rate=50')


def cases(context):
    def ours(name, *arguments):
        return context.driver(name, 'bench-guard-ours', *arguments)

    def window(calls):
        return ours(f'window of {calls:,} calls', *RATED, '--set', f'breaker.window_calls={calls}')

    def probes(count):
        return ours(f'{count:,} probes', '--mode', 'probes', '--set', f'breaker.probes={count}')

    def budget(name, side, ns, *floor):
        return Case('guard', name, side, Budget(ns), 1.0, measure='p50_ns',
                    floor=context.driver('its floor', 'bench-guard-floor', *floor))

    def pair(name, side):
        """Of both together, in whole: a batch alone may have run while the other thread slept. 120 ns a thread are 60 of both."""
        return Case('guard', f'acquire + record, {name}, a call of both', side, Budget(60), 1.0, measure='time',
                    floor=context.driver('its floor', 'bench-guard-floor', '--callers', 2))

    def beside(name, side, peer):
        return Case('guard', name, side, peer, 1.0, measure='p50_ns')

    one, two = ours('acquire + record, 1 thread'), ours('acquire + record, 2 threads', '--callers', 2)
    reject = ours('acquire, open', '--mode', 'reject')
    node = context.node('Node, run()', 'guard_ours.js', '--mode', 'record', ours=True)
    node_reject = context.node('Node, run(), open', 'guard_ours.js', '--mode', 'reject', ours=True)
    python = context.python_side('Python, run()', True, '--mode', 'record')
    python_reject = context.python_side('Python, run(), open', True, '--mode', 'reject')
    rows = [
        budget('acquire + record, 1 thread', one, 60),
        budget('acquire + record, 1 thread, rate over a count', window(100), 60),
        budget('acquire + record, 1 thread, rates over time', ours('window of 60 s', *TIMED), 60),
        pair('2 threads', two),
        pair('2 threads, rate over a count', ours('window of 100 calls, 2 threads', *RATED, '--callers', 2)),
        budget('refusal, 1 thread', reject, 30, '--mode', 'reject'),
        budget('refusal, 1 thread, 1,000 probes on their way', probes(1000), 30, '--mode', 'reject'),
        Case('guard', '1,000 probes on their way against one: a refusal', probes(1000), probes(1), 0.8, measure='p50_ns'),
        Case('guard', 'a million calls in the window against ten', window(1000000), window(10), 0.8, measure='p50_ns'),
        *(Case('guard', f'refusal through Node, {what}', context.node(f'Node, {what}', 'guard_ours.js', '--mode', 'reject',
                                                                      '--way', way, ours=True),
               Budget(1000), 1.0, measure='p50_ns',
               floor=context.node('its floor, an awaited call', 'guard_ours.js', '--mode', 'floor', ours=True))
          for way, what in (('value', 'fallback value'), ('function', 'fallback function'), ('error', 'thrown'),
                            ('policy', 'by a policy'))),
        Case('guard', 'recommendation service at 1,000 requests a second, breaker open: a fallback is there, p99',
             context.service_open('the service, breaker open'), Budget(5000), 1.0, measure='p99', data=('recommendation',),
             floor=context.service_open('its floor, a hit', '--floor')),
    ]
    for name in ('opossum', 'cockatiel'):
        for mode, side, what in (('record', node, 'let through'), ('reject', node_reject, 'refused')):
            peer = context.node(f'{name}, {what}', 'guard_peer.js', '--mode', mode, '--peer', name, needs=(name,))
            rows.append(beside(f'Node: {what}, beside {name}', side, peer))
    for mode, side, what in (('record', one, 'let through'), ('reject', reject, 'refused')):
        rows.append(beside(f'C: {what}, beside gobreaker', side, context.gobreaker(f'gobreaker, {what}', '--mode', mode)))
        rows.append(beside(f'C: {what}, beside Resilience4j', side,
                           context.resilience4j(f'Resilience4j, {what}', '--mode', mode)))
    for mode, side, what in (('record', python, 'let through'), ('reject', python_reject, 'refused')):
        rows.append(beside(f'Python: {what}, beside pybreaker', side,
                           context.python_side(f'pybreaker, {what}', False, '--mode', mode)))
    return rows
