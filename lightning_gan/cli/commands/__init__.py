"""The commands; those without a Trainer lie here, each a function in a file of its name."""

TRAINER_COMMANDS = {
    "fit": ("train", "--config dcgan_digits"),
    "validate": ("measure on held-out", "--config dcgan_digits --ckpt_path last"),
    "test": ("measure on test data", "--config dcgan_digits --ckpt_path last"),
}
"""What runs through Lightning's Trainer: what it does, and options as an example."""

FUNCTION_COMMANDS = {
    "recipes": ("list, or show one", "dcgan_digits"),
    "predict": ("draw samples", "--ckpt_path runs/dcgan_digits --n 64"),
    "export": ("write for others", "runs/dcgan_digits --to onnx"),
    "evaluate": ("measure any pictures", "--samples FOLDER --data MNIST"),
    "compare": ("put side by side", "first.json second.json"),
    "runs": ("list what there is", "runs/dcgan_digits"),
    "table": ("average over seeds", "runs --by objective"),
    "report": ("runs as a page", "runs/dcgan_digits/version_0"),
}
"""What does not."""

COMMANDS = TRAINER_COMMANDS | FUNCTION_COMMANDS
