# SPDX-License-Identifier: MIT
"""What the built library shows to the outside. SP_LIBRARY names it, SP_CC and SP_CXX the compilers."""
import glob
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, 'include')
LIBRARY = os.environ.get('SP_LIBRARY', '')
# Symbols that a sanitizer or coverage adds.
TOOLING = ('__asan_', '__ubsan_', '__tsan_', '__sanitizer_', '__odr_asan', '__gcov', '__llvm')


def words(name, default):
    return os.environ.get(name, default).split()


class Library(unittest.TestCase):
    def symbols(self):
        listing = subprocess.run(['nm', '-D', '--defined-only', LIBRARY], capture_output=True, text=True, check=True)
        return [line.split() for line in listing.stdout.splitlines()]

    def test_only_sp_symbols_are_exported(self):
        rows = self.symbols()
        names = [row[-1].split('@')[0] for row in rows]
        self.assertEqual([name for name in names if not name.startswith('sp_') and not name.startswith(TOOLING)], [])
        self.assertEqual([name for name in names if name.startswith('sp__')], [], 'internal names are exported')

    def test_the_soname_carries_the_major_version(self):
        dynamic = subprocess.run(['readelf', '-d', LIBRARY], capture_output=True, text=True, check=True).stdout
        self.assertIn('[libsugarperf.so.0]', dynamic)

    def test_each_public_header_compiles_alone(self):
        headers = sorted(glob.glob(os.path.join(INCLUDE, 'sugarperf', '*.h')))
        self.assertTrue(headers)
        for language, compiler, standard in (('c', words('SP_CC', 'cc'), 'c11'), ('c++', words('SP_CXX', 'c++'), 'c++17')):
            for header in headers:
                with self.subTest(header=os.path.basename(header), language=language):
                    source = f'#include <sugarperf/{os.path.basename(header)}>\n'
                    done = subprocess.run([*compiler, '-x', language, f'-std={standard}', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                                           '-fsyntax-only', '-I', INCLUDE, '-'], input=source, capture_output=True, text=True,
                                          check=False)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_declared_function_is_exported(self):
        with tempfile.NamedTemporaryFile('w', suffix='.c') as source:
            source.write('#include <sugarperf/sugarperf.h>\n')
            source.flush()
            done = subprocess.run([*words('SP_CC', 'cc'), '-E', '-I', INCLUDE, '-DSP_API=SP_EXPORTED', source.name],
                                  capture_output=True, text=True, check=False)
        # base.h defines SP_API itself: read the attribute that it expands to.
        code = ' '.join(line for line in done.stdout.splitlines() if not line.startswith('#'))
        declared = set()
        for piece in code.split('__attribute__((visibility("default")))')[1:]:
            head = piece.split('(', 1)[0].replace('*', ' ').split()
            declared.add(head[-1])
        self.assertTrue(declared, done.stderr)
        exported = {row[-1].split('@')[0] for row in self.symbols()}
        self.assertEqual(sorted(declared - exported), [], 'declared in a header and missing from the library')
