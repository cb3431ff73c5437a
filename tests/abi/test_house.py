# SPDX-License-Identifier: MIT
"""Rules of the house that a compiler does not check. Files are found, not listed."""
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOMS = ['base', 'core', 'loop', 'observe', 'guard', 'key', 'sql', 'pg', 'redis', 'cache', 'invalidate', 'profile', 'client',
         'exporter']
SOURCES = {'.c', '.h', '.cc', '.cpp', '.i', '.py', '.js', '.mjs', '.ts', '.sh'}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
MAX_LINES = 600


def tracked():
    listing = subprocess.run(['git', '-c', f'safe.directory={ROOT}', 'ls-files', '-z', '-co', '--exclude-standard'], cwd=ROOT,
                             capture_output=True, check=True).stdout
    names = [name for name in listing.decode().split('\0') if name and os.path.isfile(os.path.join(ROOT, name))]
    return sorted(names)


def text(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


class House(unittest.TestCase):
    def sources(self):
        found = [name for name in tracked() if os.path.splitext(name)[1] in SOURCES or name in ('run', '.ci/run')]
        self.assertIn('include/sugarperf/base.h', found)
        return found

    def test_a_room_includes_only_rooms_above_it(self):
        wrong = []
        for name in self.sources():
            parts = name.split('/')
            if parts[0] != 'lib' or len(parts) < 3:
                continue
            self.assertIn(parts[1], ROOMS, f'{name} is in a room that is not in the list')
            for included in INCLUDE.findall(text(name)):
                room = included.split('/')[0]
                if '/' in included and room in ROOMS and ROOMS.index(room) > ROOMS.index(parts[1]):
                    wrong.append(f'{name} includes {included}')
        self.assertEqual(wrong, [])

    def test_sources_begin_with_the_licence(self):
        wrong = [name for name in self.sources() if 'SPDX-License-Identifier: MIT' not in '\n'.join(text(name).splitlines()[:2])]
        self.assertEqual(wrong, [])

    def test_a_file_is_one_noun(self):
        wrong = [name for name in self.sources() if text(name).count('\n') > MAX_LINES]
        self.assertEqual(wrong, [], f'files of more than {MAX_LINES} lines')

    def test_every_source_of_a_room_is_built(self):
        wrong = []
        for name in self.sources():
            folder, file = os.path.split(name)
            if name.startswith('lib/') and file.endswith('.c') and f"'{file}'" not in text(f'{folder}/meson.build'):
                wrong.append(name)
        self.assertEqual(wrong, [])
