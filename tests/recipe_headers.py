"""Reads the numbers in the headers of recipes, and what the recipes have in their places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_gan.recipes import recipe_file

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"

NUMBER = r"(\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)"
WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10, "nine": 9}
WORD = f"({'|'.join(WORDS)})"
ADAM = {"lr": 2e-4, "betas": [0.5, 0.999]}


@dataclass(frozen=True)
class Recipe:
    """The header of a recipe, without its title, and its settings."""

    header: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, name: str) -> Recipe:
        """The recipe of that name."""
        text = recipe_file(name).read_text(encoding="utf-8")
        lines = [line[2:] for line in text.splitlines() if line.startswith("#")]
        ours, _, _ = " ".join(lines[1:]).partition(" Recorded: ")  # of a run, not of the recipe
        return cls(ours, yaml.safe_load(text))

    @property
    def model(self) -> dict[str, Any]:
        """The arguments of the model."""
        arguments: dict[str, Any] = self.settings["model"]["init_args"]
        return arguments

    @property
    def batch(self) -> int:
        """Samples in a batch."""
        return int(self.settings["data"]["init_args"]["batch_size"])

    def all(self, *keys: str, within: Any = None) -> list[Any]:
        """Every value of these names, however deep."""
        within = self.settings if within is None else within
        found: list[Any] = []
        for key, value in within.items() if isinstance(within, dict) else enumerate(within):
            if key in keys:
                found.append(value)
            if isinstance(value, (dict, list)):
                found += self.all(*keys, within=value)
        return found

    def optimizer(self, player: str) -> dict[str, Any]:
        """The arguments of a player's optimizer."""
        given: dict[str, Any] = self.model.get(f"{player}_optimizer", {}).get("init_args", {})
        return ADAM | given

    def optimizers(self, key: str) -> list[Any]:
        """An argument of both optimizers."""
        return [self.optimizer(player)[key] for player in ("generator", "discriminator")]

    def updates_of(self, player: str) -> int:
        """Updates of a player in a round of the alternation."""
        alternation = self.model.get("alternation", {}).get("init_args", {})
        return int(alternation.get(f"{player}_updates", 1))

    def batches(self) -> int:
        """Batches in a round of the alternation."""
        fresh = self.model.get("alternation", {}).get("init_args", {}).get("fresh_reals", False)
        return self.updates_of("discriminator") + (self.updates_of("generator") if fresh else 0)

    def total(self, player: str) -> float:
        """Updates of a player in the whole run."""
        rounds = self.model["max_images"] / self.batch / self.batches()
        return rounds * self.updates_of(player)

    def images(self) -> list[float]:
        """All numbers of images: budget, half-life, spans of curves."""
        found = self.all("max_images", "ema_half_life", "images")
        return [float(value) for value in found if not isinstance(value, dict)]

    def kept(self) -> list[float]:
        """What the average of the generator keeps at an update, from its half-life."""
        half_life = self.model.get("ema_half_life", 0)
        images = self.batch * self.batches()
        if not isinstance(half_life, int) or half_life == 0:
            return []
        return [1 - float(f"{1 - 0.5 ** (images / half_life):.2g}")]

    def packs(self) -> float:
        """Packs in a batch."""
        return self.batch / self.all("pack")[0]


Expected = Callable[[Recipe], list[Any]]
"""From a recipe to the numbers that may stand in a phrase: one each, or several together."""


def named(*keys: str) -> Expected:
    """All values of these names."""
    return lambda recipe: recipe.all(*keys)


def pair(one: str, other: str) -> Expected:
    """The values of two names that stand together in one part."""

    def expected(recipe: Recipe) -> list[Any]:
        return [(a, b) for a in recipe.all(one) for b in recipe.all(other)]

    return expected


def _weights(recipe: Recipe) -> list[Any]:
    """Weights of a regularizer for the discriminator and for the generator."""
    parts = [part["init_args"] for part in recipe.model["regularizers"]]
    return [(p["weight"], p["generator_weight"]) for p in parts if "generator_weight" in p]


def _only_weight(recipe: Recipe) -> list[Any]:
    """The weight that all terms have, if they have."""
    found = recipe.all("weight", "generator_weight")
    return found if len(set(found)) == 1 else []


def _layers(recipe: Recipe) -> list[Any]:
    """Depth and width of the perceptrons of both players."""
    generator, discriminator = recipe.model["generator"], recipe.model["discriminator"]
    sizes = [
        recipe.all(key, within=part)
        for part in (generator, discriminator)
        for key in ("depth", "width")
    ]
    return [tuple(size[0] for size in sizes)] if all(sizes) else []


