"""How fast a candidate is: decaying estimates that start from the catalogue's priors."""

import math

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Model

# Weight of one new measurement; the last ten calls make up 90 % of the estimate.
BLEND = 0.2
# A failure or a 429 costs what a caller would lose by it, and is forgotten by half every minute.
FAILURE_SECONDS = 10.0
FAILURE_HALF_LIFE = 60.0
# An estimate drifts back to its prior while nobody asks: after ten minutes half of the difference is left,
# so that a provider once slow gets another chance.
DRIFT_HALF_LIFE = 600.0
# Rates under this are treated as this, so that one odd measurement cannot make a candidate unpickable.
SLOWEST_RATE = 1.0


class Speed(Struct):
    """Expected seconds to the first event, output tokens a second, and recent failures."""

    first_token: float
    rate: float
    measured_at: float = -math.inf
    samples: int = 0
    failures: float = 0.0
    failed_at: float = 0.0

    @classmethod
    def prior(cls, model: Model) -> "Speed":
        """Return what the catalogue expects of *model*."""
        return cls(model.first_token, model.tokens_per_second)

    def measured(self, first_event: float, tokens: int, seconds: float, now: Now) -> None:
        """Take in an answer: *first_event* seconds to its first event, *tokens* in *seconds* after it."""
        self.first_token += BLEND * (first_event - self.first_token)
        if tokens > 1 and seconds > 0:
            self.rate += BLEND * (tokens / seconds - self.rate)
        self.measured_at = now.mono
        self.samples += 1

    def failed(self, now: Now) -> None:
        """Take in a failure or a 429."""
        self.failures = self._failures(now) + 1.0
        self.failed_at = now.mono

    def expected(self, model: Model, output: int, now: Now) -> float:
        """Return the expected seconds until *output* tokens have come."""
        pull = 1.0 if self.samples == 0 else 0.5 ** ((now.mono - self.measured_at) / DRIFT_HALF_LIFE)
        first = model.first_token + pull * (self.first_token - model.first_token)
        rate = model.tokens_per_second + pull * (self.rate - model.tokens_per_second)
        slow = self._failures(now) * FAILURE_SECONDS
        return first + output / max(rate, SLOWEST_RATE) + slow

    def _failures(self, now: Now) -> float:
        if self.failures == 0.0:
            return 0.0
        return float(self.failures * 0.5 ** ((now.mono - self.failed_at) / FAILURE_HALF_LIFE))
