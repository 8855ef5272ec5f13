"""The network: needed where it is trained, and wherever it is used."""

from torch import nn

DIGITS = 10


def network():
    """Return an untrained convolutional network for images of 8 by 8 pixels, a digit each."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 32 maps of 4 by 4 remain
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, DIGITS),
    )
