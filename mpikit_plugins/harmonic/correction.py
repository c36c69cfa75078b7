"""The network that corrects a linear estimate, in the few directions that hold the signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit_plugins.harmonic.space import Parts, Space

AT_ONCE = 4096  # periods, a bound on memory
DEPTH = 3
TINY = 1e-30


class Correction(nn.Module):
    """A perceptron that says how far the signal is from its linear estimate.

    It sees a period in units of its own size, so that it is homogeneous: the linear estimate in the
    directions of the signals, all coefficients, and the magnitudes of the even parts, which are a sample of
    the noise of this very period, and their level. The last layer starts at zero: before training there is no
    correction.

    Parameters
    ----------
    space : Space
    width : int
        Units in each of the three hidden layers.
    """

    decode: Tensor
    encode: Tensor
    seen: Tensor
    seen_empty: Tensor
    weights: Tensor
    empty_weights: Tensor
    center: Tensor
    spread: Tensor
    sizes: Tensor
    empty_sizes: Tensor

    def __init__(self, space: Space, width: int) -> None:
        super().__init__()
        self.blind = space.blind
        values = {
            "decode": space.decode,
            "encode": space.encode,
            "seen": ~space.hidden,
            "seen_empty": ~space.hidden_empty,
            "weights": space.weights / space.weights.mean(),
            "empty_weights": space.empty_weights / space.weights.mean(),
            "center": space.center * np.sqrt(space.weights.mean()),
            "spread": space.spread * np.sqrt(space.weights.mean()),
            "sizes": space.size * np.sqrt(space.weights.mean()),
            "empty_sizes": space.empty_size * np.sqrt(space.weights.mean()),
        }
        for name, value in values.items():
            self.register_buffer(name, torch.from_numpy(np.array(value, np.float32)), persistent=False)
        coefficients, rank = space.decode.shape
        inputs = rank + coefficients * (2 if self.blind else 1) + len(space.empty_weights)
        inputs += bool(len(space.empty_weights))
        layers: list[nn.Module] = []
        for _ in range(DEPTH):
            layers += [nn.Linear(inputs, width), nn.GELU()]
            inputs = width
        last = nn.Linear(inputs, rank)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, signal: Tensor, empty: Tensor, group: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Correct the estimate of periods of which a group of lines is hidden.

        Parameters
        ----------
        signal, empty : shape (B, P), (B, E)
            See `Parts`.
        group : shape (B,)
            Which of the G groups is hidden.

        Returns
        -------
        linear, correction : shape (B, r)
            Linear estimate in the directions of the signals, and what to add.
        size : shape (B, 1)
            Root mean square of the period, of the hidden lines as they are predicted.
        """
        if self.blind:
            seen = self.seen[group]
            signal, empty = signal * seen, empty * self.seen_empty[group]
            linear = torch.einsum("bp,bpr->br", signal, self.encode[group])
            filled = signal + (1 - seen) * (linear @ self.decode.T)
        else:
            linear = signal @ self.encode[0]
            filled = signal
        size = (filled.square() @ self.weights + empty.square() @ self.empty_weights).sqrt()
        whole = size[:, None]
        size = whole.clamp_min(TINY)
        features = [(linear / size - self.center) / self.spread, torch.asinh(signal / size / self.sizes)]
        if self.blind:
            features.append(seen)
        if empty.shape[1]:
            noise = (empty / size / self.empty_sizes).abs()
            level = noise.square().mean(dim=1, keepdim=True)
            features += [torch.asinh(noise), torch.log(level + 1e-6)]
        moved: Tensor = self.layers(torch.cat(features, dim=1))
        return linear, moved * self.spread * whole, size

    def corrections(self, parts: Parts, group: int, device: str) -> NDArray[np.float64]:
        """Return the corrections (n, r) of periods (n, P)."""
        output = np.empty((len(parts.signal), self.decode.shape[1]))
        with torch.no_grad():
            for start in range(0, len(output), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                signal, empty = (
                    torch.from_numpy(values[part].astype(np.float32)).to(device)
                    for values in (parts.signal, parts.empty)
                )
                which = torch.full((len(signal),), group, device=device)
                output[part] = self(signal, empty, which)[1].cpu().numpy()
        return output

    def added(self, space: Space, parts: Parts, device: str) -> NDArray[np.float64]:
        """Return what to add to the linear estimate of whole periods, (n, P).

        Of lines that were hidden each group says only what it was asked for in training: the hidden ones,
        with the weight that is left once they are seen. Over the partitions the mean is taken.
        """
        if not space.blind:
            every: NDArray[np.float64] = self.corrections(parts, 0, device) @ space.decode.T
            return every
        total = np.zeros(parts.signal.shape)
        for group, hidden in enumerate(space.hidden):
            moved = self.corrections(parts, group, device) @ space.gain[group]
            total[:, hidden] += moved @ space.decode[hidden].T
        found: NDArray[np.float64] = total / space.hidden.sum(axis=0)
        return found

    def weights_state(self) -> dict[str, NDArray[Any]]:
        """Return the weights as a flat dict of arrays."""
        return {f"network.{name}": np.array(value.cpu().numpy()) for name, value in self.state_dict().items()}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], space: Space) -> Correction:
        """Take back what `weights_state` returned; KeyError or RuntimeError when it does not fit."""
        width = len(state["network.layers.0.bias"])
        network = cls(space, width)
        weights = {
            name.removeprefix("network."): torch.from_numpy(np.array(value))
            for name, value in state.items()
            if name.startswith("network.")
        }
        network.load_state_dict(weights)
        return network.eval()
