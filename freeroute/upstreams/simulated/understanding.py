"""What a simulated model understands of a request: the tools, numbers and quotes that its question names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
# An apostrophe inside a word quotes nothing.
_QUOTE = re.compile(r"""(?<!\w)'([^'\n]+)'(?!\w)|"([^"\n]+)"|“([^”\n]+)”""")
_KEY = re.compile(r"[A-Za-z_]\w*")
# A shorter word would be met by accident.
_SHORTEST_TOPIC = 4


class Question(Struct, frozen=True):
    """What the user said last."""

    text: str = ""

    @property
    def numbers(self) -> list[float]:
        """The numbers in it, in their order."""
        return [float(found) for found in _NUMBER.findall(self.text)]

    @property
    def quotes(self) -> list[str]:
        """What stands in quotes, in its order."""
        return ["".join(found) for found in _QUOTE.findall(self.text)]

    @property
    def keys(self) -> list[str]:
        """The quotes that can name a field."""
        return [quote for quote in self.quotes if _KEY.fullmatch(quote)]

    def names(self, tool: Mapping[str, Any]) -> bool:
        """Say whether it asks for *tool*: by name, or for what a ``get_...`` gets."""
        name = tool.get("name") or ""
        topic = name.removeprefix("get_").lower()
        return bool(name) and (
            name in self.text
            or (topic != name and len(topic) >= _SHORTEST_TOPIC and topic in self.text.lower())
        )


def question(body: Mapping[str, Any]) -> Question:
    """Return the last question in *body*."""
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            return Question(" ".join(_texts(message.get("content"))))
    return Question()


def _texts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else ({"text": content},):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def tools_wanted(body: Mapping[str, Any], obeys_choice: bool) -> list[Mapping[str, Any]]:
    """Return the tools to call now: those that the choice or else the question names."""
    tools = [tool["function"] for tool in body.get("tools") or () if isinstance(tool.get("function"), dict)]
    choice = body.get("tool_choice") if obeys_choice else "auto"
    if not tools or choice == "none":
        return []
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        return [tool for tool in tools if tool.get("name") == name][:1]
    asked = question(body)
    named = [tool for tool in tools if asked.names(tool)]
    if choice in ("required", "any"):
        return [_due([*named, *tools], _called(body["messages"]))]
    return named if body["messages"][-1].get("role") == "user" else []


def _due(tools: Sequence[Mapping[str, Any]], called: set[str]) -> Mapping[str, Any]:
    """The first that has not been called yet, so that a chain of forced calls comes to its last tool."""
    return next((tool for tool in tools if tool.get("name") not in called), tools[-1])


def _called(messages: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of what was called since the last question."""
    names: set[str] = set()
    for message in reversed(messages):
        if message.get("role") == "user":
            break
        names |= {call["function"]["name"] for call in message.get("tool_calls") or ()}
    return names
