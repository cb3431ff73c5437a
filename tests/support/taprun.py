#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs Python's unittest and speaks TAP: taprun.py [-t TOP] START_FOLDER [pattern]."""
import io
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out, self.number, self.bad = out, 0, False

    def line(self, good, test, note=''):
        self.number += 1
        self.bad |= not good
        name = str(test).replace('#', '').replace('\n', ' ')
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{note}", file=self.out, flush=True)

    def report(self, test, error):
        self.line(False, test)
        for line in self._exc_info_to_string(error, test).splitlines():  # without the frames of unittest
            print(f'# {line}', file=self.out, flush=True)

    def addSuccess(self, test):
        self.line(True, test)

    def addError(self, test, err):
        self.report(test, err)

    def addFailure(self, test, err):
        self.report(test, err)

    def addSkip(self, test, reason):
        self.line(True, test, f' # SKIP {reason}')

    def addExpectedFailure(self, test, err):
        self.line(True, test)

    def addUnexpectedSuccess(self, test):
        self.line(False, test)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.report(subtest, err)


def main(args):
    top = None
    if args[:1] == ['-t']:
        top, args = args[1], args[2:]
    suite = unittest.defaultTestLoader.discover(args[0], pattern=args[1] if len(args) > 1 else 'test*.py', top_level_dir=top)
    out, sys.stdout = sys.stdout, io.TextIOWrapper(io.FileIO(2, 'w', closefd=False), write_through=True)
    result = TapResult(out)
    suite.run(result)
    print(f'1..{result.number}', file=out, flush=True)
    return 1 if result.bad or not result.number else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
