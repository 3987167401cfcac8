"""``freeroute run``: start a client that asks a running gateway, for this once."""

import os
import shutil
from pathlib import Path

import click

from freeroute.commands import options
from freeroute.commands.connecting import files
from freeroute.commands.connecting.recipe import Home
from freeroute.commands.connecting.recipes import RECIPES, STARTED
from freeroute.commands.connecting.target import ask
from freeroute.commands.running import Failed, Running, environment


# As with `env` and `docker run`: options before the client are ours, and all that follows it is its own.
@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("client", type=click.Choice(STARTED))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--model", "-m", metavar="NAME", help="The model to begin with; free-smart if it is there.")
@options.client_key
@options.url
def run(client: str, words: tuple[str, ...], model: str | None, key: str | None, url: str | None) -> None:
    """Start a client that asks a running gateway.

    Its environment is set for this once, and no file is touched. What follows its name is for the client,
    with or without a `--` between. `env` starts any command, with the variables that `freeroute setup env`
    prints. The client takes the place of this command, so that its exit code and signals are its own.

    \b
    freeroute run claude-code
    freeroute run --model free-fast aider -- --message "Add a test" src/app.py
    freeroute run env -- python program.py
    """
    recipe = RECIPES[client]
    given = list(words[1:] if words[:1] == ("--",) else words)
    if recipe.program is None and not given:
        raise click.UsageError("say what to start: freeroute run env -- python program.py")
    program, *rest = given if recipe.program is None else [recipe.program, *given]
    found = shutil.which(program)
    if found is None:
        hint = f"; to install it: {recipe.install}" if recipe.install else ""
        raise Failed(f"there is no program {program!r} to start{hint}")
    env = environment()
    running = Running(url, {**env, "FREEROUTE_API_KEY": key} if key else env)
    target = ask(running, key or env.get("FREEROUTE_API_KEY") or None, model, every=False)
    home = Home(Path.home(), env)
    if recipe.needs_files and any(files.change(edit).diff() for edit in recipe.files(target, home)):
        raise Failed(f"{recipe.title} has to be set up, once: `freeroute setup {client} --write`")
    kept = {name: value for name, value in os.environ.items() if name not in recipe.unset}
    variables = {**kept, **recipe.variables(target)}
    try:
        os.execve(found, [program, *recipe.arguments(target), *rest], variables)
    except OSError as exc:
        raise Failed(f"{found} cannot be started: {exc.strerror}") from exc
