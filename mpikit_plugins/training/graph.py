"""A training step recorded once as a CUDA graph, and replayed: nothing is launched from Python any more."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mpikit import Event, Warned

WARM_UP = 3  # steps before the recording, in which libraries choose their kernels and allocate


class RecordedStep:
    """Replays a step; see "CUDA graphs" in the notes of the PyTorch documentation.

    The step may read nothing from the host that changes, and must not wait for the device. The first steps
    are done as they are, on a stream of their own. If the recording fails, all others are too.

    Parameters
    ----------
    step : callable
        Takes the indices of a batch, on the device.
    tell : callable
        Takes a warning when the step cannot be recorded.
    """

    def __init__(self, step: Callable[[Tensor], None], tell: Callable[[Event], None]) -> None:
        self._step, self._tell = step, tell
        self._done = 0
        self._index: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None
        self._failed = False

    def __call__(self, index: Tensor) -> None:
        """Do one step."""
        if self._index is None:
            self._index = index.clone()
        self._index.copy_(index)  # the recorded step reads it from there
        if self._done < WARM_UP:
            self._aside()
        elif self._graph is None and not self._failed:
            self._record()
        if self._graph is not None:
            self._graph.replay()
        elif self._done >= WARM_UP:
            self._step(self._index)
        self._done += 1

    def _aside(self) -> None:
        assert self._index is not None  # noqa: S101
        if self._stream is None:  # one for all, so that memory that a step frees is free for the next
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(self._index)
        torch.cuda.current_stream().wait_stream(stream)

    def _record(self) -> None:
        assert self._index is not None  # noqa: S101
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph):
                self._step(self._index)  # recorded, not done
        except RuntimeError as error:
            self._failed = True
            _leave_recording(stream)
            reason = str(error).splitlines()[0]
            self._tell(Warned(f"the step cannot be recorded as a CUDA graph, training is slower: {reason}"))
            return
        self._graph = graph


def _leave_recording(stream: torch.cuda.Stream) -> None:
    """Undo what a recording that failed leaves behind: its stream, and a generator that still records."""
    torch.cuda.set_stream(stream)
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())
