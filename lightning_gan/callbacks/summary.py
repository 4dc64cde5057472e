"""What came out of a run, in a few lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning.pytorch import Trainer

from lightning_gan.basics.images import save_png
from lightning_gan.basics.texts import counted, quoted
from lightning_gan.callbacks.base import run_folder
from lightning_gan.callbacks.last_checkpoint import LastCheckpoint
from lightning_gan.callbacks.measurements import BestDistance, measurements
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult
from lightning_gan.metrics.frechet import FrechetResult
from lightning_gan.metrics.modes import ModesResult
from lightning_gan.runs.curves import read_curves
from lightning_gan.runs.drawing import PICTURE as CURVES
from lightning_gan.runs.expected import expected_in, verdict
from lightning_gan.runs.pictures import BESIDE_REALS
from lightning_gan.runs.record import NAME as RECORD

LABELS = 12
"""Columns that stand before what is said, with what it is about."""


def summary(trainer: Trainer, gan: GAN) -> str:
    """The final balance, distance and modes, and where everything lies."""
    lines, folder = [*_lines(trainer, gan)], run_folder(trainer)
    if (spent := measurements(trainer).time) is not None:
        record = measurements(trainer).record
        since = " since it went on" if record is not None and len(record.segments) > 1 else ""
        share = f"{spent.share:.0%} of it for evaluations"
        lines.append(f"Time        {lasting(spent.whole)}{since}, {share}")
    lines += _expected(folder)
    written = {
        "Pictures": folder / "samples",
        "And reals": folder / f"{BESIDE_REALS}.png",
        "Curves": folder / CURVES,
        "Metrics": folder / "metrics.csv",
    }
    lines += [f"{what:<11} {path}" for what, path in written.items() if path.exists()]
    if (folder / RECORD).exists():
        lines.append(f"Page        lightning-gan report {quoted(folder)}")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LastCheckpoint):
            path = callback.path(trainer)
            if not path.exists():
                continue
            lines.append(f"Checkpoint  {path}")
            lines.append(f"Draw more   lightning-gan predict --ckpt_path {quoted(folder)} --n 64")
    return "\n".join(lines)


def measured(trainer: Trainer, gan: GAN) -> str:
    """What a validation or test has measured, in words and then in full."""
    lines = [*_lines(trainer, gan)]
    for name, value in sorted(trainer.callback_metrics.items()):
        if not name.startswith("eval/"):
            lines.append(f"  {name:<32} {float(value):.6g}")
    return "\n".join(lines)


def write_reports(trainer: Trainer, folder: Path) -> str:
    """Writes the values of a validation or test to a file of its own; returns where, in words."""
    latest = measurements(trainer)
    if latest.stamped is None:
        return ""
    run = latest.stamped.run
    file = folder / f"{run['stage']}-{run['images_seen']:010d}.json"
    path = latest.stamped.write(file, lambda path: _pictures(path, latest.pictures).values())
    pictures = _pictures(path, latest.pictures)
    for name, place in pictures.items():
        save_png(latest.pictures[name], place)
    lines = [f"Measured    {path}", *(f"Pictures    {place}" for place in pictures.values())]
    return "".join(f"{line}\n" for line in lines)


def _pictures(path: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where the pictures of a measurement lie, by name: called after its file."""
    return {name: path.parent / "samples" / f"{name}_{path.stem}.png" for name in names}


def _lines(trainer: Trainer, gan: GAN) -> Iterator[str]:
    """The final balance, distance and modes."""
    progress, latest = gan.progress, measurements(trainer)
    updates = counted(progress.discriminator_updates, "update")
    yield (
        f"Trained on {counted(progress.images, 'image')}: {updates} of the discriminator, "
        f"{progress.generator_updates:,} of the generator."
    )
    if latest.samples is not None and latest.samples.frechet is not None:
        yield from _distance(latest.samples.frechet, latest.samples.n, latest.best)
    if latest.samples is not None and latest.samples.modes is not None:
        yield _modes(latest.samples.modes)
    if latest.val is not None:
        yield _balance(latest.val)


def _expected(folder: Path) -> Iterator[str]:
    """How the run compares with recorded runs of its recipe, where there are some."""
    expected = expected_in(folder)
    if expected is not None and (said := verdict(read_curves(folder), expected)):
        yield f"Expected    {said}"


def lasting(seconds: float) -> str:
    """A time in words, such as ``2 min 5 s``."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def _balance(val: BalanceResult) -> str:
    real, fake = val.real_probability, val.fake_probability
    if real is not None and fake is not None:
        shown = (
            f"D(x) = {real.mean:.2f} ± {real.std:.2f}, D(G(z)) = {fake.mean:.2f} ± {fake.std:.2f}"
        )
    else:
        real, fake = val.real_logits, val.fake_logits
        shown = (
            f"scores {real.mean:.2f} ± {real.std:.2f} for reals, "
            f"{fake.mean:.2f} ± {fake.std:.2f} for fakes"
        )
    if val.acc_real is None or val.acc_fake is None:
        auc = val.auc if val.auc is not None else float("nan")
        told = f"{auc:.0%} of pairs of a real and a fake told apart"
    else:
        told = f"right about {val.acc_real:.0%} of reals, {val.acc_fake:.0%} of fakes"
    return f"Balance     {shown} on held-out data ({told})"


def _distance(now: FrechetResult, count: float, best: BestDistance | None) -> Iterator[str]:
    """The final distance, and the best one where that was another."""
    name = f"fid/{now.extractor}"
    yield (
        f"Frechet     {name} = {now.value:.4g} with {count:,.0f} samples; a perfect "
        f"generator scores about {now.floor:.3g}"
    )
    if best is not None and not now.value <= best.value:  # which NaN is not
        yield f"Best        fid/{best.extractor} = {best.value:.4g}, at {best.images:,.0f} images"


def _modes(modes: ModesResult) -> str:
    covered = f"Modes       {modes.strictly_covered:.0f} of {modes.total} "
    if modes.high_quality is not None:
        return (
            f"Modes       {modes.covered:.0f} of {modes.total} covered "
            f"({modes.strictly_covered:.0f} by the stricter rule), "
            f"{modes.high_quality:.1%} of the samples within 3 sigma of one"
        )
    if modes.covered_robust is not None:
        return (
            f"{covered}covered ({modes.covered:.0f} by the papers' rule), KL {modes.kl:.3f}; "
            f"a perfect generator scores about {modes.kl_floor:.3f}"
        )
    missing = f"; missing: {', '.join(modes.missing)}" if modes.missing else ""
    share = f"the smallest with {modes.min_share:.1%} of the samples"
    alike = "; nearly one picture of each class" if modes.alike else ""
    return f"{covered}classes covered, {share}{missing}{alike}"
