"""Layers that compute what torch's do, for less.

* ``LeakyReLU``: torch takes its slope for a function of x when it differentiates a gradient (the penalties of a critic)
  and carries zeros back through all layers before it. The slope is constant almost everywhere, so nothing is carried.
* ``Conv2d`` from few channels and ``ConvTranspose2d`` to few: on a CPU torch's kernels are several times slower there
  than one matrix product of patches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 3
"""Channels for which patches are faster."""


class _Leaky(torch.autograd.Function):
    """max(x, slope·x) for a slope in (0, 1), whose gradient is linear in the gradient that comes in and in nothing else."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, slope: float) -> Tensor:
        return F.leaky_relu(x, slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.slope = inputs[1]
        ctx.save_for_backward(output)  # has the sign of x, and the next layer keeps it anyway

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.leaky_relu_backward(gradient, y.detach(), ctx.slope, True), None


class LeakyReLU(nn.LeakyReLU):
    """As torch's, with a slope above zero."""

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.requires_grad):
            return super().forward(x)
        found: Tensor = _Leaky.apply(x, self.negative_slope)  # type: ignore[no-untyped-call]
        return found


def _by_patches(channels: int, x: Tensor) -> bool:
    return channels <= FEW and x.device.type == "cpu" and not torch.compiler.is_exporting()


class Conv2d(nn.Conv2d):
    """As torch's, square and without groups."""

    def forward(self, x: Tensor) -> Tensor:
        if not _by_patches(self.in_channels, x):
            return super().forward(x)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, int(self.padding[0])
        found = self.weight.flatten(1) @ F.unfold(x, kernel, padding=padding, stride=stride)
        if self.bias is not None:
            found = found + self.bias[:, None]
        side = (x.shape[2] + 2 * padding - kernel) // stride + 1
        return found.unflatten(2, (side, side))


class ConvTranspose2d(nn.ConvTranspose2d):
    """As torch's, square and without groups or output padding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _by_patches(self.out_channels, x):
            return super().forward(x, output_size)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, int(self.padding[0])
        side = (x.shape[2] - 1) * stride - 2 * padding + kernel
        patches = self.weight.flatten(1).T @ x.flatten(2)
        found = F.fold(patches, (side, side), kernel, padding=padding, stride=stride)
        return found if self.bias is None else found + self.bias[:, None, None]
