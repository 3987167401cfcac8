"""Models whose chat template opens the thoughts itself, so that their text has the closing tag alone."""

from collections import OrderedDict

from freeroute.domain.catalogue import Candidate
from freeroute.wire.chat import ChatCall

KNOWN = 1000
"""Models, each with the ways it is asked in, that are kept: the latest. Own design: few have one at all."""

# What a caller tells the template, or the server that fills it, of thinking.
_SWITCHES = ("chat_template_kwargs", "reasoning_effort")
_Place = tuple[str, int]


class Templates:
    """What answers have taught; in memory only."""

    def __init__(self) -> None:
        """Know of none."""
        self._opening: OrderedDict[_Place, None] = OrderedDict()

    def of(self, candidate: Candidate, call: ChatCall) -> "Template":
        """Return the template that *candidate*'s model fills for *call*, by what is known of it."""
        switches = tuple(bytes(call.fields.get(name, b"")) for name in _SWITCHES)
        return Template(self, (candidate.name, hash(switches)))

    def opens(self, place: _Place) -> bool:
        """Say whether the template at *place* opens the thoughts."""
        return place in self._opening

    def note(self, place: _Place, *, opens: bool) -> None:
        """Keep whether the template at *place* opens the thoughts."""
        self._opening.pop(place, None)
        if opens:
            self._opening[place] = None
            if len(self._opening) > KNOWN:
                self._opening.popitem(last=False)


class Template:
    """One model's template, in one way to ask it."""

    def __init__(self, known: Templates, place: _Place) -> None:
        """Find it at *place* among those *known*."""
        self._known = known
        self._place = place

    @property
    def opens(self) -> bool:
        """Say whether it is known to open the thoughts."""
        return self._known.opens(self._place)

    def note(self, *, opens: bool) -> None:
        """Keep what an answer shows of it."""
        self._known.note(self._place, opens=opens)
