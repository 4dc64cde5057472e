"""Modules that torch.compile has wrapped: compiled in place, and named as if they were not."""

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

Value = TypeVar("Value")

WRAPPED = "_orig_mod"
"""The name that the wrapper has for what is in it."""


def in_place(value: Value) -> Value:
    """The module inside a wrapper of torch.compile, compiled as ``Module.compile`` does it.

    The wrapper would hide its class, and add to the names of its weights. Whatever else ``value``
    is, it stays as it is.
    """
    while isinstance(value, nn.Module) and WRAPPED in value._modules:
        wrapper: Any = value
        value = wrapper._modules[WRAPPED]
        inside: Any = value
        inside._compiled_call_impl = wrapper.dynamo_ctx(inside._call_impl)
        if hasattr(inside, "compiled_pass"):  # a discriminator, of which losses call another method
            inside.compiled_pass = wrapper.dynamo_ctx(inside.logits_and_features)
    return value


def plain_name(name: str) -> str:
    """The name that a weight has where nothing is compiled."""
    return name.replace(f"{WRAPPED}.", "")


def named_as_in(module: nn.Module, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The same weights by the names that a module loads them by, compiled inside or not."""
    names = {plain_name(name): name for name in nn.Module.state_dict(module)}
    plain = {plain_name(name): value for name, value in weights.items()}
    return {names.get(name, name): value for name, value in plain.items()}


class CompiledInPlace(nn.Module):
    """What a module derives from, first, whose checkpoints should know nothing of torch.compile."""

    def __setattr__(self, name: str, value: Tensor | nn.Module | str | None) -> None:
        """Takes a compiled module for what it is."""
        # Lightning notes the name of every hook that it calls: dozens a batch, which torch would
        # look for among parameters, buffers and modules.
        if isinstance(value, (Tensor, nn.Module)) or name not in self.__dict__:
            super().__setattr__(name, in_place(value))  # type: ignore[arg-type]  # anything
        else:
            self.__dict__[name] = value

    def state_dict(  # type: ignore[override]  # with all ways to call it
        self,
        *arguments: Any,  # noqa: ANN401 (nn.Module's)
        **options: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """The weights, by names without traces of torch.compile, which may be deep inside."""
        found: dict[str, Any] = super().state_dict(*arguments, **options)
        for name in [name for name in found if WRAPPED in name]:
            found[plain_name(name)] = found.pop(name)
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> object:
        """Loads weights, whether they or this module were compiled."""
        return super().load_state_dict(named_as_in(self, state_dict), strict, assign)
