"""One bar for the whole training, counted in images."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm

from lightning_gan.callbacks.base import GANCallback
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult


class ImagesBar(GANCallback, ProgressBar):
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

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Opens the bar at the images that were seen before."""
        if self._enabled and trainer.is_global_zero:
            self._bar = tqdm(
                total=gan.max_images,
                initial=_images(gan),
                desc="images",
                unit="",
                unit_scale=True,
                mininterval=self.refresh,
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Advances the bar; numbers change when the balance has new ones."""
        if self._bar is None:
            return
        self._bar.update(_images(gan) - self._bar.n)
        report = measurements(trainer).training
        if report is not None:
            self._bar.set_postfix(live_numbers(report.balance), refresh=False)

    def on_train_end(self, trainer: Trainer, gan: GAN) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_exception(self, trainer: Trainer, gan: GAN, exception: BaseException) -> None:
        """Closes the bar, so that the message stands on a line of its own."""
        self.on_train_end(trainer, gan)


def _images(gan: GAN) -> int:
    """Images seen, of those that the bar counts."""
    return min(gan.progress.images, gan.max_images or gan.progress.images)


def live_numbers(balance: BalanceResult | None) -> dict[str, str]:
    """D(x) and D(G(z)) as probabilities where they exist, as logits otherwise."""
    if balance is None:
        return {}
    if balance.real_probability is not None and balance.fake_probability is not None:
        shown = {"D(x)": balance.real_probability, "D(G(z))": balance.fake_probability}
    else:
        shown = {"score(x)": balance.real_logits, "score(G(z))": balance.fake_logits}
    return {name: f"{spread.mean:.2f}" for name, spread in shown.items()}
