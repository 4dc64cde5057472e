"""What ``--help`` prints, of the program and of a command; torch is not needed for it."""

from inspect import Parameter, signature

from lightning_gan.cli.commands import COMMANDS, TRAINER_COMMANDS
from lightning_gan.cli.documentation import about, documented, option_lines
from lightning_gan.cli.everyday import everyday_help
from lightning_gan.cli.kinds import placeholder
from lightning_gan.cli.options import option_of
from lightning_gan.cli.outlines import outline
from lightning_gan.recipes import Recipe, recipe_names

PROGRAM = """usage: lightning-gan {{{commands}}} [options]

{examples}
Options of a command:  lightning-gan fit --help
Parts and their own:   lightning-gan fit --model.objective.help Hinge
Any option of a recipe can be overridden:
  lightning-gan fit --config dcgan_mnist --model.objective Hinge --data.batch_size 128

Recipes (--config NAME, or a YAML file of your own):
{recipes}"""


def program_help() -> str:
    """The help of the program as a whole, with the first line of every recipe."""
    examples = ""
    for command, (does, options) in COMMANDS.items():
        examples += f"  {command:<10} {does + ':':<22} lightning-gan {command} {options}\n"
    recipes, width = "", max(map(len, recipe_names()))
    for name in recipe_names():
        recipes += f"  {name:<{width}} {Recipe.read(name).title}\n"
    return PROGRAM.format(commands=",".join(COMMANDS), examples=examples, recipes=recipes)


def command_help(command: str) -> str:
    """The help of a command: everyday options where it runs through the Trainer, else all."""
    if command in TRAINER_COMMANDS:
        return everyday_help(command)
    function = outline(f"lightning_gan.cli.commands.{command}", command)
    texts = documented(function)
    standing, options, usage = {}, {}, [f"usage: lightning-gan {command}"]
    for name, parameter in signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            standing[name.upper()] = texts[name]
            usage.append(_standing(parameter))
            continue
        given = f"--{option_of(name)} {placeholder(parameter.annotation)}"
        options[given] = texts[name]
        if parameter.default is parameter.empty:
            usage.append(given)
    parts = [" ".join([*usage, "[--OPTION VALUE] ..."]), about(function)]
    parts += ["\n".join(option_lines(group)) for group in (standing, options) if group]
    if "data" in signature(function).parameters:
        parts.append(f"More:\n  lightning-gan {command} --data.help   data to choose from")
    return "\n\n".join(parts) + "\n"


def _standing(parameter: Parameter) -> str:
    """How the usage shows what stands by itself."""
    name = parameter.name.upper()
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{name} [{name} ...]"
    return name if parameter.default is parameter.empty else f"[{name}]"
