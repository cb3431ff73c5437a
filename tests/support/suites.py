#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs meson's suites and counts test cases: suites.py BUILD [suite|name...]; ends with "N passed, M failed".

Counted is what JUnit's file of meson says, case by case. A suite that was asked for and left no result counts as failed.
"""
import collections
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree


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
    """name of test -> Counter of passed, failed, skipped; plus the names of failed cases.

    A test that speaks TAP is a <testsuite> called "project.label"; the others are cases of one suite of the project.
    """
    table, failed = collections.defaultdict(collections.Counter), []
    for suite in xml.etree.ElementTree.parse(path).getroot().iter('testsuite'):
        _, dot, label = suite.get('name', '').partition('.')
        for case in suite.iter('testcase'):
            name = bare(label) if dot else bare(case.get('name'))
            table[name][outcome(case)] += 1
            if outcome(case) == 'failed':
                failed.append(f"{name}: {case.get('name')}" if dot else name)
        # A TAP program that crashed or broke its plan says so beside its cases.
        if dot and not table[bare(label)]['failed'] and (suite.get('errors') != '0' or suite.get('failures') != '0'):
            table[bare(label)]['failed'] += 1
            failed.append(f'{bare(label)}: ended badly')
    return table, failed


def main(build, words):
    selected = chosen(registered(build), words)
    report = os.path.join(build, 'meson-logs', 'testlog.junit.xml')
    if os.path.exists(report):
        os.remove(report)
    status = 0
    if selected:
        status = subprocess.run(['meson', 'test', '-C', build, '--print-errorlogs', '--num-processes', '2',
                                 *sorted({test['name'] for test in selected})], check=False).returncode
    names = [test['name'] for test in selected]
    table, failed = collections.defaultdict(collections.Counter), []
    if os.path.exists(report):
        table, failed = counts(report)
    # meson calls a TAP program without a single case skipped: to us it did not run, whatever the reason.
    lost = [name for name in names if not table[name]['passed'] and not table[name]['failed']]
    for name in lost:
        del table[name]
    passed = sum(row['passed'] for row in table.values())
    skipped = sum(row['skipped'] for row in table.values())
    for name in failed:
        print(f'FAILED {name}')
    for name in lost:
        print(f'DID NOT RUN {name}')
    bad = len(failed) + len(lost)
    if not bad and (status or not selected):
        print(f'FAILED meson test ended with status {status}' if selected else 'DID NOT RUN: there are no tests')
        bad = 1
    print(f'{passed} passed, {bad} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
