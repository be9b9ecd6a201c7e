"""Convolutions by patches against torch's own: values, gradients and gradients of gradients."""

import runpy

import pytest
import torch
from torch import nn

from nemgan import layers
from nemgan.layers import Conv2d, ConvTranspose2d


@pytest.mark.parametrize("constants", [(4, 2, 1), (5, 1, 2), (4, 2, 0), (3, 2, 1)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
@pytest.mark.parametrize("few", [1, 3, 4])
def test_the_same_numbers_as_torchs(kind, few, bias, constants):
    torch.manual_seed(0)
    into, out = (few, 6) if kind is Conv2d else (6, few)
    mine = kind(into, out, *constants, bias=bias).double()
    theirs = getattr(nn, kind.__name__)(into, out, *constants, bias=bias).double()
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(3, into, 9, 9, dtype=torch.float64, requires_grad=True)
    found = []
    for layer in (mine, theirs):
        y = layer(x)
        (slope,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        found.append([y, slope, *torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()])])
    for a, b in zip(*found, strict=True):
        assert a.shape == b.shape and torch.allclose(a, b)


def test_an_image_without_gradient_goes_torchs_way():
    layer = Conv2d(1, 4, 4, 2, 1)
    x = torch.rand(2, 1, 8, 8)
    assert "Convolution" in layer(x).grad_fn.name() and "Convolution" not in layer(x.requires_grad_()).grad_fn.name()


def test_torch_before_2_7_can_train_too(monkeypatch):
    """It has no is_exporting."""
    monkeypatch.delattr(torch.compiler, "is_exporting")
    layer = runpy.run_path(layers.__file__)["ConvTranspose2d"](6, 1, 4, 2, 1)
    layer(torch.randn(2, 6, 5, 5)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
