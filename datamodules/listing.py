"""Which pictures a folder or zip file holds, and of which classes they are."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lightning_gan.basics.texts import counted, printable
from lightning_gan.datamodules.sources import (
    PassedOver,
    Picture,
    Source,
    plain_path,
    some,
    source_at,
)
from lightning_gan.errors import DataError, said

LABELS = "dataset.json"
"""Labels as the tools of StyleGAN write them: ``{"labels": [["00/1.png", 6], ...]}``, or null."""
MOST_CLASSES = 100_000
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""How folders of splits are called."""


@dataclass
class Found:
    """The pictures below a root.

    Args:
        source: Where they lie.
        pictures: In the order of their names.
        labels: Class of each; all 0 where there are no classes.
        class_names: Names of the classes, by label; empty where there are none.
        passed_over: What is not read.
    """

    source: Source
    pictures: list[Picture]
    labels: list[int]
    class_names: tuple[str, ...]
    passed_over: PassedOver

    def __str__(self) -> str:
        what = counted(len(self.pictures), "picture")
        what += in_classes(self.labels, self.class_names)
        return "; ".join(filter(None, (f"{what} in '{self.source.root}'", str(self.passed_over))))


def find_pictures(root: Path, follow_links: bool = False) -> Found:
    """Lists the pictures of a folder or zip file, with their classes.

    A class is a folder with all that lies below it, at any depth, as in torchvision's ImageFolder.
    A folder that is alone and holds nothing but folders is taken for the root. Where a
    ``dataset.json`` has labels, folders mean nothing.

    Args:
        root: The folder or zip file.
        follow_links: Whether links that lead out of the folder are followed.

    Raises:
        DataError: If ``root`` is missing, there is no picture, or their classes are not plain.
    """
    source, pictures, passed_over = list_pictures(root, follow_links)
    paths = [picture.path for picture in pictures]
    written = _written_labels(source, paths)
    if written is not None:
        count = max(written) + 1
        names = tuple(map(str, range(count))) if count > 1 else ()
        return Found(source, pictures, written, names, passed_over)
    folders, depth = _class_folders(paths, root)
    names = tuple(sorted(set(folders) - {""}))
    if names and depth == 0:
        passed_over.empty = [name for name in source.folders() if name not in names]
    place = {name: label for label, name in enumerate(names)}
    labels = [place.get(folder, 0) for folder in folders]
    return Found(source, pictures, labels, tuple(map(printable, names)), passed_over)


def list_pictures(
    root: Path, follow_links: bool = False
) -> tuple[Source, list[Picture], PassedOver]:
    """Lists the pictures of a folder or zip file whatever folders they lie in.

    Returns:
        Where they lie, the pictures in the order of their names, and what is not read.

    Raises:
        DataError: If ``root`` is missing, or there is no picture.
    """
    source, passed_over = source_at(root, follow_links), PassedOver()
    pictures = source.pictures(passed_over)
    if not pictures:
        also = f" ({passed_over})" if passed_over.count else ""
        raise DataError(
            f"There is no picture in '{root}'{also}: put some directly into it, or into one "
            "subfolder for each class."
        )
    return source, pictures, passed_over


