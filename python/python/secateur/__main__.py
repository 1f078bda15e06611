"""The command line: `secateur` and `python -m secateur`."""
import signal
import sys

from ._secateur import main as run


def main() -> int:
    # The command line has ways of its own to end; Python's would wait until it has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run(["secateur", *sys.argv[1:]], [sys.executable, "-m", "secateur"])


if __name__ == "__main__":
    sys.exit(main())
