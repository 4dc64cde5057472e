"""The classical rule, made testable: play until the discriminator cannot tell the two apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.readings import conclude, draws_conclusions, readings
from lightning_gan.callbacks.run import of_gan
from lightning_gan.errors import ConfigurationError, at_least, check_range


class EquilibriumStopping(Callback):
    r"""Says when the discriminator has become undecided on held-out data, and may end the training.

    At the equilibrium of the minimax game D = 1/2 everywhere (Goodfellow et al. 2014, Prop. 1), the
    rule of thumb of "50 : 50". A validation finds the discriminator undecided when

    * its ``val/auc`` lies within ``deviations`` of its deviation, ``val/auc_sd``, around 1/2,
    * the means of D(x) and D(G(z)), where the objective has probabilities, lie within ``tolerance``
      and ``deviations`` of their own around 1/2,
    * the 1-nearest-neighbour test (Lopez-Paz and Oquab 2017), ``nn1/<e>_real`` and
      ``nn1/<e>_fake``, where it is logged, lies within ``nearest_tolerance`` and ``deviations`` of
      its own around 1/2.

    A discriminator that is dead, constant or too weak shows the first two as well; only the third
    looks at the samples themselves. So log it (:class:`Evaluation` does); without it, what is said
    ends with this doubt.

    It logs ``equilibrium/undecided`` (0 or 1) and ``equilibrium/streak``, the number of validations
    in a row that found it so. It needs :class:`Balance` among the callbacks.

    Args:
        patience: Validations in a row after which the equilibrium counts as reached.
        deviations: How many standard deviations may be chance.
        tolerance: How far from 1/2 the mean probabilities may lie beyond chance.
        nearest_tolerance: How far from 1/2 the nearest-neighbour test may lie beyond chance; test
            digits give 0.514 and 0.526 beside training digits.
        stop: Whether the training ends when the equilibrium is reached.

    Raises:
        ConfigurationError: If a number is out of range, or there is no Balance.
    """

    def __init__(
        self,
        patience: int = 3,
        deviations: float = 2.0,
        tolerance: float = 0.05,
        nearest_tolerance: float = 0.05,
        stop: bool = False,
    ) -> None:
        check_range(self, at_least(1), patience=patience)
        check_range(
            self,
            at_least(0),
            deviations=deviations,
            tolerance=tolerance,
            nearest_tolerance=nearest_tolerance,
        )
        self.patience = patience
        self.deviations = deviations
        self.tolerance = tolerance
        self.nearest_tolerance = nearest_tolerance
        self.stop = stop
        self.streak = 0
        """Validations in a row that found the discriminator undecided."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:  # noqa: ANN401
        """Checks that the balance is measured.

        Raises:
            ConfigurationError: If it is not.
        """
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        if stage == "fit" and not any(isinstance(callback, Balance) for callback in callbacks):
            raise ConfigurationError(
                "EquilibriumStopping reads the balance on held-out data, and there is no Balance "
                "among the callbacks: add lightning_gan.callbacks.Balance()."
            )

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Judges the validation; says so, and stops, where the equilibrium is reached."""
        if not draws_conclusions(trainer):
            return
        gan, values = of_gan(pl_module), readings(trainer)
        undecided = self.is_undecided(values)
        self.streak = self.streak + 1 if undecided else 0
        found = {"undecided": float(undecided), "streak": float(self.streak)}
        conclude(trainer, gan, {f"equilibrium/{name}": x for name, x in found.items()})
        if self.streak == self.patience:
            rank_zero_info(self._sentence(values, gan.progress.images))
        if self.stop and self.streak >= self.patience:
            trainer.should_stop = True

    def is_undecided(self, values: Mapping[str, float]) -> bool:
        """Whether the last values, by their names in the logs, are those of an equilibrium."""
        if "val/auc" not in values:
            return False
        near = [self._near(values["val/auc"], values["val/auc_sd"])]
        for name in ("val/d_real", "val/d_fake"):
            if name in values:
                error = values[f"{name}_std"] / math.sqrt(values["val/n"])
                near.append(self._near(values[name], error, self.tolerance))
        error = math.sqrt(0.25 / values.get("eval/n", math.inf))
        near += [self._near(x, error, self.nearest_tolerance) for x in _nearest(values).values()]
        return all(near)

    def _near(self, value: float, deviation: float, tolerance: float = 0.0) -> bool:
        """Whether a value lies around 1/2; NaN does not."""
        return abs(value - 0.5) <= tolerance + self.deviations * deviation

    def _sentence(self, values: Mapping[str, float], images: int) -> str:
        shown = [f"AUC {values['val/auc']:.3f} ± {values['val/auc_sd']:.3f}"]
        if "val/d_real" in values:
            shown.append(f"D(x) = {values['val/d_real']:.2f}")
            shown.append(f"D(G(z)) = {values['val/d_fake']:.2f}")
        shown += [f"{name} = {value:.2f}" for name, value in _nearest(values).items()]
        doubt = ", with no nearest-neighbour test to tell it from a dead discriminator"
        return (
            f"After {images:,} images the discriminator has been undecided on held-out data at "
            f"{self.streak} validations in a row ({', '.join(shown)})"
            f"{'' if _nearest(values) else doubt}{'; the training ends here' * self.stop}."
        )

    def state_dict(self) -> dict[str, Any]:
        """The streak."""
        return {"streak": self.streak}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with a streak."""
        self.streak = state_dict["streak"]


def _nearest(values: Mapping[str, float]) -> dict[str, float]:
    """The values of the nearest-neighbour test."""
    ends = ("_real", "_fake")
    return {k: x for k, x in values.items() if k.startswith("nn1/") and k.endswith(ends)}
