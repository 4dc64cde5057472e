"""Adam with the defaults that GANs want, and steps of optimizers that gradients pass through."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import Curve


class GANAdam(torch.optim.Adam):
    """Adam as DCGAN uses it (Radford et al. 2016): a lower rate and less momentum than usual.

    A class rather than a call with keywords, so that a configuration file can name it and change
    one value only.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the denominator.
        weight_decay: Factor of the L2 penalty.
        lr_curve: Factor of this player's rate as a function of the images seen; the model's
            ``learning_rate`` is one of both players' rates.
        beta2_curve: The second of the decays as a function of the images seen, instead of the one
            in ``betas`` (as R3GAN's, Huang et al. 2024).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        lr_curve: Curve | None = None,
        beta2_curve: Curve | None = None,
    ) -> None:
        # Several weights a call, on a CPU too: the same bits in less time than one after the other.
        options: dict[str, Any] = {"eps": eps, "weight_decay": weight_decay, "foreach": True}
        super().__init__(params, lr=lr, betas=betas, **options)
        # Among the defaults, by which an optimizer is described, but in no group, which is saved.
        self.defaults |= {"lr_curve": lr_curve, "beta2_curve": beta2_curve}
        self.laziness = 1.0
        """Power of the decays, for penalties that are not due at every update."""


CAPTURE_CHECKS = ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check")
"""What torch calls the look, before each step, for a GPU that records what it does."""


def skip_capture_check(optimizer: Optimizer) -> None:
    """Spares an optimizer on a CPU the look for GPUs before each step.

    Lightning has torch ask the driver each time (``PYTORCH_NVML_BASED_CUDA_CHECK``), which takes
    longer than small networks do.
    """
    weights = (weight for group in optimizer.param_groups for weight in group["params"])
    if all(weight.device.type == "cpu" for weight in weights):
        for name in CAPTURE_CHECKS:
            setattr(optimizer, name, lambda: None)


def drop_gradients(optimizer: Optimizer) -> None:
    """Forgets the gradients of the weights that an optimizer moves.

    As ``zero_grad``, without its note for the profiler, which takes longer than it does; one that
    a class of optimizers has of its own is called.
    """
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        optimizer.zero_grad()
        return
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None


@contextmanager
def frozen(optimizer: Optimizer) -> Iterator[None]:
    """The weights that an optimizer moves get no gradient meanwhile."""
    groups = optimizer.param_groups
    weights = [weight for group in groups for weight in group["params"] if weight.requires_grad]
    for weight in weights:
        weight.requires_grad = False
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad = True


def follow_curves(optimizer: Optimizer, factor: Curve | None, images: int) -> None:
    """Sets an optimizer to what curves say after so many images; without any it stays as it is.

    Args:
        optimizer: Of one player, with ``initial_lr`` in its groups.
        factor: Of both players' rates.
        images: Images seen.
    """
    both: tuple[Curve | None, ...] = (factor, optimizer.defaults.get("lr_curve"))
    curves = [curve for curve in both if curve is not None]
    beta2: Curve | None = optimizer.defaults.get("beta2_curve")
    for group in optimizer.param_groups:
        if curves:
            group["lr"] = group["initial_lr"]
        for curve in curves:
            group["lr"] *= curve(images)
        if beta2 is not None and isinstance(optimizer, GANAdam):
            group["betas"] = (group["betas"][0], beta2(images) ** optimizer.laziness)


def correct_for_laziness(optimizer: torch.optim.Optimizer, every: int) -> None:
    r"""Adapts Adam to a penalty that is due at every k-th update only.

    With c = k / (k + 1) the rate becomes c times, and each decay is raised to the power c (Karras
    et al. 2020, appendix B); other optimizers stay as they are.

    Args:
        optimizer: The optimizer, before its first step.
        every: k; 1 changes nothing.
    """
    if every == 1:
        return
    share = every / (every + 1)
    for group in optimizer.param_groups:
        if "betas" in group:
            group["lr"] *= share
            group["betas"] = tuple(beta**share for beta in group["betas"])
    if isinstance(optimizer, GANAdam):
        optimizer.laziness = share


Weights = dict[str, Tensor]
Step = Callable[[Weights, Sequence[Tensor]], Weights]


def step_after(optimizer: Optimizer, parameters: Weights) -> Step:
    """What the optimizer would do next, again and again, from its present state.

    Args:
        optimizer: Adam without decay, or SGD without momentum; it minimises and is not changed.
        parameters: Its parameters by name; those that it does not move rest.

    Returns:
        A function from weights and gradients to new weights, to be called once for each step.

    Raises:
        ConfigurationError: If the optimizer is of another kind.
    """
    groups = {p: group for group in optimizer.param_groups for p in group["params"]}
    plain = not any(
        group.get(option)
        for group in optimizer.param_groups
        for option in ("weight_decay", "momentum", "amsgrad", "maximize")
    )
    if not plain or not isinstance(optimizer, (Adam, SGD)):
        raise ConfigurationError(
            "Unrolled can foresee Adam without weight decay and SGD without momentum, but not "
            f"{type(optimizer).__name__} as it is set: take GANAdam for the discriminator."
        )
    rules: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    for name, parameter in parameters.items():
        group = groups.get(parameter)
        if group is None:
            rules[name] = lambda weight, gradient: weight
        elif isinstance(optimizer, Adam):
            rules[name] = _AdamAhead(group, optimizer.state.get(parameter, {}))
        else:
            rules[name] = _descent(group["lr"])

    def step(weights: Weights, gradients: Sequence[Tensor]) -> Weights:
        return {
            name: rules[name](weight, gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }

    return step


def _descent(rate: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda weight, gradient: weight - rate * gradient


class _AdamAhead:
    """Adam's steps for one weight (Kingma & Ba 2015, Algorithm 1), out of place."""

    def __init__(self, group: dict[str, Any], state: dict[str, Any]) -> None:
        self.rate, (self.beta1, self.beta2), self.eps = group["lr"], group["betas"], group["eps"]
        self.count = int(state.get("step", 0))
        self.first: Tensor | float = state["exp_avg"].detach() if state else 0.0
        self.second: Tensor | float = state["exp_avg_sq"].detach() if state else 0.0

    def __call__(self, weight: Tensor, gradient: Tensor) -> Tensor:
        self.count += 1
        self.first = self.beta1 * self.first + (1 - self.beta1) * gradient
        self.second = self.beta2 * self.second + (1 - self.beta2) * gradient.square()
        mean = self.first / (1 - self.beta1**self.count)
        square = self.second / (1 - self.beta2**self.count)
        # The root of zero has no slope; what is added is far below eps.
        step: Tensor = self.rate * mean / (torch.sqrt(square + 1e-30) + self.eps)
        return weight - step