def _curve(*keys: str, factor: Callable[[Recipe], float] = lambda recipe: 1.0) -> Expected:
    """Start and end of the curves of these names."""

    def expected(recipe: Recipe) -> list[Any]:
        curves = [curve["init_args"] for curve in recipe.all(*keys) if isinstance(curve, dict)]
        return [(factor(recipe) * c["start"], factor(recipe) * c["end"]) for c in curves]

    return expected


def _rate(recipe: Recipe) -> float:
    """The rate of the generator."""
    return float(recipe.optimizer("generator")["lr"])


def _groups(recipe: Recipe) -> list[Any]:
    """Groups in the inner convolution of R3GAN's blocks, and their size."""
    (width, *_), *_ = recipe.all("widths")
    size = recipe.all("group_size")[0]
    return [(width * recipe.all("expansion")[0] / size, size)]


def _moved(recipe: Recipe) -> list[Any]:
    """What LOGAN's move is made of."""
    (found,) = recipe.model["regularizers"]
    keys = ("step", "damping", "weight", "share")
    step, damping, price, share = (found["init_args"][key] for key in keys)
    return [(step, damping, price, 100 * share)]


FACTS: list[tuple[str, Expected]] = [
    # optimizers
    (
        f"Adam {NUMBER} for the generator and {NUMBER} for the discriminator",
        lambda r: [tuple(r.optimizers("lr"))],
    ),
    (f"Rates {NUMBER} and {NUMBER}", lambda r: [tuple(r.optimizers("lr"))]),
    (f"the discriminator's is {NUMBER}", lambda r: [r.optimizer("discriminator")["lr"]]),
    (
        f"the rate falls along a cosine from {NUMBER} to {NUMBER}",
        _curve("learning_rate", factor=_rate),
    ),
    (f"(?:Adam|RMSProp) (?:with |has )?{NUMBER}", lambda r: r.optimizers("lr")),
    (rf"betas \({NUMBER}, {NUMBER}\)", lambda r: [tuple(b) for b in r.optimizers("betas")]),
    (f"beta2 rises from {NUMBER} to {NUMBER}", _curve("beta2_curve")),
    (
        f"the half-life of the average from {NUMBER} to {NUMBER} million",
        _curve("ema_half_life", factor=lambda r: 1e-6),
    ),
    (f"beta1 {NUMBER}", lambda r: [betas[0] for betas in r.optimizers("betas")]),
    (
        f"written out: {NUMBER} and {NUMBER}",
        lambda r: [(_rate(r), r.optimizer("generator")["betas"][1])],
    ),
    # batches, updates and images
    (
        f"from update {NUMBER} of the generator on, which is {NUMBER} of the discriminator",
        lambda r: [(n / r.updates_of("discriminator"), n) for n in r.all("start")],
    ),
    (f"[Bb]atch(?:es)? of {NUMBER}(?! packs|\\d)", lambda r: [r.batch]),
    (f"and this {NUMBER}", lambda r: [r.batch]),
    (f"(?:batches of|makes?|are the authors') {NUMBER} packs", lambda r: [r.packs()]),
    (
        f"{NUMBER} epochs of {NUMBER} (?:packs|triples)",
        lambda r: [(n, r.model["max_images"] / n / (r.all("pack") or [1])[0]) for n in (50, 400)],
    ),
    (f"{NUMBER} updates of the generator", lambda r: [r.total("generator")]),
    (f"{WORD} updates of the (?:discriminator|critic)", named("discriminator_updates")),
    (f"{WORD} updates of the generator for each", named("generator_updates")),
    (
        f"{WORD} update each",
        lambda r: [r.updates_of("discriminator")] if r.updates_of("generator") == 1 else [],
    ),
    (
        f"halved every {NUMBER} updates",
        lambda r: [images / r.batch for images in r.all("images", within=r.model)],
    ),
    (f"every {NUMBER} updates", named("every")),
    (
        f"(?:as many updates as theirs, )?{NUMBER} (?:updates|of the discriminator(?!,))",
        lambda r: [r.total("discriminator")],
    ),
    (f"(?:{NUMBER}|{WORD}|{WORD.title()}) million", lambda r: [n / 1e6 for n in r.images()]),
    (f"(?:half-life|budget) of {NUMBER}", lambda r: r.images()),
    (f"the {NUMBER} images are ours", lambda r: r.images()),
    (f"by {NUMBER} an update|averages by {NUMBER}", lambda r: r.kept() + r.all("decay")),
    (f"moves? (?:p )?by 1 in {NUMBER} images", lambda r: [1000 * n for n in r.all("kimg")]),
    (f"from update {NUMBER} on", named("start")),
    (f"by {NUMBER} % an epoch", lambda r: [100 * (1 - factor) for factor in r.all("factor")]),
    # networks
    (
        f"{WORD} hidden layers of {NUMBER} with batch norm in the generator, {WORD} of {NUMBER} in "
        "the discriminator",
        _layers,
    ),
    (f"{WORD} hidden layers of {NUMBER}", lambda r: [sizes[:2] for sizes in _layers(r)]),
    (f"latents of {NUMBER}", named("latent_dim")),
    (f"{WORD} octaves from {NUMBER} radians", pair("octaves", "frequency")),
    (
        f"twice its width in maps, {NUMBER}, which is width {NUMBER}",
        lambda r: [(2 * r.all("width")[0], r.all("width")[1])],
    ),
    (f"[Ww]idth {NUMBER}", named("width")),
    (f"{NUMBER} to {NUMBER} feature maps", pair("width", "max_width")),
    (
        f"{NUMBER} feature maps at each of {WORD} sizes",
        lambda r: [(widths[0], len(widths)) for widths in r.all("widths") if len({*widths}) == 1],
    ),
    (f"{NUMBER} feature maps", named("width", "max_width")),
    (f"{NUMBER} groups of {NUMBER}", _groups),
    (f"attention at {NUMBER} pixels", named("attention")),
    (f"{WORD} blocks", named("blocks", "depth")),
    (f"{WORD} mapping layers", named("mapping_depth")),
    (f"patches of {NUMBER} x {NUMBER}", lambda r: [(patch, patch) for patch in r.all("patch")]),
    (f"embeddings of {NUMBER}", named("embedding_dim")),
    (f"codes (?:and latents )?of {NUMBER}", named("code_dim")),
    (f"n = {NUMBER}", named("width")),
    (f"minibatch deviation over {NUMBER}", named("minibatch_std")),
    (f"style mixing {NUMBER}", lambda r: r.all("style_mixing") or [0.9]),
    (
        f"{NUMBER} numbers of noise",
        lambda r: [r.all("latent_dim")[0] - sum(r.all("categories")[0]) - r.all("continuous")[0]],
    ),
    (f"{NUMBER} kernels of {NUMBER} dimensions", pair("kernels", "dims")),
    # losses, regularizers and augmentation
    (
        f"weight {NUMBER} for the (?:discriminator|critic)(?:, which learns it from reals only,)? "
        f"and {NUMBER} for the generator",
        _weights,
    ),
    (f"{NUMBER} for the discriminator, {NUMBER} for the generator", _weights),
    (f"(?:both|all) weights {NUMBER}", _only_weight),
    (f"(?:[Ww]eight|penalty|R1) {NUMBER}", named("weight", "pull_away", "generator_weight")),
    (f"lambda {NUMBER} for all codes", named("weight", "continuous_weight")),
    (f"deviation {NUMBER}", named("sigma")),
    (f"temperature {NUMBER}", named("temperature")),
    (f"margin (?:is )?{NUMBER}", named("margin")),
    (f"[Gg]amma (?:falls )?from {NUMBER} to {NUMBER}", _curve("weight")),
    (f"after the first {NUMBER} points", named("delay")),
    (f"halved every {NUMBER} points", lambda r: r.all("images", within=r.model["regularizers"])),
    (
        f"(?:augmentation rises|have p/2,) to {NUMBER}",
        lambda r: [end for _, end in _curve("schedule")(r)],
    ),
    (f"gamma {NUMBER}", named("gamma")),
    (
        f"{NUMBER} times the pixels over the batch",
        lambda r: [weight * r.batch / 28**2 for weight in r.all("weight")],
    ),
    (f"target {NUMBER}", named("target", "real_label")),
    (f"clipping at {NUMBER}", named("bound")),
    (f"every {NUMBER}(?:th|nd|rd)", named("every")),
    (f"[Ss]tep {NUMBER}, damping {NUMBER}, price {NUMBER}(?:,| and) {NUMBER} %", _moved),
    (f"factor k = {NUMBER}", named("weight")),
    (f"power p = {NUMBER}", named("power")),
    (f"gain of k {NUMBER}", named("k_rate")),
    (f"{WORD} steps ahead", named("steps")),
    (r"\(a, b, c\) = \((\d), (\d), (\d)\)", lambda r: [(0, 1, 1)]),  # the defaults
]
"""What a phrase says, and what the recipe must have for it: the first phrase that fits counts."""

