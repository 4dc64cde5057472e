"""``fit --help``: the options that most runs are told, and how to ask for the others."""

from lightning_gan.cli.documentation import documented, option_lines, shown
from lightning_gan.cli.kinds import placeholder
from lightning_gan.cli.options import RUN_OPTIONS
from lightning_gan.cli.outlines import outline

INTRODUCTION = """\
usage: lightning-gan {command} [--config NAME] [--data NAME] [--OPTION VALUE] ...

Options come from a recipe, then from here; a later one wins. As in
  lightning-gan {command} --config dcgan_mnist --model.objective Hinge --data.batch_size 128{ckpt}
"""

FURTHER = """\
More:
  lightning-gan {command} --model.help                      all options of the model
  lightning-gan {command} --model.objective.help            objectives to choose from
  lightning-gan {command} --model.objective.help Hinge      what one is, and its options
  lightning-gan {command} --model.regularizers.R1.weight 1  one of several parts, by its name
  lightning-gan {command} --data.help                       data to choose from; ...help MNIST
  lightning-gan {command} --trainer.help                    all options of Lightning's Trainer
  lightning-gan {command} --trainer.callbacks.help Balance  and of callbacks
"""

CHECKPOINT = {
    "fit": "Go on from a checkpoint: last, best, or a file.",
    "validate": "The checkpoint that is measured: last, best, or a file.",
    "test": "The checkpoint that is measured: last, best, or a file.",
}

MODEL = {
    "objective": "NAME",
    "regularizers+": "NAME",
    "generator": "NAME",
    "discriminator": "NAME",
    "augmentation": "NAME",
    "max_images": "N",
    "validate_every": "N",
    "gradient_clip": "X",
    "accumulate": "N",
    "ema_half_life": "N",
    "sync_batch_norm": "{true,false}",
}
"""Options of the model, with what stands for their values."""

DATA = {
    "--data NAME": "The data: MNIST, CIFAR10, ImageFolder, ...; --data.help lists them.",
    "--data.root FOLDER": "Where its files lie, or pictures of your own for ImageFolder.",
    "--data.image_size N": "Height and width that pictures of your own are brought to.",
}

TRAINER = {
    "--trainer.default_root_dir FOLDER": "Where runs of this kind lie (default: runs/RECIPE).",
    "--trainer.devices N": "Devices of a machine, or a list of them such as 0,2 (default: auto).",
    "--trainer.num_nodes N": "Machines (default: 1).",
    "--trainer.precision NAME": "32-true, bf16-mixed, 16-mixed or 64-true (default: 32-true).",
    "--trainer.accelerator NAME": "cpu, gpu or another kind of device (default: auto).",
    "--trainer.deterministic {true,false}": "On a GPU, the same bits each time, if slower.",
    "--trainer.max_time DD:HH:MM:SS": "End after this time, whatever the budget.",
    "--trainer.max_epochs N": "End after so many epochs; -1 for no limit (default: -1).",
    "--trainer.log_every_n_steps N": "Batches between two rows of the curve (default: 50).",
    "--trainer.callbacks+=NAME": "Another callback, or another in the place of a usual one.",
    "--trainer.enable_progress_bar {true,false}": "Whether there is a bar (default: true).",
    "--trainer.fast_dev_run {true,false}": "Try one batch of everything; nothing is written.",
}


def everyday_help(command: str) -> str:
    """What ``--help`` prints for ``fit``, ``validate`` or ``test``."""
    ckpt = "" if command == "fit" else " --ckpt_path last"
    data = documented(outline("lightning_gan.datamodules.base", "RealData"))
    groups = {
        "The run": _of_the_run(command),
        "The model": _of_the_model(),
        "The data": DATA | {"--data.batch_size N": data["batch_size"]},
        "The Trainer": TRAINER,
    }
    parts = [INTRODUCTION.format(command=command, ckpt=ckpt)]
    for title, options in groups.items():
        parts.append("".join(f"{line}\n" for line in (f"{title}:", *option_lines(options))))
    return "\n".join([*parts, FURTHER.format(command=command)])


def _of_the_run(command: str) -> dict[str, str]:
    options = {
        "--config NAME": "A recipe, or a YAML file; may be repeated. lightning-gan recipes "
        "lists the recipes.",
        "--ckpt_path last": CHECKPOINT[command],
        "--print_config": "Print all settings of the run, as a file for --config, and end.",
        "--seed_everything N": "Seed of all random numbers (default: 0).",
    }
    for name, option in RUN_OPTIONS.items():
        default = option.default
        said = "" if default is None else f" (default: {shown(default)})"
        options[f"--{name} {placeholder(option.type)}"] = option.help.rstrip(".") + f"{said}."
    return options


def _of_the_model() -> dict[str, str]:
    texts = documented(outline("lightning_gan.gan", "GAN"))
    return {
        f"--model.{name}{'=' if name.endswith('+') else ' '}{value}": texts[name.rstrip("+")]
        for name, value in MODEL.items()
    }
