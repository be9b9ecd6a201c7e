"""Convolutions that compute what torch's do, for less time where there are few channels on one side; batch statistics.

On a CPU, torch's kernels for one to three channels are several times slower than one matrix product of patches: the
gradient of a convolution for an image, and the transposed convolution that ends in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

FEW = 3
"""Channels for which patches are faster."""
STATISTICS = 40
"""Batches that the statistics of an average's batch norms are taken from."""


_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # the first came with torch 2.7


def _by_patches(channels: int, x: Tensor) -> bool:
    return channels <= FEW and x.device.type == "cpu" and not _exporting()


class Conv2d(nn.Conv2d):
    """As torch's, square and without groups or dilation; by patches where the image itself gets a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.requires_grad and _by_patches(self.in_channels, x)):
            return super().forward(x)
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        found = self.weight.flatten(1) @ F.unfold(x, kernel, padding=padding, stride=stride)
        if self.bias is not None:
            found = found + self.bias[:, None]
        side = (x.shape[2] + 2 * padding - kernel) // stride + 1
        return found.view(len(x), self.out_channels, side, side)


class ConvTranspose2d(nn.ConvTranspose2d):
    """As torch's, square and without groups, dilation or output padding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _by_patches(self.out_channels, x):
            return super().forward(x, output_size)
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        side = (x.shape[2] - 1) * stride - 2 * padding + kernel
        patches = self.weight.flatten(1).T @ x.flatten(2)
        found = F.fold(patches, (side, side), kernel, padding=padding, stride=stride)
        return found if self.bias is None else found + self.bias[:, None, None]


@contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[None]:
    """In it, the statistics of the batch norms of ``network`` are taken anew: their mean over the batches it is given.

    An average of weights has other activations than the weights had whose running statistics it was left.
    """
    norms = {module: module.momentum for module in network.modules() if isinstance(module, _BatchNorm)}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean over all batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in norms.items():
            norm.momentum = momentum
            norm.eval()