OTHERS = [
    r"et al\.",
    # citations
    r"\b(?:19|20)\d\d\b",
    r"(?:Eq\.|sections?|Tables?|figures?|Algorithms?|appendix) [\dA-Z]\S*?(?:(?:, \d\S*?)*"
    r" (?:and|to) \d\S*?)?(?=[.,;:)]? |[.,;:)]*$)",
    r"commit \w+",
    r"`[^`]*`",
    # ranges, sizes and data, which the recipes cannot change
    r"\[-?\d, \d(?:/\d+)?[\])]",
    r"1,297 digits",
    r"where the paper has \d+ pixels and \d+ million",
    r"(?:for|on) (?:28|32) pixels",
    r"down to 7 pixels",
    r"kernels of 4",
    # what others do
    r"not 5\b",
    r"The paper has [^;.]*",
    r"the paper has one update each with 4e-4 and 1e-4",
    r"the paper is about [^;.]*",
    r"where the paper has [\d,]+(?: %)?",
    r"where StudioGAN starts it at update 1,000",
    r"the margin is 1 where the code draws it from 0.8 to 1",
    r"where the authors would draw \d+ packs",
    r"the paper starts between \S+ and \S+",
    r"the paper's [\de-]+ (?:and|to) [\de-]+ are for (?:\d+|<>)",
    r"the paper's dense layers of 1024",
    r"The authors' code gives the generator batches of 128",
    r"other networks and batches of 50",
    r"The authors' own code has BigGAN's networks, batches of 100 and two updates of the \w+",
    r"means of 2 x 2",
    r"their four layers are two here",
    r"for images of 128 pixels",
    r"which would leave 93 %",
    r"the notebook's are perceptrons of one hidden layer of 128 in batches of 128",
    r"It makes 200,000 updates",
    r"normal distribution of deviation 0.02",
    r"orthogonal with gain 1.4",
    r"eps of 1e-4 in batch norm and 1e-6 in Adam",
    # what came out
    r"the rarest digit had 2\.8 % after [\d,]+ images",
    r"has its first [\d,]+ images",
]
"""Numbers that are not the recipe's."""

