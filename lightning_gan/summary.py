"""What came out of a run, in a few lines."""

from __future__ import annotations

from lightning.pytorch import Trainer

from lightning_gan.callbacks import Balance, FrechetDistance, LastCheckpoint, ModeCoverage
from lightning_gan.callbacks.run import run_folder
from lightning_gan.gan import GAN


def summary(trainer: Trainer, gan: GAN) -> str:
    """The final balance, distance and modes, and where everything lies."""
    lines = _lines(trainer, gan)
    folder = run_folder(trainer)
    lines.append(f"Pictures    {folder / 'samples'}")
    lines.append(f"Metrics     {folder / 'metrics.csv'}")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LastCheckpoint):
            path = callback.path(trainer)
            lines.append(f"Checkpoint  {path}")
            lines.append(f"Draw more   lightning-gan predict --ckpt_path {path} --n 64")
    return "\n".join(lines)


def measured(trainer: Trainer, gan: GAN) -> str:
    """What a validation or test has measured, in words and then in full."""
    lines = _lines(trainer, gan)
    for name, value in sorted(trainer.callback_metrics.items()):
        if not name.startswith("seconds/"):
            lines.append(f"  {name:<32} {float(value):.6g}")
    return "\n".join(lines)


def _lines(trainer: Trainer, gan: GAN) -> list[str]:
    """The final balance, distance and modes."""
    progress = gan.progress
    lines = [
        f"Trained on {progress.images:,} images: {progress.discriminator_updates:,} updates of the "
        f"discriminator, {progress.generator_updates:,} of the generator."
    ]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Balance):
            lines += _balance(callback.held_out)
        elif isinstance(callback, FrechetDistance):
            lines += _distance(callback.latest, callback.num_samples)
        elif isinstance(callback, ModeCoverage):
            lines += _modes(callback)
    return lines


def _balance(held_out: dict[str, float]) -> list[str]:
    if not held_out:
        return []
    if "d_real" in held_out:
        names, shown = ("d_real", "d_fake"), "D(x) = {:.2f} ± {:.2f}, D(G(z)) = {:.2f} ± {:.2f}"
    else:
        names = ("score_real", "score_fake")
        shown = "scores {:.2f} ± {:.2f} for reals, {:.2f} ± {:.2f} for fakes"
    values = [held_out[key] for name in names for key in (name, f"{name}_std")]
    right = f"right about {held_out['acc_real']:.0%} of reals, {held_out['acc_fake']:.0%} of fakes"
    return [f"Balance     {shown.format(*values)} on held-out data ({right})"]


def _distance(latest: dict[str, float], num_samples: int) -> list[str]:
    name = next((key for key in latest if key.startswith("fid/") and key.count("_floor") == 0), "")
    if not name:
        return []
    floor = latest.get(f"{name}_floor", float("nan"))
    return [
        f"Frechet     {name} = {latest[name]:.3f} with {num_samples:,} samples; a perfect "
        f"generator scores about {floor:.3f}"
    ]


def _modes(callback: ModeCoverage) -> list[str]:
    latest = {key.rpartition("/")[2]: value for key, value in callback.latest.items()}
    if "high_quality" in latest:
        total = callback.total
        return [
            f"Modes       {latest['covered']:.0f} of {total} covered, "
            f"{latest['high_quality']:.1%} of the samples within 3 sigma of one"
        ]
    if "covered_robust" in latest and "kl_floor" in latest:
        return [
            f"Modes       {latest['covered_robust']:.0f} of {callback.total} covered "
            f"({latest['covered']:.0f} by the papers' rule), KL {latest['kl']:.3f}; a perfect "
            f"generator scores about {latest['kl_floor']:.3f}"
        ]
    if "min_share" in latest:
        missing = f"; missing: {', '.join(callback.missing)}" if callback.missing else ""
        return [
            f"Modes       {latest['covered']:.0f} of {callback.total} classes covered, "
            f"the smallest with {latest['min_share']:.1%} of the samples{missing}"
        ]
    return []
