"""Short signals are computed by one thread, and the number of threads is left as it was."""

from __future__ import annotations

import pytest
import torch

from mpikit_plugins.training.threads import SHORT, threads_for


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("samples", "threads"), [(SHORT - 1, 1), (SHORT, 3)])
def test_short_signals_have_one_thread(samples, threads):
    with threads_for(samples):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


def test_also_after_an_interruption():
    with pytest.raises(KeyboardInterrupt), threads_for(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 3
