"""What a network cannot take is refused with the shapes expected and given, by every network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_networks import network_of
from tiny import picture_gan
from torch import Tensor
from torch.nn.functional import one_hot
from zoo import own

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import Discriminator, Generator, MLPDiscriminator, MLPGenerator, inputs
from lightning_gan.training.latents import CodePrior


def sized(base: type[Any]) -> list[Any]:
    return [kind for kind in own(base) if "image_size" in inspect.signature(kind).parameters]


def classed(base: type[Any]) -> list[Any]:
    """Those that may have classes, which autoencoders have not."""
    return [kind for kind in sized(base) if not kind.__name__.endswith("AutoencoderDiscriminator")]


def small(kind: Any, **options: Any) -> Any:
    return network_of(kind, 1, 8, **options).eval()


LABELS = torch.tensor([0, 1, 2, 1])
WRONG_LABELS = {
    "too few": (
        LABELS[:3],
        r"class indices \(4,\) from 0 to 2, and was given \(3,\): give one for",
    ),
    "a column": (LABELS[:, None], r"was given \(4, 1\): give one for each row"),
    "one-hot": (one_hot(LABELS, 3), r"was given \(4, 3\): call .argmax\(1\)"),
    "floats": (LABELS.float(), r"was given float32: call .long\(\)"),
    "flags": (LABELS > 0, "was given bool"),
    "a list": (LABELS.tolist(), "was given list: give a tensor"),
}


@pytest.mark.parametrize("kind", sized(Generator))
def test_latents_of_another_shape_or_type_are_refused(kind: Any) -> None:
    generator = small(kind)
    size = generator.latent_dim
    wrong: dict[str, tuple[Any, str]] = {
        "columns": (torch.randn(4, size + 1), rf"was given \(4, {size + 1}\): let gan.sample"),
        "one alone": (torch.randn(size), rf"was given \({size},\)"),
        "maps": (torch.randn(4, size, 1, 1), rf"was given \(4, {size}, 1, 1\)"),
        "doubles": (torch.randn(4, size).double(), "of float32, and was given float64: call"),
        "a list": ([[0.0] * size], "was given list: give a tensor"),
    }
    for z, words in wrong.values():
        for call in (generator, lambda z: generator.generate(z, torch.zeros(4).long())):
            with pytest.raises(ConfigurationError, match=f"{kind.__name__} takes latents.*{words}"):
                call(z)


@pytest.mark.parametrize("kind", sized(Discriminator))
def test_samples_of_another_shape_or_type_are_refused(kind: Any) -> None:
    discriminator, images = small(kind), torch.rand(4, 1, 8, 8)
    wrong: dict[str, tuple[Any, str]] = {
        "channels": (images.expand(4, 3, 8, 8), r"\(N, 1, 8, 8\), and was given \(4, 3, 8, 8"),
        "size": (torch.rand(4, 1, 16, 16), r"was given \(4, 1, 16, 16\): bring them"),
        "flat": (images.flatten(1), r"was given \(4, 64\)"),
        "one alone": (images[0], r"was given \(1, 8, 8\): call .unsqueeze\(0\)"),
        "grey levels": (images.byte(), r"was given uint8: give images.to\(torch.float32\) / 127.5"),
    }
    for samples, words in wrong.values():
        with pytest.raises(ConfigurationError, match=f"{kind.__name__} takes images.*{words}"):
            discriminator(samples)
    assert discriminator(images).shape == discriminator(images, torch.zeros(4).long()).shape


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_labels_that_are_no_class_indices_are_refused(name: str) -> None:
    labels, words = WRONG_LABELS[name]
    generator, discriminator = (
        small(kind, num_classes=3) for kind in (MLPGenerator, MLPDiscriminator)
    )
    calls: list[Callable[[Any], Tensor]] = [
        lambda labels: generator(torch.randn(4, generator.latent_dim), labels),
        lambda labels: discriminator(torch.rand(4, 1, 8, 8), labels),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=words):
            call(labels)
        assert len(call(LABELS.int())) == 4
    with pytest.raises(ConfigurationError, match="knows 3 classes: give it"):
        discriminator(torch.rand(4, 1, 8, 8))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", classed(Generator) + classed(Discriminator))
def test_labels_that_name_no_class_are_refused(kind: Any, training: bool) -> None:
    network = small(kind, num_classes=3).train(training)
    size = (network.latent_dim,) if isinstance(network, Generator) else (1, 8, 8)
    for labels, worst in ((LABELS + 1, 3), (LABELS - 1, -1)):
        with pytest.raises(
            ConfigurationError, match=rf"\(4,\) from 0 to 2, and was given {worst}: leave out"
        ) as refusal:
            network(torch.zeros(4, *size), labels)
        assert refusal.value.__suppress_context__


def test_a_failure_of_another_kind_stays_what_it_is() -> None:
    generator = small(MLPGenerator, num_classes=3)
    generator.register_forward_hook(lambda *_: [][0])
    with pytest.raises(IndexError):
        generator(torch.zeros(4, generator.latent_dim), LABELS)


def test_a_generator_with_classes_is_mapped_over_its_latents() -> None:
    generator = small(MLPGenerator, num_classes=3)
    z = torch.randn(4, generator.latent_dim)
    mapped = torch.func.vmap(lambda z, label: generator(z[None], label[None])[0])(z, LABELS)
    torch.testing.assert_close(mapped, generator(z, LABELS))


def test_a_model_refuses_latents_too_where_the_prior_comes_first() -> None:
    gan = picture_gan()
    size = gan.generator.latent_dim
    with pytest.raises(
        ConfigurationError, match=rf"\(N, {size}\), and was given \(4, {size - 1}\)"
    ):
        gan(torch.randn(4, size - 1))
    for z in (torch.randn(4, 3), torch.randn(12)):
        with pytest.raises(
            ConfigurationError, match=r"CodePrior makes codes.* 12 or more in a row"
        ):
            CodePrior()(z)


def test_autocast_mixes_types_and_labels_elsewhere_are_not_waited_for() -> None:
    generator = small(MLPGenerator, num_classes=3)
    z = torch.randn(4, generator.latent_dim)
    with torch.autocast("cpu", torch.bfloat16):
        assert len(generator(z.bfloat16(), LABELS)) == 4
    assert inputs.checked_labels(generator, 3, (LABELS + 1).to("meta"), z).device.type == "meta"
