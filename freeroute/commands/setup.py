"""``freeroute setup``: point a client at a running gateway, by what it reads or what it says to people."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from freeroute.commands import options
from freeroute.commands.connecting import files
from freeroute.commands.connecting.editing import edited
from freeroute.commands.connecting.hiding import HIDDEN, without_keys
from freeroute.commands.connecting.recipe import Home, Recipe
from freeroute.commands.connecting.recipes import RECIPES
from freeroute.commands.connecting.target import Offered, Target, ask
from freeroute.commands.running import Failed, Running, environment

_NOBODY = Target("http://127.0.0.1:3000", None, Offered("free"), "free", ())


@click.command()
@click.argument("client", type=click.Choice(list(RECIPES)))
@click.option("--write", is_flag=True, help="Write it into the client's own files.")
@click.option("--undo", is_flag=True, help="Take back all that --write did.")
@click.option("--dry-run", is_flag=True, help="Show what --write, or --undo, would change; change nothing.")
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
    write: bool,
    undo: bool,
    dry_run: bool,
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
    if write and undo:
        raise click.UsageError("--write and --undo are each other's opposite: give one of them")
    recipe = RECIPES[client]
    env = environment()
    home = Home(Path.home(), env)
    if undo:
        return 0 if _undo(recipe, home, dry=dry_run) else 1
    running = Running(url, {**env, "FREEROUTE_API_KEY": key} if key else env)
    target = ask(running, key or env.get("FREEROUTE_API_KEY") or None, model, every=all_models)
    if dry_run:
        _show_changes(recipe, target, home)
    elif write:
        _write(recipe, target, home)
    else:
        _show(recipe, target, home, shell)
    stronger = _stronger(recipe, target, home)
    for line in stronger:
        click.echo(line, err=True)
    for note in recipe.notes(target):
        click.echo(note, err=bool(recipe.files(target, home) or recipe.variables(target)))
    return 1 if stronger and write and not dry_run else 0


def _undo(recipe: Recipe, home: Home, *, dry: bool) -> bool:
    """Take everything back, and say whether nothing of it is left."""
    edits = _files(recipe, _NOBODY, home)
    found = [(edit, change) for edit in edits if (change := files.reverted(edit)) is not None]
    for edit, change in found:  # a file that cannot be taken back was found before another one is
        if not dry:
            files.undo(edit)
        click.echo(_taken_back(change, dry=dry))
        for line in _left(change):
            click.echo(line, err=True)
    if not found:
        click.echo(f"There is nothing to take back for {recipe.title}.")
    return not any(change.left or change.keeps_key for _, change in found)


def _taken_back(change: files.Change, *, dry: bool) -> str:
    if change.copy_is_gone:
        return f"nothing to take back in {change.path}: the copy of what it was is gone"
    if change.after is None:
        return f"{'would remove' if dry else 'removed'} {change.path}"
    if change.left or change.keeps_key:
        return f"{'would take' if dry else 'took'} what is ours out of {change.path}"
    return f"{'would bring back' if dry else 'brought back'} {change.path}"


def _left(change: files.Change) -> list[str]:
    lines = [f"{change.path}: {place} stays: somebody else set it since" for place in change.left]
    if change.keeps_key:
        lines.append(f"{change.path}: a key that was written stays, since somebody put it elsewhere")
    return lines


def _write(recipe: Recipe, target: Target, home: Home) -> None:
    edits = _files(recipe, target, home)
    for edit in edits:
        files.change(edit)  # a file that cannot be edited is found before another one is
    for edit in edits:
        change = files.write(edit)
        word = "nothing to change in" if change.after == change.before else "wrote"
        click.echo(f"{word} {edit.path}")
    if not any(files.overruling(edit) for edit in edits):
        click.echo(f"{recipe.title} asks {target.url} for {target.model.id}; --undo takes it back.")


def _stronger(recipe: Recipe, target: Target, home: Home) -> list[str]:
    return [
        f"{edit.path}: {place} goes before what is written: take it out, or use `freeroute run {recipe.name}`"
        for edit in recipe.files(target, home)
        for place in files.overruling(edit)
    ]


def _show_changes(recipe: Recipe, target: Target, home: Home) -> None:
    for edit in _files(recipe, target, home):
        shown = files.change(edit).diff() or f"nothing to change in {edit.path}\n"
        click.echo(without_keys(shown, target.key), nl=False)


def _files(recipe: Recipe, target: Target, home: Home) -> list[files.Edit]:
    found = recipe.files(target, home)
    if not found:
        raise Failed(f"{recipe.title} has no file to write; `freeroute setup {recipe.name}` says what to do")
    return found


def _show(recipe: Recipe, target: Target, home: Home, shell: str) -> None:
    if target.key and recipe.name != "env":  # which a shell reads
        target = replace(target, key=HIDDEN)
    edits = recipe.files(target, home)
    for edit in edits:
        click.echo(f"# {edit.path}")
        click.echo(edited(edit.form, "", edit.values, edit.scaffold))
    if edits:
        click.echo("--write merges this into what is there.", err=True)
    else:
        click.echo(_exports(recipe.variables(target), recipe.unset, shell), nl=False)


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
