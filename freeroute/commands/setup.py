"""``freeroute setup``: point a client at a running gateway, by what it reads or what it says to people."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from freeroute.commands import options
from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import edited
from freeroute.commands.connecting.recipes import RECIPES, Home, Recipe
from freeroute.commands.connecting.target import Offered, Target, ask
from freeroute.commands.running import Failed, Running, environment

HIDDEN = "YOUR-KEY"
"""Stands for a key in what is shown: that may be pasted anywhere."""

_NOBODY = Target("http://127.0.0.1:3000", None, Offered("free"), "free", ())


@click.command()
@click.argument("client", type=click.Choice(list(RECIPES)))
@click.option("--write", "doing", flag_value="write", help="Write it into the client's own files.")
@click.option("--dry-run", "doing", flag_value="dry-run", help="Show what --write would change.")
@click.option("--undo", "doing", flag_value="undo", help="Take back all that --write did.")
@click.option("--model", "-m", metavar="NAME", help="The model to begin with; free-smart if it is there.")
@click.option(
    "--all-models", is_flag=True, help="Offer every model by name, beside free, free-fast and others."
)
@click.option(
    "--shell",
    type=click.Choice(["sh", "fish", "powershell"]),
    default="sh",
    show_default=True,
    help="For which shell variables are written.",
)
@options.client_key
@options.url
def setup(
    client: str,
    doing: str | None,
    model: str | None,
    all_models: bool,
    shell: str,
    key: str | None,
    url: str | None,
) -> int:
    """Point a client at a running gateway.

    Prints what to put where, for the models that the gateway has now. With --write that is merged into the
    client's own files: comments and everything else in them stay, a copy is left beside each, and --undo
    brings back what was there. `env` prints variables for programs of one's own.

    \b
    freeroute setup claude-code --write
    freeroute setup opencode --dry-run --model free-fast
    freeroute setup claude-code --undo
    eval "$(freeroute setup env)"
    """
    recipe = RECIPES[client]
    env = environment()
    home = Home(Path.home(), env)
    if doing == "undo":
        return _undo(recipe, home)
    running = Running(url, {**env, "FREEROUTE_API_KEY": key} if key else env)
    target = ask(running, key or env.get("FREEROUTE_API_KEY") or None, model, every=all_models)
    match doing:
        case "write":
            _write(recipe, target, home)
        case "dry-run":
            _show_changes(recipe, target, home)
        case _:
            _show(recipe, target, home, shell)
    for note in recipe.notes(target):
        click.echo(note, err=bool(recipe.files(target, home) or recipe.variables(target)))
    return 0


def _undo(recipe: Recipe, home: Home) -> int:
    changes = [files.undo(edit) for edit in _files(recipe, _NOBODY, home)]
    for change in changes:
        if change is not None:
            word = "removed" if change.after is None else "brought back"
            click.echo(f"{word} {change.path}")
    if not any(changes):
        click.echo(f"There is nothing to take back for {recipe.title}.")
    return 0


def _write(recipe: Recipe, target: Target, home: Home) -> None:
    edits = _files(recipe, target, home)
    for edit in edits:
        files.change(edit)  # a file that cannot be edited is found before another one is
    for edit in edits:
        change = files.write(edit)
        word = "nothing to change in" if change.after == change.before else "wrote"
        click.echo(f"{word} {edit.path}")
    click.echo(f"{recipe.title} asks {target.url} for {target.model.id}; --undo takes it back.")


def _show_changes(recipe: Recipe, target: Target, home: Home) -> None:
    for edit in _files(recipe, target, home):
        shown = files.change(edit).diff() or f"nothing to change in {edit.path}\n"
        click.echo(_without_key(shown, target), nl=False)


def _files(recipe: Recipe, target: Target, home: Home) -> list[files.Edit]:
    found = recipe.files(target, home)
    if not found:
        raise Failed(f"{recipe.title} has no file to write; `freeroute setup {recipe.name}` says what to do")
    return found


def _show(recipe: Recipe, target: Target, home: Home, shell: str) -> None:
    edits = recipe.files(target, home)
    for edit in edits:
        click.echo(f"# {edit.path}")
        click.echo(_without_key(edited(edit.form, "", edit.values, edit.scaffold), target))
    if edits:
        click.echo("--write merges this into what is there.", err=True)
    else:
        click.echo(_exports(recipe.variables(target), recipe.unset, shell), nl=False)


def _without_key(text: str, target: Target) -> str:
    return text.replace(target.key, HIDDEN) if target.key else text


def _exports(variables: Mapping[str, str], unset: Sequence[str], shell: str) -> str:
    """Return the lines that set *variables* in *shell* and take out those *unset*, for it to read."""
    match shell:
        case "fish":
            gone = [f"set -e {name}" for name in unset]
            lines = [f"set -gx {name} {_in_fish(value)}" for name, value in variables.items()]
        case "powershell":
            gone = [f"Remove-Item Env:{name} -ErrorAction Ignore" for name in unset]
            doubled = {name: value.replace("'", "''") for name, value in variables.items()}
            lines = [f"$env:{name} = '{value}'" for name, value in doubled.items()]
        case _:
            gone = [f"unset {name}" for name in unset]
            lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "".join(f"{line}\n" for line in (*gone, *lines))


def _in_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
