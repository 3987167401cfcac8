"""Writes the golden files anew: ``python -m tests.commands.connecting.golden``; then they are to be read."""

from pathlib import Path

from freeroute.commands.connecting.editing import edited
from freeroute.commands.connecting.files import Edit
from freeroute.commands.connecting.recipe import Home
from freeroute.commands.connecting.recipes import RECIPES
from freeroute.commands.connecting.target import Offered, Target

HERE = Path(__file__).parent / "golden"
MODELS = (Offered("free-smart", 131_072, 32_768), Offered("free", 131_072, 32_768, images=True))
TARGET = Target("http://127.0.0.1:3000", None, MODELS[0], "free-fast", MODELS)
KEYED = Target("https://ai.example", "fr-secret", MODELS[0], "free-fast", MODELS)
NAMES = [name for name in RECIPES if RECIPES[name].files(TARGET, Home(HERE, {}))]


def edits(name: str, target: Target = TARGET) -> dict[str, Edit]:
    """Return what is done to the files of the client called *name*, by the names of their golden files."""
    found = RECIPES[name].files(target, Home(HERE, {}))
    return {f"{name}.{edit.path.name}": edit for edit in found}


def before(golden: str) -> str | None:
    """Return what a person has in the file *golden*, None if there is no such example."""
    path = HERE / f"{golden}.before"
    return path.read_text() if path.exists() else None


def made(edit: Edit, text: str | None) -> str:
    """Return what *edit* makes of *text*."""
    return edited(edit.form, text or "", edit.values, edit.scaffold)


if __name__ == "__main__":
    for name in NAMES:
        for golden, edit in edits(name).items():
            (HERE / f"{golden}.fresh").write_text(made(edit, None))
            if text := before(golden):
                (HERE / f"{golden}.after").write_text(made(edit, text))
