"""The entry of the program, as `lgesynthnet` and as `python -m lgesynthnet`. It handles signals first, and imports the rest then."""

from __future__ import annotations

import sys

from lgesynthnet.cli import signals


def main() -> int:
    """Run the command line in a process of its own; returns the exit code."""
    signals.leave_at_once()
    from lgesynthnet.cli import app, console

    signals.interrupt()
    console.open_streams()
    try:
        code = app.main()
    except KeyboardInterrupt:  # another signal, while the command was ending for the first one
        code = signals.INTERRUPTED
    return signals.exit_code(code)


if __name__ == "__main__":
    sys.exit(main())
