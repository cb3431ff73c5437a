# SPDX-License-Identifier: MIT
"""CPU time of processes, read from /proc."""
import os

TICKS = os.sysconf('SC_CLK_TCK')


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on: a command's name may hold anything."""
    with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
        return file.read().rpartition(')')[2].split()


def own_seconds(pid):
    """User and system seconds of a process, in ticks of 10 ms."""
    fields = stat_fields(pid)
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def exact_seconds(pid):
    """Seconds on a CPU of all threads, to the nanosecond where the kernel keeps schedstat, else in ticks."""
    total = 0
    try:
        for thread in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{thread}/schedstat', encoding='ascii') as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except FileNotFoundError:
        return sum(own_seconds(pid))


def reaped_seconds(pid):
    """What children that have ended used: a backend's time goes to the postmaster."""
    fields = stat_fields(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS


def processes_under(folder):
    """The processes whose working directory lies in a folder: each private server runs in its own."""
    found = []
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        try:
            if (os.readlink(f'/proc/{name}/cwd') + '/').startswith(folder.rstrip('/') + '/'):
                found.append(int(name))
        except OSError:
            continue
    return found


class ServerCpu:
    """CPU seconds of the servers of one set (SP_TEST_SERVERS), those of ended backends included."""

    def __init__(self, folder):
        self.folders = [os.path.realpath(os.path.join(folder, name)) for name in ('pg', 'redis')] if folder else []

    def read(self):
        """Seconds so far; None when there is no private server whose processes could be found."""
        total, found = 0.0, False
        for pid in (pid for folder in self.folders for pid in processes_under(folder)):
            try:
                total += exact_seconds(pid) + reaped_seconds(pid)
                found = True
            except (OSError, IndexError, ValueError):
                continue
        return total if found else None
