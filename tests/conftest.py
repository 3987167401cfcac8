"""How Hypothesis looks for counterexamples: the same way every time in the suite, anew in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

# A suite that fails by luck teaches people to run it again. Time is the machine's matter, not the code's.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