THEIRS = re.compile(r"^[^.:;,]*\b(?:reports?|FID is)\b|\bseed 0\b|\bcame closest\b")
"""Sentences about results, of others or of runs."""


def agrees(stated: str, value: float) -> bool:
    """Whether a number is stated, as it is or rounded to as many decimals as are given."""
    if stated.lower() in WORDS:
        return float(value) == WORDS[stated.lower()]
    mantissa, _, exponent = stated.replace(",", "").partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    difference = abs(float(value) - float(stated.replace(",", "")))
    rounded = "." in mantissa and difference <= unit / 2
    return rounded or difference <= 1e-9 * abs(float(value))


def fits(stated: Sequence[str], value: object) -> bool:
    """Whether all numbers of a phrase agree with a value, or with several together."""
    values = value if isinstance(value, tuple) else (value,)
    numbers = all(isinstance(number, (int, float)) for number in values)
    return numbers and len(stated) == len(values) and all(map(agrees, stated, values))


def faults(recipe: Recipe) -> Iterator[str]:
    """What a header says that its recipe is not, and numbers that no phrase explains."""
    text = recipe.header
    for pattern in OTHERS:
        text = re.sub(pattern, "<>", text)
    text = " ".join(
        part
        for part in re.split(r"(?<=\.) (?=[A-Z\d]|mimicry|chainer)", text)
        if not THEIRS.search(part)
    )
    for pattern, expected in FACTS:
        for found in re.finditer(pattern, text):
            stated = [number for number in found.groups() if number]
            values = expected(recipe)
            if not any(fits(stated, value) for value in values):
                yield f"{found.group()!r} is said, and the recipe has {values}"
        text = re.sub(pattern, "<>", text)
    for left in re.finditer(r"(?<![\w.-])\d[\w.,-]*", text):
        around = text[max(left.start() - 40, 0) : left.end() + 20]
        yield f"nothing in tests/recipe_headers.py explains {left.group()!r} in {around!r}"


def recorded() -> set[str]:
    """Recipes with a row of a whole run of their own, as they are, in docs/results.md."""
    rows = RESULTS.read_text(encoding="utf-8").splitlines()
    whole = [row for row in rows if row.startswith("| `") and "of its budget" not in row]
    firsts = [row.split("|")[1].strip() for row in whole]
    return {
        match[1]
        for first in firsts
        if (match := re.fullmatch(r"`(\w+)`(, at the same time.*)?", first))
    }


def has_run(name: str) -> bool:
    """Whether a recipe has a row, or is one of a row with an option."""
    same = "docs/results.md has a run with this loss" in Recipe.of(name).header
    return same or name in recorded()
