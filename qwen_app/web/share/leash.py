"""Becomes a program that ends with the process that started it, also where that one is killed without a word.

    python leash.py PARENT PROGRAM [ARGUMENTS]      PARENT is the id of the process that starts it

The kernel sends the signal when the starting *thread* ends (Linux, prctl(2), PR_SET_PDEATHSIG), and keeps that in mind
over exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the process that wanted this is gone")
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
