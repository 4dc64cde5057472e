"""The command ``lightning-gan``; what needs no training is answered before torch is imported."""

import os
import sys

from lightning_gan import __version__
from lightning_gan.cli.commands import COMMANDS
from lightning_gan.recipes import Recipe, recipe_names

USAGE = """usage: lightning-gan {{{commands}}} [options]

{examples}
Options of a command:  lightning-gan fit --help
Parts and their own:   lightning-gan fit --model.objective.help Hinge
Any option of a recipe can be overridden:
  lightning-gan fit --config dcgan_mnist --model.objective Hinge --data.batch_size 128

Recipes (--config NAME, or a YAML file of your own):
{recipes}"""


def usage() -> str:
    """The help of the command as a whole, with the first line of every recipe."""
    examples = ""
    for command, (does, options) in COMMANDS.items():
        examples += f"  {command:<10} {does + ':':<22} lightning-gan {command} {options}\n"
    recipes, width = "", max(map(len, recipe_names()))
    for name in recipe_names():
        recipes += f"  {name:<{width}} {Recipe.read(name).title}\n"
    return USAGE.format(commands=",".join(COMMANDS), examples=examples, recipes=recipes)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    is_program = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads what is written, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    asks = any(a.endswith("help") or a.startswith(("-h", "--print_config")) for a in arguments)
    if is_program and asks:  # tearing torch down would take another second
        os._exit(code)
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        sys.stdout.write(f"lightning-gan {__version__}\n")
        return 0
    from lightning_gan.cli.program import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
