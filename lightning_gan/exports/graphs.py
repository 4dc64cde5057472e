"""A generator as a graph that runs without this package, for any number of samples."""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError, said
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.training.latents import Prior

TRACED = 4
"""Samples that a graph is traced with."""
OPSET = 18
"""Of ONNX operators."""

Inputs = dict[str, Tensor]
"""The inputs of a graph, by name, in their order."""


class Sampler(nn.Module):
    """Samples of standard normal numbers, as :meth:`GAN.forward` makes them.

    Args:
        generator: The generator, in evaluation mode.
        prior: What latents are made of the numbers.
    """

    def __init__(self, generator: Generator, prior: Prior) -> None:
        super().__init__()
        self.generator, self.prior = generator, prior

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples in float32 of z (N, latent_dim), float32, and class indices (N,), int64."""
        if labels is None:
            labels = torch.zeros(z.shape[0], dtype=torch.long, device=z.device)
        weight = next(self.generator.parameters())
        samples: Tensor = self.generator(self.prior(z).to(weight.dtype), labels)
        return samples.float()


class Judge(nn.Module):
    """Logits of samples.

    Args:
        discriminator: The discriminator, in evaluation mode.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) in float32 of samples, float32, and class indices (N,), int64."""
        if labels is None:
            labels = torch.zeros(samples.shape[0], dtype=torch.long, device=samples.device)
        weight = next(self.discriminator.parameters())
        logits: Tensor = self.discriminator(samples.to(weight.dtype), labels)
        return logits.float()


def inputs_of(network: Generator | Discriminator) -> Inputs:
    """Some inputs of a network's graph; labels where it has classes."""
    if isinstance(network, Generator):
        inputs = {"z": torch.zeros(TRACED, network.latent_dim)}
    else:
        inputs = {"samples": torch.zeros(TRACED, *network.sample_shape)}
    if network.num_classes:
        inputs["labels"] = torch.zeros(TRACED, dtype=torch.long)
    return inputs


def write_torch(module: nn.Module, inputs: Inputs, path: Path) -> None:
    """Writes a program that ``torch.export.load`` reads.

    Raises:
        ConfigurationError: If the module cannot be a graph for any number of samples.
    """
    with _quiet(), _refusing(module):
        batch = torch.export.Dim("batch")
        dims = tuple({0: batch} for _ in inputs)
        program = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=dims)
        torch.export.save(program, path)


def write_onnx(module: nn.Module, inputs: Inputs, path: Path) -> None:
    """Writes an ONNX file.

    Raises:
        ConfigurationError: If the packages for it are missing, or the module cannot be a graph for
            any number of samples.
    """
    try:
        for package in ("onnx", "onnxscript"):  # which torch needs, and says less about
            importlib.import_module(package)
    except ImportError as error:
        raise ConfigurationError(
            f"ONNX needs packages that are not installed ({error.name}): pip install "
            "'lightning-gan[export]', or take another format."
        ) from error
    output = "samples" if isinstance(module, Sampler) else "logits"
    with _quiet(), _refusing(module):
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)


@contextlib.contextmanager
def _refusing(module: nn.Module) -> Iterator[None]:
    """Says in a sentence what cannot be a graph."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # of many kinds, whatever the network does
        (network,) = (part for part in module.children() if not isinstance(part, Prior))
        raise ConfigurationError(
            f"{type(network).__name__} cannot be a graph for any number of samples "
            f"({said(error)[:200]}): export it to safetensors."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what torch tells of its own progress while it traces."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
