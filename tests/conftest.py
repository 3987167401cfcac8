"""What holds for the whole suite: nothing of it fails by chance.

Hypothesis looks for counterexamples the same way every time, and anew in `make fuzz`. Timers of event loops
let pass what came before them (`tests.support.patience`).
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.patience import STANDARD, LoopFactory

pytest.register_assert_rewrite("tests.faults.scene")  # whoever imports it first

# A suite that fails by luck teaches people to run it again. Time is the machine's matter, not the code's.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_asyncio_loop_factories(config, item) -> dict[str, LoopFactory]:
    return {"loop": STANDARD}
