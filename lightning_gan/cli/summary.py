"""What came out of a run, in a few lines."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer

from lightning_gan.callbacks import Balance, Evaluation, LastCheckpoint
from lightning_gan.callbacks.evaluation import distance_key, save_pictures
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
        if not name.startswith("eval/"):
            lines.append(f"  {name:<32} {float(value):.6g}")
    return "\n".join(lines)


def write_reports(trainer: Trainer, folder: Path) -> str:
    """Writes the report of a validation or test to a file of its own; returns where, in words."""
    lines = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Evaluation) and callback.report is not None:
            run = callback.report.run
            path = folder / f"{run['stage']}-{run['images_seen']:010d}.json"
            lines.append(f"Report      {callback.report.write(path)}")
            save_pictures(callback.pictures, folder / "samples", f"_{run['stage']}")
            lines += [
                f"Pictures    {folder / 'samples' / name}_{run['stage']}.png"
                for name in callback.pictures
            ]
    return "".join(f"{line}\n" for line in lines)


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
        elif isinstance(callback, Evaluation):
            lines += _distance(callback) + _modes(callback)
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


def _distance(callback: Evaluation) -> list[str]:
    """The final distance, and the best one where that was another."""
    latest, best = callback.latest, callback.best
    name = distance_key(latest)
    if not name:
        return []
    lines = [
        f"Frechet     {name} = {latest[name]:.3f} with {latest['eval/n']:,.0f} samples; a perfect "
        f"generator scores about {latest[f'{name}_floor']:.3f}"
    ]
    if best and best[name] < latest[name]:
        lines.append(
            f"Best        {name} = {best[name]:.3f}, at {best['progress/images']:,.0f} images"
        )
    return lines


def _modes(callback: Evaluation) -> list[str]:
    latest = {
        key.rpartition("/")[2]: value
        for key, value in callback.latest.items()
        if key.startswith("modes/")
    }
    if "high_quality" in latest:
        return [
            f"Modes       {latest['covered']:.0f} of {callback.total} covered, "
            f"{latest['high_quality']:.1%} of the samples within 3 sigma of one"
        ]
    if "covered_robust" in latest:
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