def _class_folders(paths: list[str], root: Path) -> tuple[list[str], int]:
    """The folder that is each picture's class, "" for none, and its depth below the root."""
    parts, depth = [path.split("/")[:-1] for path in paths], 0
    while all(len(folders) > depth + 1 for folders in parts):
        if len({folders[depth] for folders in parts}) > 1:
            break
        depth += 1  # nothing but one folder of folders
    direct = next((path for path, f in zip(paths, parts, strict=True) if len(f) == depth), None)
    nested = next((path for path, f in zip(paths, parts, strict=True) if len(f) > depth), None)
    if nested is None:
        return [""] * len(paths), depth
    if direct is not None:
        raise DataError(
            f"The folder '{root}' has pictures both directly in it ('{direct}') and in subfolders "
            f"('{nested}'): move all of them into one subfolder for each class."
        )
    below: dict[str, set[str]] = {}
    for folders in parts:
        below.setdefault(folders[depth], set()).add("/".join(folders[depth + 1 :]))
    if len(below) > 1 and all(name.lower() in SPLITS for name in below):
        one, other, *_ = sorted(below)
        raise DataError(
            f"The folder '{root}' has the folders {one} and {other}, which are splits and no "
            f"classes: set root to one of them, as ImageFolder makes splits of its own."
        )
    if not any("" in inner for inner in below.values()):
        for name, inner in below.items():
            if len(inner) > 1:
                one, other, *_ = sorted(f"{name}/{folder}" for folder in inner)
                raise DataError(
                    f"The folder '{root}' has folders of folders of pictures, so that classes are "
                    f"not plain: is {name} one, or are {one} and {other} two? Set root to the "
                    "folder that holds the classes, or put the pictures of each directly into one."
                )
    if len(below) == 1 and len(set(map(tuple, parts))) > 1:
        (name,) = below
        raise DataError(
            f"The folder '{root}/{name}' has pictures both directly in it and in subfolders, so "
            "that classes are not plain: move all of them into one subfolder for each class."
        )
    return [folders[depth] for folders in parts], depth


def _folders_above(paths: list[str]) -> list[str]:
    """The root as "", and each folder that all pictures lie below, with "/" at its end."""
    folders, *others = ([f"{name}/" for name in path.split("/")[:-1]] for path in paths)
    for other in others:
        both = takewhile(lambda pair: pair[0] == pair[1], zip(folders, other, strict=False))
        folders = [name for name, _ in both]
    return ["".join(folders[:depth]) for depth in range(len(folders) + 1)]


def _written_labels(source: Source, paths: list[str]) -> list[int] | None:
    """The labels in the file beside the pictures, zeros where it has none; None without a file.

    Raises:
        DataError: If it is damaged, or does not label every picture.
    """
    for above in _folders_above(paths):
        place = f"The file {above}{LABELS} in '{source.root}'"
        try:
            file = source.file(f"{above}{LABELS}")
            text = file.read_bytes() if isinstance(file, Path) else file.read()
        except (LookupError, FileNotFoundError):
            continue
        except Exception as error:  # of whatever kind an archive raises
            raise DataError(
                f"{place} cannot be read ({said(error)}): put a whole one there."
            ) from error
        return _labels_in(text, place, above, paths)
    return None


def _labels_in(text: bytes, place: str, above: str, paths: list[str]) -> list[int]:
    """The labels in the text of such a file, whose paths begin where it lies.

    Raises:
        DataError: If it is damaged, or does not label every picture.
    """
    try:
        found = json.loads(text)["labels"]
        pairs = [(above + plain_path(str(path)), label) for path, label in found or ()]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f'{place} cannot be read as {{"labels": [["path", class], ...]}} '
            f"({type(error).__name__}: {said(error)}): mend or remove it."
        ) from error
    if found is None:
        return [0] * len(paths)
    labels = dict(pairs)
    for path, label in pairs:
        if labels[path] != label:
            raise DataError(f"{place} gives '{printable(path)}' several labels: mend or remove it.")
    for path in paths:
        label = labels.get(path)
        if type(label) is not int or not 0 <= label < MOST_CLASSES:
            raise DataError(
                f"{place} gives '{printable(path)}' the label {label!r:.40}, where a whole number "
                f"from 0 to {MOST_CLASSES - 1:,} is wanted: mend or remove it."
            )
    return [labels[path] for path in paths]


def in_classes(labels: list[int], class_names: tuple[str, ...]) -> str:
    """How many samples are of which class, as the rest of a sentence; empty without classes."""
    if not class_names:
        return ""
    counts = Counter(labels)
    classes = [f"{name} {counts[label]:,}" for label, name in enumerate(class_names)]
    return f" in {counted(len(classes), 'class')} ({some(classes)})"
