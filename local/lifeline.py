"""The child's side of the lifeline: what was started ends when its starter is gone, however that ended.

A starter keeps the write end of a pipe open for as long as it lives, and the child has the read end as its standard
input. The kernel closes the write end with the starter, also after SIGKILL, and the child reads an end of file.

Owns the decision what ends then: the child's process group where the child leads it, the child alone otherwise.
Never ends another group, and never reads anything where standard input is no pipe (a terminal, /dev/null).

Run as a script (`python lifeline.py COMMAND …`), it holds the lifeline for a command that knows nothing of it.
"""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from typing import Final

GRACE_SECONDS: Final = 5
"""What a process gets between SIGTERM and SIGKILL: enough to write out what it has, short enough to wait for."""

_STDIN: Final = 0
_READ_BYTES: Final = 4096

# Sent from inside the group, by a member that outlives SIGTERM: as long as it lives, the group's number cannot be
# given to somebody else, and the leader may be gone by then. 0 is "my own group".
_END_OF_GROUP: Final = f"trap '' TERM; kill -TERM 0; sleep {GRACE_SECONDS}; kill -KILL 0"


def follow_parent() -> None:
    """End this process when the other end of standard input closes; returns at once.

    Waits in a daemon thread. Does nothing where standard input is no pipe. At the end of file, the process group
    (where this process leads one) or this process gets SIGTERM, and SIGKILL `GRACE_SECONDS` later.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(_STDIN).st_mode):
            return
        lifeline = os.dup(_STDIN)  # its own descriptor: whoever closes or replaces standard input does not cut it
    except OSError:
        return  # no standard input at all
    threading.Thread(target=_follow, args=(lifeline,), name="lifeline", daemon=True).start()


def _follow(lifeline: int) -> None:
    while os.read(lifeline, _READ_BYTES):
        pass  # nobody writes; if somebody does, it means nothing
    if os.getpgrp() == os.getpid():
        _end_group()
    else:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)


def _end_group() -> None:
    try:
        subprocess.run(["/bin/sh", "-c", _END_OF_GROUP], stdin=subprocess.DEVNULL, check=False)
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # reached only without a shell: it would have ended us


def main(argv: list[str]) -> int:
    """Run a command under the lifeline and return its exit code.

    Death by signal N gives 128 + N and a command that cannot be started 127, like a shell.
    """
    # Whoever ends this group ends the command with it; its exit is waited for. A handler, because SIG_IGN is inherited.
    signal.signal(signal.SIGTERM, lambda *_: None)
    follow_parent()
    try:
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return 127
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
