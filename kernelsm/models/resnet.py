"""ResNet-9: the small residual network that is usual for CIFAR."""

from __future__ import annotations

import torch
from torch import nn

from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_counts


class ConvolutionBlock(nn.Module):
    """3 x 3 convolution, BatchNorm, ReLU and, if `halve`, a pooling to half the image size."""

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.resnet.ConvolutionBlock"

    def __init__(self, channels_in: int, channels_out: int, *, halve: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.pool = nn.MaxPool2d(2) if halve else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (n, in, h, w) to (n, out, h, w), or to half the height and width."""
        return self.pool(torch.relu(self.norm(self.convolution(x))))  # type: ignore[no-any-return]


class ResNet9(nn.Module):
    """Eight 3 x 3 convolutions, two pairs of them residual, and a linear readout of the largest activations.

    Use it in eval mode: BatchNorm then applies what it learned, and a sample's logits depend on that sample alone.

    Parameters
    ----------
    channels : int
        Channels of an image, 1 for grey.
    classes : int
        C.
    width : int
        Channels after the first convolution; the last has eight times as many. 64 is usual for CIFAR (6.6 million
        parameters), 8 does for small grey images (0.1 million).
    """

    hashed_as = "kernelsm.models.resnet.ResNet9"

    def __init__(self, channels: int = 3, classes: int = 10, *, width: int = 64) -> None:
        check_counts(channels=channels, classes=classes, width=width)
        super().__init__()
        self.stem = ConvolutionBlock(channels, width)
        self.widen_2 = ConvolutionBlock(width, 2 * width, halve=True)
        self.residual_2 = nn.Sequential(*(ConvolutionBlock(2 * width, 2 * width) for _ in range(2)))
        self.widen_4 = ConvolutionBlock(2 * width, 4 * width, halve=True)
        self.widen_8 = ConvolutionBlock(4 * width, 8 * width, halve=True)
        self.residual_8 = nn.Sequential(*(ConvolutionBlock(8 * width, 8 * width) for _ in range(2)))
        self.readout = nn.Linear(8 * width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, channels, h, w), h and w 8 or more, to logits (n, C)."""
        x = self.widen_2(self.stem(images))
        x = x + self.residual_2(x)
        x = self.widen_8(self.widen_4(x))
        x = x + self.residual_8(x)
        return self.readout(x.amax(dim=(2, 3)))  # type: ignore[no-any-return]


def resnet9(channels: int = 3, classes: int = 10, *, width: int = 64, seed: int = 0) -> ResNet9:
    """Return a freshly initialised `ResNet9` in eval mode; the arguments are its own."""
    with seeded(seed):
        model = ResNet9(channels, classes, width=width)
    return model.eval()
