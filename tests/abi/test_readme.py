# SPDX-License-Identifier: MIT
"""What the README tells people to type exists."""
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*arguments):
    return subprocess.run([os.path.join(ROOT, 'run'), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)


class Readme(unittest.TestCase):
    def test_every_verb_it_names_is_one_of_run(self):
        with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
            verbs = set(re.findall(r'\./run ([a-z]+)', file.read()))
        usage = set(re.findall(r'^  ([a-z]+) ', run('help').stdout, re.MULTILINE))
        self.assertTrue(verbs)
        self.assertEqual(sorted(verbs - usage), [])

    def test_every_link_leads_somewhere(self):
        with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
            links = re.findall(r'\]\(([^)#:]+)\)', file.read())
        self.assertEqual([link for link in links if not os.path.exists(os.path.join(ROOT, link))], [])

    def test_an_unknown_verb_is_one_clear_line(self):
        done = run('nonsense')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.splitlines()[-1], "run: unknown verb 'nonsense'")
