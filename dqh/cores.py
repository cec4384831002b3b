"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Those that the system lets this process run on, or all that there are where it does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """How many threads compute where nobody says: as many as `OMP_NUM_THREADS`, else one a usable core."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(asked) if asked.isdecimal() and int(asked) else usable_cores()
