"""Whether this machine can be measured on, and that nothing of ours is in the way."""

import sys
from pathlib import Path

from bench import machine
from freeroute import open_files


def is_ready() -> bool:
    """Make way for processes that are to be pinned and measured; False, and said why, where none can be."""
    if sys.platform != "linux" or not Path("/proc/self/stat").exists():
        print("bench: needs Linux, to pin processes and to read what they use", file=sys.stderr)
        return False
    open_files.allow_many()  # those that are measured beside the gateway start with as many
    machine.step_aside()
    return True
