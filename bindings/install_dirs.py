# SPDX-License-Identifier: MIT
"""Where the bindings go under a prefix: install_dirs.py PREFIX LIBDIR, run by the Python that the binding is built for.

Prints Python's folder of packages and Node's package, and for each how libsugarperf's folder is reached from its module,
so that an installed tree is found wherever it is moved, without LD_LIBRARY_PATH.
"""

import os
import site
import sys
import sysconfig


def packages(prefix: str) -> str:
    """A folder that this Python searches by itself, where the prefix has one: Debian's own differ from the standard ones."""
    inside = [path for path in site.getsitepackages() if path.startswith(prefix + "/")]
    if prefix == "/usr":
        inside = [path for path in inside if not path.startswith("/usr/local/")]
    if inside:
        return inside[0]
    return sysconfig.get_path("platlib", vars={"base": prefix, "platbase": prefix, "installed_base": prefix})


def main(prefix: str, libdir: str) -> None:
    python = packages(prefix)
    node = os.path.join(prefix, "lib", "node_modules", "sugarperf")
    library = os.path.join(prefix, libdir)
    print(python)
    print(os.path.relpath(library, os.path.join(python, "sugarperf")))
    print(node)
    print(os.path.relpath(library, os.path.join(node, "build")))


main(*sys.argv[1:])
