"""Options of ``fit``, ``validate`` and ``test`` about the run as a whole; words for others."""

from typing import Literal, NamedTuple


class RunOption(NamedTuple):
    """An option about the run as a whole.

    Args:
        type: Its type.
        default: Its value where it is left out.
        help: What it is for.
    """

    type: object
    default: object
    help: str


RUN_OPTIONS = {
    "run_name": RunOption(
        str | None,
        None,
        "Name of the run; if left out, the recipe, what differs from it, and the seed.",
    ),
    "lr": RunOption(float | None, None, "Learning rate of both players."),
    "global_batch_size": RunOption(
        int | None,
        None,
        "Samples that all processes take at a time; --data.batch_size is what each takes.",
    ),
    "matmul_precision": RunOption(
        Literal["highest", "high", "medium"] | None,
        None,
        "How exactly float32 matrices are multiplied: high lets a GPU use TF32, which is faster; "
        "highest if left out.",
    ),
    "resume.allow_changes": RunOption(
        bool,
        False,
        "Let a run that goes on from a checkpoint take over options that differ from it.",
    ),
    "wandb": RunOption(
        Literal["off", "offline", "online"],
        "off",
        "Log to W&B as well; offline needs neither account nor network.",
    ),
    "tensorboard": RunOption(bool, False, "Log to TensorBoard as well."),
    "wandb_project": RunOption(
        str | None, None, "Project in W&B; WANDB_PROJECT if left out, else lightning-gan."
    ),
    "wandb_group": RunOption(
        str | None, None, "Group of the run in W&B; WANDB_RUN_GROUP if left out, else the recipe."
    ),
    "wandb_tags": RunOption(
        str | None, None, "Words for the run in W&B, with commas between; WANDB_TAGS if left out."
    ),
}

KEYWORDS = {"label": "class", "modules": "import"}
"""Options that no parameter can be called like, since Python keeps the word for itself."""


def option_of(parameter: str) -> str:
    """The option by which a parameter of a command is given."""
    return KEYWORDS.get(parameter, parameter)
