"""Who is winning: the logits, accuracies and gradients of both players."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.callbacks.base import GANCallback, is_dry_run, log_late, run_folder
from lightning_gan.callbacks.measurements import Measurements, TrainingReport, measurements
from lightning_gan.callbacks.scores import counted
from lightning_gan.distributed import processes
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import BalanceResult, DiscriminatorBalance, ValidationBalance
from lightning_gan.runs.scores import Scores
from lightning_gan.training.schedule import PLAYERS
from lightning_gan.training.step import StepOutput

MAX_TRAIN_IMAGES = 1000
"""Images of training that are judged beside the held-out ones."""


@dataclass(frozen=True)
class JudgedOutput(StepOutput):
    """What an update shows, with probabilities that only the batch of all processes tells.

    Args:
        real_probability: D(x) (N,) of this process's reals; None where each process can tell.
        fake_probability: D(G(z)) (N,), likewise.
    """

    real_probability: Tensor | None = None
    fake_probability: Tensor | None = None


class Balance(GANCallback):
    """Logs the means and spreads of D(x) and D(G(z)), accuracies, losses and gradient norms.

    It reads the forward passes of training and adds none; nothing is computed between two reports
    beyond keeping the logits, but probabilities that are relative to the batch of all processes,
    where there are several. Probabilities are logged only where the objective has them, and
    ``gan/r_t``, the mean sign of the reals' logits, only where a sign means something; logits
    always, as ``gan/score_real`` and ``gan/score_fake``. Norms of gradients are those before
    clipping.

    In validation and testing the same numbers come from held-out reals and fresh fakes, under
    ``val/`` and ``test/``, with what only these can tell (see
    :class:`~lightning_gan.metrics.ValidationBalance`): ``auc``, ``auc_sd``, ``jsd_lower_bound``,
    and ``d_gap_train_val`` from as many images of training as were held out, but at most 1,000,
    where the data module hands out some of its images. How the scores of a validation are spread
    is a line of ``scores.jsonl`` in the folder of the run: counts of reals and fakes in bins.

    Args:
        every: Batches between two reports; the Trainer's ``log_every_n_steps`` where None.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self._outputs: list[StepOutput] = []
        self._val_outputs: list[StepOutput] = []
        self._clock = (0.0, 0)
        """When images began to be counted, as if validations had taken no time, and how many."""
        self._paused = 0.0
        self._latest = Measurements()
        self._before: Measurements | None = None
        """What was the latest in the checkpoint that a run goes on from."""

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Starts the clock; a run that goes on knows what it knew."""
        self._outputs = [_to(output, gan.device) for output in self._outputs]
        self._latest = measurements(trainer)
        if self._before is not None:
            norms = self._before.gradient_norms.items()
            self._latest.gradient_norms = {who: norm.to(gan.device) for who, norm in norms}
            self._latest.training = self._before.training
            self._before = None
        self._clock = (time.perf_counter(), gan.progress.images)

    def on_before_optimizer_step(self, trainer: Trainer, gan: GAN, optimizer: Optimizer) -> None:
        """Measures the norm of a gradient, where a report follows or where it is clipped next."""
        player = gan.player_of(optimizer)
        if gan.clip[player] is None and not self._is_due(trainer, gan.progress.batches + 1):
            return
        # Lightning asks callbacks before it asks the model, which then clips.
        norms = [p.grad.norm() for p in gan.weights_of(player) if p.grad is not None]
        measurements(trainer).gradient_norms[player] = torch.stack(norms).norm().detach()

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Keeps the outputs of the batch, and reports where it is time."""
        self._outputs += [_judged(gan, output) for output in gan.outputs]
        if not self._is_due(trainer, gan.progress.batches) or not self._outputs:
            return
        report = self._report(trainer, gan)
        measurements(trainer).training = report
        self._outputs = []
        log_late(trainer, gan, report.logged())

    def on_validation_start(self, trainer: Trainer, gan: GAN) -> None:
        """Stops the clock, by which images a second are those of training."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, gan: GAN) -> None:
        """Lets it go on."""
        began, images = self._clock
        self._clock = (began + time.perf_counter() - self._paused, images)

    def on_validation_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Keeps the logits of a held-out batch."""
        self._val_outputs += gan.outputs

    def on_test_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Keeps them, too."""
        self._val_outputs += gan.outputs

    def on_validation_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Reports on held-out data."""
        outputs, self._val_outputs = self._val_outputs, []
        if trainer.sanity_checking:
            return
        # A process that was given no held-out batch has to take part all the same.
        none = torch.zeros(0, device=gan.device)
        real = torch.cat([none, *(o.real_logits for o in outputs if o.real_logits is not None)])
        fake = torch.cat([none, *(output.fake_logits for output in outputs)])
        result = _val_balance(trainer, gan, real, fake)
        if not result.n:
            return
        self._write(trainer, counted(gan, real, fake))
        measurements(trainer).val = result
        logged = result.logged("test" if trainer.testing else "val")
        gan.log_dict(logged, sync_dist=True)  # equal everywhere; Lightning warns without it

    def _write(self, trainer: Trainer, scores: Scores | None) -> None:
        """Appends the histogram to those of the run, if it is one that writes."""
        folder = run_folder(trainer)
        writes = trainer.is_global_zero and not trainer.testing and trainer.loggers
        if scores is not None and writes and not is_dry_run(trainer) and folder.is_dir():
            scores.append(folder)

    def state_dict(self) -> dict[str, Any]:
        """What no report has told yet, of all processes, so that a resumed run tells it.

        Besides, the gradients' norms, which are not measured with every batch.
        """
        own = [_to(output, torch.device("cpu")) for output in self._outputs]
        report = self._latest.training
        return {
            "outputs": [vars(o) for each in processes.gather_objects(own) for o in each],
            "gradient_norms": {who: x.cpu() for who, x in self._latest.gradient_norms.items()},
            "reported_norms": None if report is None else report.gradient_norm,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it up; what is to be told, on one process for all.

        Nothing is steered by it, and half precision has gradients that are infinite now and then.
        """
        norms, reported = state_dict.get("gradient_norms", {}), state_dict.get("reported_norms")
        report = None if reported is None else TrainingReport.of_norms(dict(reported))
        norms = {who: torch.as_tensor(norm) for who, norm in norms.items()}
        self._before = Measurements(gradient_norms=norms, training=report)
        if processes.rank() == 0:
            outputs = (JudgedOutput(**output) for output in state_dict.get("outputs", []))
            self._outputs = [_to(output, torch.device("cpu")) for output in outputs]

    def _is_due(self, trainer: Trainer, batches: int) -> bool:
        every = self.every or trainer.log_every_n_steps  # type: ignore[attr-defined]
        return bool(every) and batches % every == 0  # at 0 nothing is logged

    def _report(self, trainer: Trainer, gan: GAN) -> TrainingReport:
        # Pieces of a batch may differ by a sample, and count by what they have.
        counts = [len(output.fake_logits) for output in self._outputs]
        losses = _sums([{output.player: output.loss} for output in self._outputs], counts)
        terms = _sums([output.terms for output in self._outputs], counts)
        loss, penalty, norms, states = _read(
            {name: total for name, (total, _) in losses.items()},
            {name: total for name, (total, _) in terms.items()},
            {str(player): norm for player, norm in measurements(trainer).gradient_norms.items()},
            _states(gan),
        )
        rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        return TrainingReport(
            balance=_balance(gan, [o for o in self._outputs if o.real_logits is not None]),
            loss=_means({name: (loss[name], count) for name, (_, count) in losses.items()}),
            penalty=_means({name: (penalty[name], count) for name, (_, count) in terms.items()}),
            gradient_norm=norms,
            learning_rate=dict(zip(PLAYERS, rates, strict=True)),
            progress=self._progress(gan),
            state=states,
        )

    def _progress(self, gan: GAN) -> dict[str, float]:
        now, images = time.perf_counter(), gan.progress.images
        before, images_before = self._clock
        self._clock = (now, images)
        return {
            "images": images,
            "discriminator_updates": gan.progress.discriminator_updates,
            "generator_updates": gan.progress.generator_updates,
            "images_per_second": (images - images_before) / (now - before),
        }


def _sums(
    outputs: Sequence[Mapping[str, Tensor]], counts: Sequence[int]
) -> dict[str, tuple[Tensor, int]]:
    """By name, the sum of all values, each times its samples, and the number of these."""
    found: dict[str, list[tuple[Tensor, int]]] = {}
    for output, count in zip(outputs, counts, strict=True):
        for name, value in output.items():
            found.setdefault(name, []).append((value * count, count))
    return {
        name: (torch.stack([value for value, _ in each]).sum(), sum(count for _, count in each))
        for name, each in found.items()
    }


def _read(*groups: Mapping[str, Tensor | float]) -> list[dict[str, float]]:
    """Groups of numbers, those on the device in one transfer for all, since each waits for it."""
    tensors = [x for group in groups for x in group.values() if isinstance(x, Tensor)]
    widest = torch.float32 if any(x.device.type == "mps" for x in tensors) else torch.float64
    found = iter(torch.stack([x.detach().to(widest) for x in tensors]).tolist() if tensors else [])
    return [
        {name: next(found) if isinstance(x, Tensor) else float(x) for name, x in group.items()}
        for group in groups
    ]


def _means(own: Mapping[str, tuple[float, int]]) -> dict[str, float]:
    """The mean of each value by name, of sums and counts, over all processes that have it."""
    everywhere = processes.gather_objects(dict(own))
    found = {}
    for name in dict.fromkeys(name for each in everywhere for name in each):
        totals, counts = zip(*(each[name] for each in everywhere if name in each), strict=True)
        found[name] = sum(totals) / sum(counts)
    return found


def _states(gan: GAN) -> dict[str, Tensor | float]:
    """What objective, regularizers and augmentation adapt, such as BEGAN's k; equal everywhere."""
    parts = (gan.objective, gan.regularizers, gan.augmentation)
    adaptive = nn.ModuleList(part for part in parts if part is not None)
    return {
        f"{type(part).__name__}.{name}": getattr(part, name)
        for part in adaptive.modules()  # inside wrappers and lists too
        for name in getattr(part, "logged", ())
    }


def _balance(gan: GAN, outputs: list[StepOutput]) -> BalanceResult | None:
    """The balance over several updates of the discriminator, on all processes."""
    # After a resume rank zero alone may have some, which it keeps for all.
    if not processes.any_true([bool(outputs)], gan.device)[0]:
        return None
    metric = DiscriminatorBalance().to(gan.device)
    pairs = [(o.real_logits, o.fake_logits) for o in outputs if o.real_logits is not None]
    known = [_known(output) for output in outputs if output.real_logits is not None]
    if pairs and not gan.objective.relative:
        reals, fakes = zip(*pairs, strict=True)
        pairs, known = [(torch.cat(reals), torch.cat(fakes))], [None]
    # One update after the other where logits mean something beside those of their batch alone.
    for (real, fake), told in zip(pairs, known, strict=True):
        metric.update(real, fake, *(told or gan.objective.probability(real, fake) or ()))
    result: BalanceResult = metric.compute()
    return _meant(gan, result if gan.objective.has_sign else result._replace(r_t=None))


def _known(output: StepOutput) -> tuple[Tensor, Tensor] | None:
    """The probabilities that came with an output."""
    if not isinstance(output, JudgedOutput):
        return None
    real, fake = output.real_probability, output.fake_probability
    return None if real is None or fake is None else (real, fake)


def _judged(gan: GAN, output: StepOutput) -> StepOutput:
    """The output with probabilities beside the logits of all processes, where they tell them."""
    real, fake, objective = output.real_logits, output.fake_logits, gan.objective
    across = objective.relative and objective.looks_across and processes.is_distributed()
    if real is None or not across or objective.probability(real, fake) is None:
        return output
    # In one exchange. The loss has looked across as many rows of each process, too.
    everyone = processes.gather(torch.cat([real, fake])).view(-1, len(real) + len(fake))
    reals, fakes = torch.split(everyone, [len(real), len(fake)], dim=1)
    found = objective.probability(reals.flatten(), fakes.flatten())
    assert found is not None  # as it was not alone
    return JudgedOutput(
        **vars(output),
        real_probability=processes.own_rows(found[0]),
        fake_probability=processes.own_rows(found[1]),
    )


def _meant(gan: GAN, result: BalanceResult) -> BalanceResult:
    """Without accuracies where neither a logit's sign nor a probability tells reals from fakes."""
    if gan.objective.has_sign or result.real_probability is not None:
        return result
    return result._replace(acc_real=None, acc_fake=None)


def _val_balance(trainer: Trainer, gan: GAN, real: Tensor, fake: Tensor) -> BalanceResult:
    """The balance on held-out data, on all processes, some of which may have seen nothing."""
    count = sum(processes.gathered_ints(len(real), gan.device)) * gan.discriminator.pack
    objective = gan.objective
    metric = ValidationBalance(objective.probability, single=not objective.relative).to(gan.device)
    metric.update(real, fake, _train_logits(trainer, gan, min(count, MAX_TRAIN_IMAGES)))
    return _meant(gan, metric.compute())


def _train_logits(trainer: Trainer, gan: GAN, count: int) -> Tensor | None:
    """Logits of so many images of training, over all processes, judged as held-out ones are."""
    some = getattr(getattr(trainer, "datamodule", None), "some", None)
    if some is None or not count:
        return None
    # Autocast and types as in a validation, or the gap would be one of rounding.
    precision = trainer.precision_plugin
    with precision.val_step_context():
        batches = enumerate(map(precision.convert_input, some("train", count)))
        return torch.cat([gan.validation_logits(batch, number) for number, batch in batches])


def _to(output: StepOutput, device: torch.device) -> StepOutput:
    """The same output on a device."""
    found: dict[str, Any] = {
        name: value.to(device) for name, value in vars(output).items() if isinstance(value, Tensor)
    }
    return replace(output, **found, terms={name: x.to(device) for name, x in output.terms.items()})
