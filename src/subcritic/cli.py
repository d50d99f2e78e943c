"""The command line. It hands a job of a chain to the chain's fork server; all else it runs itself."""

from __future__ import annotations

import sys
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

        return commands.run(arguments)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
