"""Batch norm over the batch of all processes."""

from torch import Tensor, nn

from lightning_gan.distributed import processes


class _SharedStatistics(nn.modules.batchnorm._BatchNorm):
    """Standardises by the batch of all processes in training; gradients reach each of them.

    Unlike `torch.nn.SyncBatchNorm` it runs on CPUs too, and can be differentiated twice. It takes
    as many samples on every process. In evaluation, and wherever statistics are not remembered, it
    is plain batch norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Standardised maps (N, C, ...)."""
        if not (self.training and self.track_running_stats and processes.is_distributed()):
            return super().forward(input)
        dims = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        wide = input if input.dtype.itemsize > 2 else input.float()
        mean = processes.mean(wide.mean(dims))
        centred = wide - mean.view(shape)
        variance = processes.mean(centred.square().mean(dims))
        self._remember(mean.detach(), variance.detach(), input.numel() // input.shape[1])
        output = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            output = output * self.weight.view(shape) + self.bias.view(shape)
        return output.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, numbers: int) -> None:
        """Moves the running statistics as batch norm does, the variance without its bias."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        total = numbers * processes.world_size()
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        unbiased = variance * (total / max(total - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class SharedBatchNorm1d(_SharedStatistics, nn.BatchNorm1d):
    """Batch norm of features (N, C) or (N, C, L) over all processes."""


class SharedBatchNorm2d(_SharedStatistics, nn.BatchNorm2d):
    """Batch norm of maps (N, C, H, W) over all processes."""


SHARED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
}


def share_batch_norm(network: nn.Module) -> None:
    """Makes every batch norm of ``network`` one over all processes, in place."""
    for module in network.modules():
        shared = SHARED.get(type(module))
        if shared is not None:
            module.__class__ = shared
