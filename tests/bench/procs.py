# SPDX-License-Identifier: MIT
"""CPU time of processes and which CPUs they may use, by /proc."""
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


def pin(pid, cpus):
    """All threads of a process; its future children inherit it."""
    for thread in os.listdir(f'/proc/{pid}/task'):
        os.sched_setaffinity(int(thread), cpus)


class Servers:
    """The processes of one private set (SP_TEST_SERVERS)."""

    def __init__(self, folder):
        self.folders = [os.path.realpath(os.path.join(folder, name)) for name in ('pg', 'redis')] if folder else []

    def pids(self):
        return [pid for folder in self.folders for pid in processes_under(folder)]

    def pin(self, cpus):
        for pid in self.pids():
            try:
                pin(pid, cpus)
            except (FileNotFoundError, ProcessLookupError):
                continue

    def seconds(self):
        """CPU seconds so far, those of ended backends included; None when no server of the set was found."""
        total, found = 0.0, False
        for pid in self.pids():
            try:
                total += exact_seconds(pid) + reaped_seconds(pid)
                found = True
            except (OSError, IndexError, ValueError):
                continue
        return total if found else None
