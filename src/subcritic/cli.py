"""The command line. It hands a job of a chain to the chain's fork server; all else it runs itself."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from subcritic import forkserver


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, that of the process where `arguments` is None; returns the exit code."""
    try:
        if arguments is None:
            code = forkserver.hand_over(sys.argv[1:])
            if code is not None:
                return code
        # Only now: it imports what a client does without.
        from subcritic import commands

        code = commands.run(arguments)
        if arguments is None:
            _leave_threads_behind(code)
        return code
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


def _leave_threads_behind(code: int) -> None:
    """End the process where threads or processes that an environment began would keep it from ending."""
    processes = sys.modules.get("multiprocessing")
    children = processes.active_children() if processes else []
    left = [each for each in (*threading.enumerate(), *children) if not each.daemon]
    left.remove(threading.current_thread())
    if left:
        names = ", ".join(each.name for each in left)
        print(f"subcritic: warning: still running at the end, and stopped: {names}", file=sys.stderr)
        for child in children:
            child.terminate()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
