"""Where picture files lie: in a folder, or in a zip file, which is never unpacked."""

import os
import stat
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from lightning_gan.basics.texts import printable, shortened
from lightning_gan.errors import DataError, said

ENDINGS = frozenset(
    ".apng .avif .bmp .dib .gif .j2k .jfif .jp2 .jpe .jpeg .jpg .jpx .pbm .pfm .pgm .png .pnm .ppm "  # noqa: SIM905 - short
    ".tif .tiff .webp".split()
)
"""Endings, in lower case, of the files that are read."""
CLUTTER = frozenset(("thumbs.db", "desktop.ini", "dataset.json"))
"""Names, in lower case, of files that nobody takes for pictures."""
LARGEST_MEMBER = 2**30
"""Bytes of the largest member of a zip file that is read."""
SHOWN = 5
"""Examples that a sentence names."""

HIDDEN = "hidden"
LINKS_OUT = "behind links that lead elsewhere"
CIRCLES = "as links in a circle"
BROKEN = "as broken links"
SPECIAL = "that are no regular files"
UNREADABLE = "in what cannot be opened"
UNKNOWN = "with an unknown ending"


class Picture(NamedTuple):
    """A file that is read.

    Attributes:
        path: Below the root, with "/" between the names.
        size: In bytes.
        state: What else tells it from what was in its place before: times of change and inode, or
            of a member of a zip file its checksum and those of the zip file.
    """

    path: str
    size: int
    state: tuple[int, ...]


