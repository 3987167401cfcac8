"""The same weights at several providers, by the ids of models."""

import re

_FAMILY_TAIL = re.compile(r"(-instruct|-it|-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4})$")


def family_of(model_id: str) -> str:
    """Return the weights' name: last path segment, lower case, no ``:free``, ``-instruct``, ``-it``, date."""
    name = model_id.rsplit("/", 1)[-1].lower().removesuffix(":free")
    while (shorter := _FAMILY_TAIL.sub("", name)) != name:
        name = shorter
    return name
