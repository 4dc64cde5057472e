"""From a command line to an exit code."""

import importlib
import logging
import sys
import warnings
from pathlib import Path

from lightning_gan.callbacks.preemption import ignore_further_signals
from lightning_gan.cli.arguments import run_name, with_default_networks, with_recipes
from lightning_gan.cli.choices import unknown
from lightning_gan.cli.commands import COMMANDS, FUNCTION_COMMANDS
from lightning_gan.cli.failures import mendable
from lightning_gan.cli.functions import run_function
from lightning_gan.cli.help import help_text
from lightning_gan.cli.lock import release
from lightning_gan.cli.training import CLI
from lightning_gan.errors import DivergenceError, said

LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
)
"""Where Lightning says things."""


def run(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code, 2 where the user can mend something."""
    _silence_lightning()
    if str(Path.cwd()) not in sys.path:  # parts of one's own may lie where the command is given
        sys.path.append(str(Path.cwd()))
    try:
        _run(arguments)
    except SystemExit as end:  # help was shown, or a signal has come
        return int(end.code or 0)
    except KeyboardInterrupt:  # before or after the training, which has its own way to stop
        sys.stderr.write("lightning-gan: Stopped by Ctrl-C; nothing was being trained.\n")
        return 130
    except Exception as error:
        known = mendable(error)
        if known is None:
            raise
        name = f"{run_name(arguments)}: " if isinstance(known, DivergenceError) else ""
        sentence = said(known)
        mark = "" if sentence.endswith(("?", "!")) else "."
        sys.stderr.write(f"lightning-gan: error: {name}{sentence}{mark}\n")
        return 2
    finally:
        release()
    return 0


def _run(arguments: list[str]) -> None:
    command = arguments[0]
    if command in FUNCTION_COMMANDS:
        module = importlib.import_module(f"lightning_gan.cli.commands.{command}")
        run_function(getattr(module, command), arguments[1:])
    elif command not in COMMANDS and not command.startswith("-"):
        raise unknown("command", command, COMMANDS)
    elif (text := help_text(arguments)) is not None:
        sys.stdout.write(text)
    else:
        # Lightning starts further processes with sys.argv, so they must see the same.
        sys.argv[1:] = with_default_networks(with_recipes(arguments))
        with ignore_further_signals():
            CLI(sys.argv[1:])


def _silence_lightning() -> None:
    """Silences what Lightning says about things that are as they should be here."""
    for message in (
        ".*does not have many workers.*",  # batches come from memory
        ".*LeafSpec.*",  # Lightning's own use of torch
        ".*pre-optimization state.*",  # the checkpoint callbacks save between two batches
        ".*exists and is not empty.*",  # each run has a folder of its own
        ".*The number of training batches.*",  # small data sets are fine
        r"(?s).*(Jsonargparse|was deprecated in v4).*",  # Lightning's own use of jsonargparse
        ".*tensorboardX.*",  # CSV is the default
        ".*callbacks used to create the checkpoint.*",  # measuring needs none of them
    ):
        warnings.filterwarnings("ignore", message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_worth_showing)


def _is_worth_showing(record: logging.LogRecord) -> bool:
    """Whether a log message of Lightning says what a user wants to know."""
    usual = ("Tip:", "Seed set to", "GPU available", "TPU available", "`weights_only` was not set")
    return not any(word in record.getMessage() for word in usual)
