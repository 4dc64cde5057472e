"""The parts of a model, and which of them can live together.

Parts say by class attributes what they are like and what they need. Every rule about two of them
stands here, with its reason and the mend.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from lightning_gan.augment import Augmentation
from lightning_gan.distributed import processes
from lightning_gan.distributed.batch_norm import share_batch_norm
from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm
from lightning_gan.networks.minibatch import MinibatchDiscrimination, judged_together
from lightning_gan.objectives import Objective
from lightning_gan.regularizers import AuxiliaryTask, Constraint, Penalty, Regularizer
from lightning_gan.regularizers.gradient_penalties import unequal_shares
from lightning_gan.training.batches import batch_size_of
from lightning_gan.training.latents import Prior

TRACES_GRADIENTS = "2.14"
"""The first torch that traces ``autograd.grad`` inside what it compiles."""

LAZY = 4
"""The longest interval of a penalty with which relativistic pairing converged, on small digits.

On MNIST it was chance (docs/results.md, what was tried for the quickstart).
"""
BATCH_NORM = "Batch norm"
"""What messages call it among what looks across the batch."""


@dataclass(frozen=True)
class Composition:
    """The parts of a model.

    Args:
        generator: From latents to samples.
        discriminator: From samples to logits.
        objective: The two losses.
        regularizers: What acts beside them, in this order.
        augmentation: What happens to samples before the discriminator sees them.
        prior: What latents are made of.
        accumulate: Pieces that each batch is worked through in.
        sync_batch_norm: Whether batch norm is over the batch of all processes.
        compile: Whether updates are compiled.

    Raises:
        ConfigurationError: If a part is none of its kind.
    """

    generator: Generator
    discriminator: Discriminator
    objective: Objective
    regularizers: Sequence[Regularizer] = field(default_factory=list)
    augmentation: Augmentation | None = None
    prior: Prior = field(default_factory=Prior)
    accumulate: int = 1
    sync_batch_norm: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        _refuse(_kinds(self))

    @property
    def penalties(self) -> list[Penalty]:
        """The regularizers that add a term to a loss."""
        return [part for part in self.regularizers if isinstance(part, Penalty)]

    @property
    def least(self) -> int:
        """Samples that a batch of a process needs, for batch norm to have two vectors a piece."""
        together = processes.world_size() if self.sync_batch_norm else 1
        return -(-2 * self.accumulate // together) if _normed_vectors(self) else 1

    def attach(self) -> None:
        """Lets each part make what depends on the networks, then refuses what cannot be.

        Raises:
            ConfigurationError: With the reason and the mend.
        """
        _refuse(_networks(self))
        self.objective.attach(self.generator, self.discriminator)
        for regularizer in self.regularizers:
            regularizer.attach(self.generator, self.discriminator, self.prior)
        for network in (self.generator, self.discriminator) if self.sync_batch_norm else ():
            share_batch_norm(network)
        _refuse(_objective(self, self.objective))
        for regularizer in self.regularizers:
            _refuse(_regularizer(self, regularizer))
        _refuse(_together(self))
        if self.compile:
            _refuse(_compiled(self.objective))
        for message in _unstable(self):
            warnings.warn(message, UnstableWarning, stacklevel=4)

    def check_run(self, data: object, precision: object) -> None:
        """Refuses data of another size, batches that cannot be shared out, and too few bits.

        Args:
            data: The data module, or None.
            precision: Of the Trainer.

        Raises:
            ConfigurationError: With the setting to change.
        """
        _refuse(_data(self.generator, data))
        _refuse(_batch(self.discriminator, data, self.accumulate))
        _refuse(_pieces(self, data))
        _refuse(_single(self, data))
        _refuse(_shares(self, data))
        _refuse(_precision(precision, self.penalties))

    def check_training(self, precision: object) -> None:
        """Refuses a training that cannot be compiled as it is asked for.

        Args:
            precision: Of the Trainer.

        Raises:
            ConfigurationError: With the setting to change.
        """
        if self.compile:
            _refuse(_compiled_run(precision, torch.__version__ >= TRACES_GRADIENTS))
        elif self.discriminator._compiled_call_impl is not None:
            _refuse(_compiled_alone(self))


def _refuse(reasons: Iterator[str]) -> None:
    """Refuses with the first reason, if there is one."""
    for reason in reasons:
        raise ConfigurationError(reason)


def _name(part: object) -> str:
    return type(part).__name__


def _everyone(parts: Composition) -> list[Objective | Regularizer]:
    return [parts.objective, *parts.regularizers]


def _reads_labels(part: Objective | Regularizer) -> bool:
    """Whether a part conditions the discriminator on classes by itself."""
    return bool(getattr(part, "reads_labels", False) or getattr(part, "needs_classes", False))


def _bounded(parts: Composition) -> bool:
    """Whether anything bounds the slope of the discriminator."""
    bounds = any(
        part.bounds_lipschitz and (not isinstance(part, Penalty) or part.acts("discriminator"))
        for part in parts.regularizers
    )
    return bounds or has_spectral_norm(parts.discriminator)


# ------------------------------------------------------------------------------- what is refused


def _kinds(parts: Composition) -> Iterator[str]:
    """What is no part of the kind that it should be."""
    regularizers: object = parts.regularizers
    if not isinstance(regularizers, (list, tuple, nn.ModuleList)):
        given = "list(...)" if isinstance(regularizers, Iterable) else f"[{regularizers}]"
        yield f"regularizers is a {_name(regularizers)} and no list: give {given}."
    named: list[tuple[str, object, type]] = [
        ("generator", parts.generator, Generator),
        ("discriminator", parts.discriminator, Discriminator),
        ("objective", parts.objective, Objective),
        *(("regularizers", part, Regularizer) for part in parts.regularizers),
        ("augmentation", parts.augmentation, Augmentation),
        ("prior", parts.prior, Prior),
    ]
    for name, part, kind in named:
        base = kind.__name__
        if isinstance(part, kind) or (name == "augmentation" and part is None):
            continue
        if isinstance(part, type):
            yield f"{name} is the class {part.__name__}: give one of it, {part.__name__}(...)."
        module = isinstance(part, nn.Module) and issubclass(kind, (Generator, Discriminator))
        size = "latent_dim=..." if kind is Generator else "channels=..., image_size=..."
        wrapped = f"lightning_gan.networks.wrap({_name(part)}(...), {size}), or " if module else ""
        subclass = f"a subclass of {base}" if module else f"an instance of {base}"
        yield f"{name} is a {_name(part)}, which is no {base}: give {wrapped}{subclass}."


def _networks(parts: Composition) -> Iterator[str]:
    """Networks that do not fit together, or not to the kind of objective."""
    generator, discriminator, objective = parts.generator, parts.discriminator, parts.objective
    name, network = _name(objective), _name(discriminator)
    conditioned = any(map(_reads_labels, _everyone(parts)))
    for size in ("channels", "image_size", "num_classes"):
        theirs, ours = getattr(generator, size), getattr(discriminator, size)
        if theirs != ours and not (size == "num_classes" and ours == 0 and conditioned):
            has = f"The generator has {size}={theirs} but the discriminator has {size}={ours}"
            yield f"{has}: give both the same."
    if objective.wants_reconstruction and not discriminator.reconstructs:
        judges = f"{name} judges by the error of a reconstruction, and {network} makes none"
        yield f"{judges}: take AutoencoderDiscriminator or MLPAutoencoderDiscriminator."
    if discriminator.reconstructs and not objective.wants_reconstruction:
        gives = f"{name} wants logits, and {network} gives the error of a reconstruction"
        yield f"{gives}: take another discriminator, or BEGAN or EBGAN."
    tasks = [_name(part) for part in parts.regularizers if isinstance(part, AuxiliaryTask)]
    tasks += [name] if objective.needs_features else []
    if tasks and discriminator.num_features < 1:
        reads = f"{tasks[0]} reads the discriminator's features, and {network} gives logits alone"
        yield f"{reads}: leave it out, or subclass lightning_gan.networks.Discriminator."
    least = parts.prior.min_latent_dim
    if least > generator.latent_dim:
        has = f"{least} entries and the generator has latent_dim={generator.latent_dim}"
        yield f"{_name(parts.prior)} makes {has}: set it to at least {least}."


def _objective(parts: Composition, objective: Objective) -> Iterator[str]:
    """What an objective cannot live with."""
    name, discriminator, inner = _name(objective), parts.discriminator, objective.inner
    if objective.reads_labels and parts.generator.num_classes == 0:
        yield f"{name} tells classes apart and the generator has none: set its num_classes."
    if objective.reads_labels and discriminator.num_classes > 0:
        own = f"{name} scores classes itself, so the discriminator's logit must not depend on them"
        yield f"{own}: set num_classes of the discriminator to 0."
    if objective.per_sample and discriminator.pack > 1:
        needs = f"{name} needs one logit for each sample, and a pack has one for several"
        yield f"{needs}: leave Packed out, or take another objective."
    if objective.joins_features and discriminator.judges_squares:
        joins = f"{name} joins one logit to the features of each sample, and {_name(discriminator)}"
        yield f"{joins} gives one for each square: take another discriminator."
    if objective.compares_logits and discriminator.judges_squares:
        yield _of_squares(name, discriminator)
    if inner is not None:
        if inner.paired or inner.looks_across or inner.reads_labels or inner.wants_reconstruction:
            looks = f"{_name(inner)} looks at pairs, batches, classes or reconstructions"
            needs = f"{name} needs a loss of single samples, and {looks}"
            yield f"{needs}: take for instance NonSaturating inside."
        yield from _objective(parts, inner)
    if objective.foresees and parts.augmentation is not None:
        yield f"{name} foresees a discriminator without augmentation: leave the augmentation out."
    for part in parts.regularizers if objective.foresees else ():
        if isinstance(part, Constraint) and part.acts_on_steps():
            cannot = f"{name} cannot see through {_name(part)}, which has no gradient"
            yield f"{cannot}: bound the slope by GradientPenalty instead."


def _regularizer(parts: Composition, part: Regularizer) -> Iterator[str]:
    """What a regularizer cannot live with."""
    name, discriminator = _name(part), parts.discriminator
    if part.per_sample and discriminator.pack > 1:
        needs = f"{name} needs logits and features of single samples, and Packed has one set for"
        yield f"{needs} {discriminator.pack}: leave one of the two out."
    if part.compares_logits and discriminator.judges_squares:
        yield _of_squares(name, discriminator)
    if part.images_only and 0 in discriminator.size:
        yield f"{name} changes images, and the data are points: leave it out."
    if [type(other) for other in parts.regularizers].count(type(part)) > 1:
        yield f"{name} is there twice: give it once, with one weight."
    if isinstance(part, AuxiliaryTask):
        yield from _task(parts, part)
    if isinstance(part, Penalty):
        yield from _penalty(parts, part)
    if isinstance(part, Constraint) and part.bounds_weights and has_spectral_norm(discriminator):
        rescales = f"{name} does nothing under spectral normalisation, which rescales the weights"
        yield f"{rescales}: use one of the two."


def _of_squares(name: str, discriminator: Discriminator) -> str:
    takes = f"{name} takes each logit for that of a sample, and {_name(discriminator)} has one for"
    return f"{takes} each square of it: take another discriminator."


def _task(parts: Composition, task: AuxiliaryTask) -> Iterator[str]:
    """What an auxiliary task cannot live without."""
    name, (height, width) = _name(task), parts.discriminator.size
    if task.needs_classes and parts.generator.num_classes == 0:
        needs = f"{name} needs classes and the generator has none"
        yield f"{needs}: set its num_classes to the data's."
    if task.needs_codes and not parts.prior.has_codes:
        looks = f"{name} looks for the codes of the latents, and the prior has none"
        yield f"{looks}: set prior to CodePrior."
    if task.needs_square and parts.augmentation is not None and parts.augmentation.turns:
        turns = f"{_name(parts.augmentation)} turns it again"
        tells = f"{name} tells how far an image was turned, and {turns}"
        yield f"{tells}: set blit and geometry of AdaptiveAugmentation to false."
    if task.needs_square and height != width:
        turns = f"{name} turns images by a right angle, and {height} x {width} pixels change"
        yield f"{turns}: take square images."


def _penalty(parts: Composition, penalty: Penalty) -> Iterator[str]:
    """What a penalty cannot live with or without."""
    name, generator, discriminator = _name(penalty), _name(parts.generator), parts.discriminator
    if penalty.penalises_slope and has_batch_norm(discriminator):
        mixes = f"batch norm in {_name(discriminator)} mixes the samples of a batch"
        yield f"{name} looks at the slope of each sample, but {mixes}: set its batch_norm to false."
    if penalty.needs_styles and not hasattr(parts.generator, "synthesise"):
        way = f"{name} measures the way in style space, and {generator} has no styles"
        yield f"{way}: take StyleGAN2Generator."
    if penalty.needs_decoders and not hasattr(discriminator, "reconstructions"):
        needs = f"{name} needs a discriminator with decoders, and {_name(discriminator)} has none"
        yield f"{needs}: take FastGANDiscriminator."


def _together(parts: Composition) -> Iterator[str]:
    """What the whole cannot be."""
    name, discriminator = _name(parts.objective), parts.discriminator
    if parts.objective.relative and has_batch_norm(discriminator):
        norm = f"batch norm in {_name(discriminator)} standardises the two batches apart"
        yield f"{name} compares reals with fakes, but {norm}: set its batch_norm to false."
    if parts.objective.needs_lipschitz and not _bounded(parts):
        mend = "add GradientPenalty or WeightClipping, or spectral normalisation"
        yield f"{name} needs a critic of bounded slope: {mend} of the discriminator."
    augmentation = parts.augmentation
    if augmentation is not None and augmentation.reads_signs and not parts.objective.has_sign:
        sign = f"{_name(augmentation)} adapts to the sign of logits, which means nothing under"
        mend = "take NonSaturating or Hinge, or AdaptiveAugmentation with a schedule"
        yield f"{sign} {name}: {mend}."


def _data(generator: Generator, data: object) -> Iterator[str]:
    """A data module of another size than the networks."""
    for name in ("channels", "image_size"):
        theirs, ours = getattr(data, name, None), getattr(generator, name)
        if theirs is not None and theirs not in (ours, (ours, ours), [ours, ours]):
            have = f"The data have {name}={theirs} but the networks have {name}={ours}"
            yield f"{have}: set {name} of both networks to {theirs}, or leave it out."
    classes, known = getattr(data, "num_classes", None), generator.num_classes
    if classes is not None and known not in (0, classes):
        or_none = ", or to 0" if known < classes else ""
        have = f"The networks know {known} classes but the data have {classes}"
        yield f"{have}: set num_classes of both networks to {classes}{or_none}."


def _batch(discriminator: Discriminator, data: object, accumulate: int) -> Iterator[str]:
    """Batches that cannot be packed, or grouped by minibatch standard deviation."""
    size = batch_size_of(data)
    unit = judged_together(discriminator)
    if unit == 1 or size is None or size % (unit * accumulate) == 0:
        return
    packs = unit == discriminator.pack
    what = f"packs of {unit}" if packs else f"groups of {unit} samples"
    near = max(-(-size // (unit * accumulate)), 1) * unit * accumulate
    pieces = f" in {accumulate} pieces" if accumulate > 1 else ""
    judges = f"The discriminator judges {what}, and batches of {size}{pieces} cannot be shared out"
    yield f"{judges} so: set --data.batch_size to {near}."


def _across(parts: Composition) -> list[str]:
    """The names of what looks at a batch as a whole."""
    found = [_name(part) for part in _everyone(parts) if part.looks_across]
    network = parts.discriminator
    found += [_name(p) for p in network.modules() if isinstance(p, MinibatchDiscrimination)]
    normed = has_batch_norm(network) or has_batch_norm(parts.generator)
    return [*found, BATCH_NORM] if normed else found


def _pieces(parts: Composition, data: object) -> Iterator[str]:
    """Pieces that several processes would not have together as one has them."""
    size, pieces = batch_size_of(data), parts.accumulate
    if processes.world_size() == 1 or size is None or size % pieces == 0:
        return
    across = [name for name in _across(parts) if parts.sync_batch_norm or name != BATCH_NORM]
    if across:
        sees = f"{across[0]} looks across the batch, and {pieces} pieces of {size} samples on each"
        near = -(-size // pieces) * pieces
        yield f"{sees} process are not those of one process: set --data.batch_size to {near}."


def _shares(parts: Composition, data: object) -> Iterator[str]:
    """Shares of a batch that are not the same on all processes, where these wait for each other."""
    size = batch_size_of(data)
    if size is None or size % parts.accumulate:
        return
    for penalty in parts.penalties:
        yield from unequal_shares(parts.discriminator, penalty, size // parts.accumulate)


def _single(parts: Composition, data: object) -> Iterator[str]:
    """Pieces of one vector, which has no variance to be divided by."""
    size, normed = batch_size_of(data), _normed_vectors(parts)
    if size is not None and size < parts.least:
        pieces = f" in {parts.accumulate} pieces" if parts.accumulate > 1 else ""
        needs = f"Batch norm in {normed[0]} needs two samples at a time, and batches of {size}"
        yield f"{needs}{pieces} have one: set --data.batch_size to {parts.least} or more."


def _normed_vectors(parts: Composition) -> list[str]:
    """The networks with batch norm over vectors, of which one alone has no variance."""
    return [
        _name(network)
        for network in (parts.generator, parts.discriminator)
        if any(isinstance(layer, nn.BatchNorm1d) for layer in network.modules())
    ]


def _precision(precision: object, penalties: Sequence[Penalty]) -> Iterator[str]:
    """16-bit floating point that penalties, or averages, do not survive."""
    twice = [_name(part) for part in penalties if part.differentiates_twice]
    if str(precision).startswith("16") and twice:
        dies = f"{twice[0]} does not survive 16-bit floating point (Huang et al. 2024, of R1 R2)"
        yield f"{dies}: take --trainer.precision bf16-mixed or 32-true."
    if str(precision) == "bf16-true":
        still = "In bfloat16 alone the averaged generator, and what adapts, stand nearly still"
        yield f"{still}: take --trainer.precision bf16-mixed or 32-true."


def _compiled(objective: Objective) -> Iterator[str]:
    """What cannot be compiled."""
    name = _name(objective)
    if objective.foresees:
        steps = f"{name} foresees the steps of an optimizer, whose state no compiled update knows"
        yield f"{steps}: leave compile out."
    if objective.count_moves:
        takes = f"{name} takes another number of samples each time that its share moves, and a"
        yield f"{takes} compiled update always the same: give a number, or leave compile out."


def _compiled_run(precision: object, torch_can: bool) -> Iterator[str]:
    """Trainings that compiled updates cannot be part of."""
    if not torch_can:
        needs = f"compile needs torch {TRACES_GRADIENTS} or newer, which traces the gradients in"
        yield f"{needs} penalties, and this is {torch.__version__}: leave compile out."
    if str(precision).startswith("16"):
        late = "A compiled update has its gradients before 16-mixed could scale the loss"
        yield f"{late}: take --trainer.precision bf16-mixed or 32-true, or leave compile out."
    if processes.world_size() > 1:
        alone = "A compiled update cannot wait for other processes in its midst"
        yield f"{alone}: take --trainer.devices 1, or leave compile out."


def _compiled_alone(parts: Composition) -> Iterator[str]:
    """What a discriminator that is compiled by itself cannot live with."""
    mend = "compile none of the networks, and give the GAN compile=True, which compiles updates"
    twice = [_name(part) for part in parts.penalties if part.differentiates_twice]
    if twice:
        yield f"{twice[0]} differentiates a gradient, which a compiled network lacks: {mend}."
    if has_spectral_norm(parts.discriminator):
        moves = "Spectral norm moves its vectors at each pass, before a compiled network's last"
        yield f"{moves} pass was differentiated: {mend}."


# ------------------------------------------------------- what was measured or proved to go badly


def _unstable(parts: Composition) -> Iterator[str]:
    """What works, but badly."""
    objective, name = parts.objective, _name(parts.objective)
    flat = [p for p in parts.penalties if p.flattens is not None and p.acts("discriminator")]
    lazy = [part.every for part in flat if part.every > LAZY]
    if objective.unbounded and not _bounded(parts):
        falls = f"{name}: the generator's loss has no lower bound, and nothing bounds the slope"
        yield f"{falls}; add spectral normalisation, R1 or GradientPenalty."
    if objective.paired and {part.flattens for part in flat} == {"real"}:
        yield f"{name} with {_name(flat[0])} alone diverges (Huang et al. 2024); add R2."
    if objective.paired and lazy:
        fails = f"{name} with a penalty at every {lazy[0]}th update fails to converge"
        yield f"{fails} (Huang et al. 2024); take every=1."
    for part in parts.penalties:
        if part.anchors_logits and (objective.relative or objective.needs_lipschitz):
            holds = f"{_name(part)} holds logits in their places, which mean nothing to {name}"
            yield f"{holds}: take Hinge or NonSaturating."
    across = _across(parts)
    if parts.accumulate > 1 and across:
        pieces = f"looks at a batch as a whole, and accumulate={parts.accumulate} shows it pieces"
        yield f"{across[0]} {pieces}; take accumulate=1 and more processes instead."
