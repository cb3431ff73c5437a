#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs meson's suites and counts test cases: suites.py BUILD [suite|name...]; ends with "N passed, M failed".

Counted is what JUnit's file of meson says, case by case. A suite that was asked for and left no result counts as failed.
Before the count stands what failed, each with what its program said about it: often the end is all that one sees of a run.
With --check before the words it only looks whether there are such suites or tests.
"""
import collections
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree

# The line by which .ci/run finds what failed.
HEADER = '=== what failed'
TAP_RESULT = re.compile(r'(?:not )?ok\b')
PLAN = re.compile(r'\d+\.\.\d+$')
CASE_NUMBER = re.compile(r'\d+')
SEED = re.compile(r'\bseed\b')
LINES_SHOWN, HEAD_SHOWN, SEEDS_SHOWN, LINE_SHOWN, TOTAL_SHOWN = 20, 6, 3, 400, 200


def registered(build):
    listing = subprocess.run(['meson', 'introspect', '--tests', build], capture_output=True, text=True, check=True)
    return json.loads(listing.stdout)


def suites_of(test):
    return {suite.split(':')[-1] for suite in test['suite']}


def chosen(tests, words):
    """The tests whose name or suite is among the words; all without words."""
    if not words:
        return tests
    for word in words:
        if not any(word == test['name'] or word in suites_of(test) for test in tests):
            known = sorted({suite for test in tests for suite in suites_of(test)} | {test['name'] for test in tests})
            sys.exit(f"run: no suite or test is called '{word}': there are {', '.join(known)}")
    return [test for test in tests if any(word == test['name'] or word in suites_of(test) for word in words)]


def outcome(case):
    if case.find('failure') is not None or case.find('error') is not None:
        return 'failed'
    return 'skipped' if case.find('skipped') is not None else 'passed'


def bare(label):
    """The name of a test in meson's label, "suite - project:name" or "project:name"."""
    return re.sub(r'^(?:.* - )?[^:]+:', '', label)


def counts(path):
    """name of test -> Counter of passed, failed, skipped; plus what failed: (test, case), without a case its end.

    A test that speaks TAP is a <testsuite> called "project.label"; the others are cases of one suite of the project.
    """
    table, failed = collections.defaultdict(collections.Counter), []
    for suite in xml.etree.ElementTree.parse(path).getroot().iter('testsuite'):
        _, dot, label = suite.get('name', '').partition('.')
        for case in suite.iter('testcase'):
            name = bare(label) if dot else bare(case.get('name'))
            table[name][outcome(case)] += 1
            if outcome(case) == 'failed':
                failed.append((name, case.get('name') if dot else None))
        # A TAP program that crashed or broke its plan says so beside its cases.
        if dot and not table[bare(label)]['failed'] and (suite.get('errors') != '0' or suite.get('failures') != '0'):
            table[bare(label)]['failed'] += 1
            failed.append((bare(label), None))
    return table, failed


def outputs(path):
    """name of test -> meson's record of its program: stdout, stderr, result, returncode."""
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return {bare(record['name']): record for record in map(json.loads, file)}
    except (OSError, ValueError):
        return {}


def bounded(lines):
    """What to show of them: the end has the assertion, the beginning a sanitizer's finding."""
    lines = [''.join(char if char.isprintable() else ' ' for char in line)[:LINE_SHOWN] for line in lines]
    if len(lines) > LINES_SHOWN:
        lines[HEAD_SHOWN:HEAD_SHOWN - LINES_SHOWN] = [f'[{len(lines) - LINES_SHOWN} more lines]']
    return lines


def around(lines, number):
    """The lines about one result of TAP: those up to the next, and those before it, unless they tell why another failed."""
    results = [i for i, line in enumerate(lines) if TAP_RESULT.match(line)] + [len(lines)]
    if number >= len(results):
        return lines
    before = results[number - 2] if number > 1 else -1
    own = results[number - 1]
    led = [] if before >= 0 and lines[before].startswith('not') else lines[before + 1:own]
    return [line for line in led + lines[own + 1:results[number]] if not PLAN.match(line)]


def said_about(record, case):
    """What a program said about a failed case or, for None, when it ended. The seeds up to then are always among it."""
    out = record.get('stdout', '').splitlines()
    number = CASE_NUMBER.match(case or '')
    lines = around(out, int(number[0])) if number else out
    shown = bounded(lines)
    seeds = [line for line in out if SEED.search(line) and line not in shown]
    end = [] if number and shown else [f"[{record['result'].lower()}, status {record['returncode']}]"]
    return bounded(seeds[-SEEDS_SHOWN:]) + end + shown + bounded(record.get('stderr', '').splitlines())


def tell(word, name, case, record, room):
    """Prints a failure and at most so many lines about it; returns how many."""
    print(f'{word} {name}' + (f': {case}' if case else ''))
    lines = said_about(record, case)[:room] if record else []
    for line in lines:
        print(f'    {line}')
    return len(lines)


def attend(command):
    """The status of meson, which is ended with its tests when we are asked to end."""
    def interrupted(sig, _frame):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        raise SystemExit(128 + sig)

    with subprocess.Popen(command) as process:
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, interrupted)
        try:
            return process.wait()
        except SystemExit:
            process.terminate()
            raise


def main(build, words):
    if words[:1] == ['--check']:
        chosen(registered(build), words[1:])
        return 0
    selected = chosen(registered(build), words)
    report, log = (os.path.join(build, 'meson-logs', name) for name in ('testlog.junit.xml', 'testlog.json'))
    for path in (report, log):
        if os.path.exists(path):
            os.remove(path)
    status = 0
    if selected:
        # A machine under load may be slow: what hangs is still ended.
        status = attend(['meson', 'test', '-C', build, '--print-errorlogs', '--num-processes', '2',
                         '--timeout-multiplier', '3', *sorted({test['name'] for test in selected})])
    names = [test['name'] for test in selected]
    table, failed = collections.defaultdict(collections.Counter), []
    if os.path.exists(report):
        table, failed = counts(report)
    records, room = outputs(log), TOTAL_SHOWN
    # One that was ended for its time need not have a failed case.
    for name in names:
        if records.get(name, {}).get('is_fail') and table[name]['passed'] and not table[name]['failed']:
            table[name]['failed'] += 1
            failed.append((name, None))
    # meson calls a TAP program without a single case skipped: to us it did not run, whatever the reason.
    lost = [name for name in names if not table[name]['passed'] and not table[name]['failed']]
    for name in lost:
        del table[name]
    passed = sum(row['passed'] for row in table.values())
    skipped = sum(row['skipped'] for row in table.values())
    bad = len(failed) + len(lost)
    if bad:
        print(HEADER)
    for name, case in failed:
        room -= tell('FAILED', name, case, records.get(name), room)
    for name in lost:
        room -= tell('DID NOT RUN', name, None, records.get(name), room)
    if not bad and (status or not selected):
        print(f'FAILED meson test ended with status {status}' if selected else 'DID NOT RUN: there are no tests')
        bad = 1
    print(f'{passed} passed, {bad} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
