"""One bar for the whole training, counted in images."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm

from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.run import of_gan


class ImagesBar(ProgressBar):
    """Shows the images seen, images a second, and the live balance D(x), D(G(z)).

    Args:
        refresh: Seconds between two updates of the bar.
    """

    def __init__(self, refresh: float = 0.5) -> None:
        super().__init__()
        self.refresh = refresh
        self._bar: Any = None
        self._enabled = True

    def disable(self) -> None:
        """Shows nothing from now on."""
        self._enabled = False

    def enable(self) -> None:
        """Shows the bar again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Opens the bar at the images that were seen before."""
        if self._enabled and trainer.is_global_zero:
            gan = of_gan(pl_module)
            self._bar = tqdm(
                total=gan.max_images,
                initial=min(gan.progress.images, gan.max_images or gan.progress.images),
                desc="images",
                unit="",
                unit_scale=True,
                mininterval=self.refresh,
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:  # noqa: ANN401
        """Advances the bar; numbers change when the balance has new ones."""
        if self._bar is None:
            return
        images = pl_module.progress.images
        if self._bar.total is not None:
            images = min(images, self._bar.total)
        self._bar.update(images - self._bar.n)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Balance) and callback.latest:
                self._bar.set_postfix(live_numbers(callback.latest), refresh=False)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:  # noqa: ANN401
        """Closes the bar, so that the message stands on a line of its own."""
        self.on_train_end(trainer, pl_module)


def live_numbers(report: dict[str, float]) -> dict[str, str]:
    """D(x) and D(G(z)) as probabilities where they exist, as raw scores otherwise."""
    if "gan/d_real" in report:
        names = {"D(x)": "gan/d_real", "D(G(z))": "gan/d_fake"}
    else:
        names = {"score(x)": "gan/score_real", "score(G(z))": "gan/score_fake"}
    return {shown: f"{report[name]:.2f}" for shown, name in names.items() if name in report}
