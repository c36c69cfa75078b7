"""mpikit-box keeps the contract of mpikit's plugins."""

from __future__ import annotations

import numpy as np
import pytest
from mpikit_box import Box, BoxOptions, mpikit_denoisers, mpikit_noise_models

from mpikit import Run
from mpikit.testing import check_denoiser, check_noise_model, example_scan


@pytest.mark.parametrize("denoiser", list(mpikit_denoisers()), ids=lambda record: record.name)
def test_denoiser_keeps_the_contract(denoiser):
    check_denoiser(denoiser)


@pytest.mark.parametrize("model", list(mpikit_noise_models()), ids=lambda record: record.name)
def test_noise_model_keeps_the_contract(model):
    check_noise_model(model)


def test_a_window_of_one_sample_changes_nothing():
    scan = example_scan()
    output = Box(BoxOptions(width=1)).denoise(scan, run=Run(rng=np.random.default_rng(0)))
    np.testing.assert_allclose(output, scan.signal, rtol=1e-6)
