# SPDX-License-Identifier: MIT
"""What demo.py is made of: the database, the programs, the checks of answers, the tables."""


class Failure(Exception):
    """A one-line reason that names the fix, shown to the user."""
