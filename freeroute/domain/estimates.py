"""How far estimates of prompts are off: learned for each model from what its provider counted."""

from msgspec import Struct

LEAST_PROMPT = 100
"""Tokens of a prompt that teaches something: of shorter ones the provider's own wrapping is a large part."""

OFF_BY = 4.0
"""An answer that says the estimate was off by more than this factor counts as this: it may speak of images,
or of a cache. Own design."""

GENEROUS = 0.5
"""The least part of its estimate that a prompt is taken to have, if all depends on it. Own design: most
estimates are within a fifth, but hexadecimal digits and rows of pictures come out at some twice of theirs."""


class Estimate(Struct):
    """Real prompt tokens for each one estimated: decaying mean and deviation, as TCP does for round trips.

    What is charged is the mean and twice the deviation, so that few calls take more than was charged for
    them; where prompts turn out shorter, never more than the plain estimate: that is the *factor*.
    """

    ratio: float = 1.0
    spread: float = 0.0
    samples: int = 0
    factor: float = 1.0

    def told(self, estimated: int, real: int) -> None:
        """Take in that a prompt *estimated* at so many tokens had *real* ones."""
        if estimated < LEAST_PROMPT or real <= 0:
            return
        off = min(max(real / estimated, 1 / OFF_BY), OFF_BY)
        if not self.samples:
            self.ratio, self.spread = off, abs(off - 1.0) / 2
        else:
            self.spread += (abs(off - self.ratio) - self.spread) / 4
            self.ratio += (off - self.ratio) / 8
        self.samples += 1
        self.factor = min(self.ratio + 2 * self.spread, 1.0 if self.ratio < 1.0 else OFF_BY)

    def of(self, prompt: int) -> int:
        """Return the tokens to charge for a *prompt* estimated at so many."""
        if self.factor == 1.0:  # nothing taught that prompts are longer
            return prompt or 1
        return round(prompt * self.factor) or 1
