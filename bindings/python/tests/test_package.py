# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from .support import PACKAGE

from sugarperf import Template, errors

_ROOT = os.path.dirname(os.path.dirname(PACKAGE))


def _load(**env: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", "import sugarperf"],
        env={**os.environ, "PYTHONPATH": PACKAGE, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return run.stderr.strip().rsplit("\n", 1)[-1]


class Keys(unittest.TestCase):
    def setUp(self) -> None:
        with open(os.path.join(_ROOT, "tests", "vectors", "keys.json"), encoding="utf-8") as file:
            self.vectors = json.load(file)

    def test_keys_are_those_of_every_other_language(self) -> None:
        for case in self.vectors["keys"]:
            with self.subTest(case["name"]):
                self.assertEqual(Template(case["template"]).key(*case["params"]), case["key"])

    def test_what_no_key_can_be_made_of_is_refused(self) -> None:
        for case in self.vectors["refused"]:
            with self.subTest(case["name"]), self.assertRaises(errors.Error) as caught:
                Template(case["template"]).key(*case["params"])
            self.assertEqual(caught.exception.code, case["code"])


class Package(unittest.TestCase):
    def test_a_library_of_another_version_is_refused_at_load(self) -> None:
        other = os.path.join(os.environ["SUGARPERF_BUILD"], "bindings", "libother-version.so")
        self.assertTrue(os.path.exists(other), f"{other} is not built")
        self.assertEqual(
            _load(LD_PRELOAD=other),
            "ImportError: sugarperf: package 0.1.0 does not fit libsugarperf 9.9.9; install the same version of both",
        )

    def test_a_missing_module_is_one_clear_line(self) -> None:
        without = _load(SUGARPERF_BUILD="")
        self.assertRegex(without, "^ImportError: sugarperf: its native module is not in /.*SUGARPERF_BUILD.*meson install$")
        self.assertNotIn("circular", without)
        self.assertIn("/nonexistent/bindings/python", _load(SUGARPERF_BUILD="/nonexistent"))

    def test_a_module_that_cannot_be_loaded_is_one_clear_line(self) -> None:
        with tempfile.TemporaryDirectory() as build:
            folder = os.path.join(build, "bindings", "python")
            os.makedirs(folder)
            shutil.copy(os.path.join(os.environ["SUGARPERF_BUILD"], "bindings", "python", "native.py"), folder)
            with open(os.path.join(folder, "_native.abi3.so"), "wb"):
                pass
            broken = _load(SUGARPERF_BUILD=build)
        self.assertRegex(broken, "^ImportError: sugarperf: cannot load its native module .*install libsugarperf")
        self.assertNotIn("circular", broken)

    def test_a_sub_interpreter_is_refused_in_one_clear_line(self) -> None:
        program = (
            "try:\n import _interpreters as them\n run = them.run_string\n"
            "except ImportError:\n import _xxsubinterpreters as them\n run = them.run_string\n"
            "import sugarperf\n"
            "here = 'import sugarperf.errors'\n"
            "try:\n told = run(them.create(), here)\n"
            "except Exception as error:\n told = error\n"
            "print(told)\n"
            "print(sugarperf.Breaker.create().state)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": PACKAGE},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertRegex(said.stdout, "ImportError.*sub-?interpreter", said.stderr)
        self.assertTrue(said.stdout.endswith("CLOSED\n"), said.stdout)

    def test_every_status_has_a_class(self) -> None:
        from sugarperf import native

        status = -1
        while (code := native.status_name(status)) != "SP_UNKNOWN":
            self.assertEqual(errors.make(status, "message").code, code)
            status -= 1
        self.assertLess(status, -20)
