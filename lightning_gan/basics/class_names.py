"""Names of classes that data sets and the classifiers that read them share, by label."""

DIGIT_NAMES: tuple[str, ...] = tuple("0123456789")
CIFAR10_NAMES: tuple[str, ...] = tuple(
    "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905 - short
)