@dataclass
class PassedOver:
    """What is not read, with the reasons.

    Args:
        reasons: By reason, examples and how many files of each.
        empty: Folders beside the classes that hold no picture.
    """

    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Counts what is passed over for a reason."""
        self.reasons.setdefault(reason, Counter())[example] += count

    @property
    def count(self) -> int:
        """How many files, or folders that could not be looked into."""
        return sum(sum(examples.values()) for examples in self.reasons.values())

    def __str__(self) -> str:
        parts = [f"no picture in {some(self.empty)}"] if self.empty else []
        if self.count:
            reasons = [
                f"{sum(examples.values()):,} {reason} ({some(_commonest(examples))})"
                for reason, examples in sorted(self.reasons.items())
            ]
            parts.append(f"{self.count:,} passed over: {', '.join(reasons)}")
        return "; ".join(parts)


class Source(Protocol):
    """Where pictures lie."""

    root: Path

    def pictures(self, passed_over: PassedOver) -> list[Picture]:
        """Lists all pictures at any depth by their names, and notes what is none.

        Raises:
            DataError: If the root cannot be read.
        """

    def folders(self) -> list[str]:
        """The names of the folders directly below the root, hidden ones left out."""

    def file(self, path: str) -> Path | BinaryIO:
        """The file of a path below the root; may be asked for by many threads.

        Raises:
            LookupError: If there is none, where that is known.
            Exception: Of whatever kind, if it cannot be unpacked.
        """


def source_at(root: Path, follow_links: bool = False) -> Source:
    """The folder or zip file of that path.

    Raises:
        DataError: If there is none.
    """
    if root.is_dir():
        return Folder(root, follow_links)
    if root.is_file() and root.suffix.lower() == ".zip":
        return Archive(root)
    what = "is not a folder or a .zip file" if root.exists() else "does not exist"
    raise DataError(f"The picture folder '{root}' {what}: set root to a folder of pictures.")


class Folder:
    """A folder, whose subfolders are looked into at any depth.

    Args:
        root: The folder.
        follow_links: Whether links that lead out of it are followed; those inside are always.
    """

    def __init__(self, root: Path, follow_links: bool = False) -> None:
        self.root = root
        self._inside = os.path.realpath(root)
        self._follow_links = follow_links

    def pictures(self, passed_over: PassedOver) -> list[Picture]:
        """Lists all pictures; see :class:`Source`."""
        found: list[Picture] = []
        places = [_Place("", self._inside, linked=False)]
        while places:
            place = places.pop()
            for entry in self._entries(place, passed_over):
                path = f"{place.path}/{entry.name}" if place.path else entry.name
                if entry.name.startswith((".", "__MACOSX")):
                    if entry.is_dir(follow_symlinks=False) or _ending(path) in ENDINGS:
                        passed_over.add(HIDDEN, path)
                elif entry.is_symlink() and (reason := self._refuses(entry, place)):
                    passed_over.add(reason, path, _count(entry.path) if reason == LINKS_OUT else 1)
                elif entry.is_dir():
                    linked = place.linked or entry.is_symlink()
                    real = os.path.realpath(entry.path) if linked else f"{place.real}/{entry.name}"
                    places.append(_Place(path, real, linked))
                elif not entry.is_file():
                    passed_over.add(SPECIAL, path)
                elif is_picture(path, passed_over):
                    now = entry.stat()
                    state = (now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
                    found.append(Picture(path, now.st_size, state))
        return sorted(found, key=by_name)

    def folders(self) -> list[str]:
        """The names of the folders directly in it."""
        with os.scandir(self.root) as entries:
            shown = (each for each in entries if not each.name.startswith((".", "__MACOSX")))
            return sorted(each.name for each in shown if each.is_dir())

    def file(self, path: str) -> Path:
        """The whole path."""
        return self.root / path

    def _entries(self, place: "_Place", passed_over: PassedOver) -> list["os.DirEntry[str]"]:
        try:
            with os.scandir(self.root / place.path) as entries:
                return list(entries)
        except OSError as error:
            if not place.path:
                raise DataError(
                    f"The picture folder '{self.root}' cannot be read ({said(error)}): let "
                    "yourself read it."
                ) from error
            passed_over.add(UNREADABLE, f"{place.path}: {error.strerror}")
            return []

    def _refuses(self, entry: "os.DirEntry[str]", place: "_Place") -> str:
        """Why a link is not followed; nothing if it is."""
        if not os.path.exists(entry.path):  # noqa: PTH110 - a Path would raise for links in a circle
            return BROKEN
        real = os.path.realpath(entry.path)
        if entry.is_dir():
            above = f"{place.real}/".startswith(f"{real.rstrip('/')}/")
            if above or place.linked:  # one link deep, or links could multiply without end
                return CIRCLES
        inside = f"{real}/".startswith(f"{self._inside.rstrip('/')}/")
        return "" if inside or self._follow_links else LINKS_OUT


class _Place(NamedTuple):
    """A folder below the root, where it really lies, and whether a link has led there."""

    path: str
    real: str
    linked: bool


class Archive:
    """A zip file.

    Args:
        root: The file, which stays open.

    Raises:
        DataError: If it is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self._file = zipfile.ZipFile(root)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"The zip file '{root}' cannot be read ({said(error)}): put a whole one in its "
                "place."
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._file.infolist():
            path = plain_path(member.filename)
            before = self._members.setdefault(path, member)
            if before is not member and not (before.is_dir() or member.is_dir()):
                raise DataError(
                    f"The zip file '{root}' has several files called '{printable(path)}', of which "
                    "programs see one: give each a name of its own."
                )

    def pictures(self, passed_over: PassedOver) -> list[Picture]:
        """Lists all pictures; see :class:`Source`."""
        now = self.root.stat()
        state = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
        found: dict[str, Picture] = {}
        for path, member in self._members.items():
            if member.is_dir():
                continue
            if any(name.startswith((".", "__MACOSX")) for name in path.split("/")):
                if _ending(path) in ENDINGS:
                    passed_over.add(HIDDEN, path)
            elif stat.S_ISLNK(member.external_attr >> 16):
                passed_over.add(LINKS_OUT, path)
            elif is_picture(path, passed_over):
                found[path] = Picture(path, member.file_size, (member.CRC, *state))
        return sorted(found.values(), key=by_name)

    def folders(self) -> list[str]:
        """The names of the first folders of its members."""
        names = {
            path.split("/")[0]
            for path, member in self._members.items()
            if "/" in path or member.is_dir()
        }
        return sorted(name for name in names if not name.startswith((".", "__MACOSX")))

    def file(self, path: str) -> BinaryIO:
        """A member, unpacked in memory."""
        member = self._members[path]
        if member.file_size > LARGEST_MEMBER:
            raise OSError(f"it would be unpacked to {member.file_size:,} bytes")
        return BytesIO(self._file.read(member))


def plain_path(path: str) -> str:
    """A path below a root with "/" between the names, and nothing that leads elsewhere."""
    names = path.replace("\\", "/").split("/")
    return "/".join(name for name in names if name not in ("", ".", ".."))


def by_name(picture: Picture) -> list[str]:
    """The key by which pictures are sorted: folder by folder."""
    return picture.path.split("/")


def is_picture(path: str, passed_over: PassedOver) -> bool:
    """Whether a file is one by its ending; notes it if not."""
    ending, (folder, _, name) = _ending(path), path.rpartition("/")
    if ending in ENDINGS:
        return True
    if name.lower() not in CLUTTER:
        first = folder.split("/")[0]
        pattern = f"*{ending}" if ending else name
        passed_over.add(UNKNOWN, f"{first}/{pattern}" if first else pattern)
    return False


def some(names: list[str]) -> str:
    """The first few of some names, harmless for a terminal."""
    more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(shortened(name, 60) for name in names[:SHOWN]) + more


def _commonest(examples: Counter[str]) -> list[str]:
    """Those of most files first, then by name."""
    return sorted(examples, key=lambda example: (-examples[example], example))


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - a hundred thousand times


def _count(folder: str) -> int:
    """How many pictures a link leads to at once; 1 for a file, or where none can be seen."""
    try:
        return max(sum(_ending(name) in ENDINGS for name in os.listdir(folder)), 1)  # noqa: PTH208
    except OSError:
        return 1
