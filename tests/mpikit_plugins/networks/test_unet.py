"""The U-Net: lengths, sizes, shift equivariance, homogeneity, receptive field."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mpikit_plugins.networks.options import NetworkOptions
from mpikit_plugins.networks.unet import Linear, UNet, lengths, new_unet

EXACT = {"rtol": 0, "atol": 1e-12}


def network(channels=2, **changes):
    options = {
        "features": 3,
        "kernel": 3,
        "stem_stride": 1,
        "down_kernel": 3,
        "dropout": 0.0,
        "bias": False,
        "residual": False,
    }
    torch.manual_seed(11)
    return UNet(channels, **(options | changes)).double().eval()


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("samples", [1, 7, 51, 101, 102, 500, 1632, 9900])
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize("stem_stride", [1, 3])
def test_the_output_is_as_long_as_the_input(samples, kernel, stem_stride):
    net = network(kernel=kernel, stem_stride=stem_stride)
    with torch.no_grad():
        assert net(noise(4, 2, samples)).shape == (4, 2, samples)


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize("down_kernel", [1, 3])
@pytest.mark.parametrize("stem_stride", [1, 3])
def test_shifting_by_one_sample_of_the_coarsest_level_commutes(kernel, down_kernel, stem_stride):
    shift = 81 * stem_stride
    net = network(kernel=kernel, down_kernel=down_kernel, stem_stride=stem_stride)
    signal = noise(2, 2, 5 * shift)
    with torch.no_grad():
        output = net(signal)
        torch.testing.assert_close(net(signal.roll(shift, -1)), output.roll(shift, -1), **EXACT)
        other = net(signal.roll(1, -1)).roll(-1, -1)
    assert (other - output).abs().max() > 1e-3  # shifts by less change what the coarse levels see


@pytest.mark.parametrize("bias", [False, True])
def test_residual_blocks_that_start_with_nothing(bias):
    """Each is the identity at first, and learns: the gradient of what is zero is not."""
    nets = [network(features=8, blocks=blocks, bias=bias) for blocks in ("random", "zero")]
    signal, features = noise(5, 2, 300), noise(2, 8, 60)
    sizes = []
    for net in nets:
        found = [block for block in net.modules() if type(block).__name__ == "ResBlock"]
        assert len(found) == 12
        is_identity = [torch.equal(block(features), features) for block in found]
        assert is_identity == [net is nets[1]] * 12
        sizes.append(net(signal).std().item())
    assert sizes[0] > 5 * sizes[1]
    nets[1](signal).square().mean().backward()
    assert all(block.body[-1].weight.grad.abs().max() > 0 for block in found)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("stem_stride", [1, 3])
def test_without_bias_it_is_homogeneous(residual, stem_stride):
    net = network(residual=residual, stem_stride=stem_stride)
    nn.init.normal_(net.head.weight)
    signal = noise(3, 2, 190)
    with torch.no_grad():
        output = net(signal)
        torch.testing.assert_close(net(3 * signal), 3 * output, rtol=0, atol=1e-11)
        assert not net(torch.zeros_like(signal)).any()
        assert (net(-signal) + output).abs().max() > 1e-3  # for positive factors only


def test_with_bias_it_is_not():
    net = network(bias=True)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 0.3)
    signal = noise(3, 2, 190)
    with torch.no_grad():
        assert (net(3 * signal) - 3 * net(signal)).abs().max() > 1e-2
        assert net(torch.zeros_like(signal)).abs().max() > 1e-2


def test_no_channel_is_left_out():
    net = network(channels=3)
    signal = noise(1, 3, 162).requires_grad_()
    for channel in range(3):
        (slope,) = torch.autograd.grad(net(signal)[0, channel, 80], signal)
        assert (slope.abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize(("kernel", "weights"), [(3, 261_121), (7, 593_281)])
def test_the_sizes_of_the_paper(kernel, weights):
    """About 260 k and 592 k, 38 convolutions and 21 PReLU, for 48 features and one channel."""
    net = network(1, features=48, kernel=kernel, down_kernel=1, bias=True)
    assert parameters(net) == weights
    assert sum(isinstance(module, nn.Conv1d) for module in net.modules()) == 38
    assert sum(isinstance(module, nn.PReLU) for module in net.modules()) == 21
    without = network(1, features=48, kernel=kernel, down_kernel=1, bias=False)
    assert weights - parameters(without) == 37 * 48 + 1
    longer = network(1, features=48, kernel=kernel, down_kernel=3, bias=True)
    assert parameters(longer) - weights == 4 * 2 * 48 * 48


@pytest.mark.parametrize(("kernel", "seen"), [(3, 1605), (7, 4813)])
def test_the_receptive_field(kernel, seen):
    """1605 samples with kernels of three: less than half a period of 9900."""
    net = network(1, features=1, kernel=kernel, down_kernel=1)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)  # so that nothing cancels
    signal = torch.ones(1, 1, 81 * 62, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(signal)[0, 0, 2500], signal)
    touched = torch.nonzero(slope[0, 0])[:, 0]
    assert int(touched[-1] - touched[0]) + 1 == len(touched) == seen


def test_down_sampling_as_printed_skips_samples():
    """With a 1x1 convolution of stride 3 the first level sees one sample of three."""
    for down_kernel, seen in ((1, 27), (3, 81)):
        net = network(1, down_kernel=down_kernel)
        features = torch.ones(1, 3, 81, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(net.encoders[0][0](features).sum(), features)
        assert int((slope[0].abs().amax(dim=0) > 0).sum()) == seen


def test_a_residual_network_starts_as_the_identity():
    signal = noise(2, 2, 100)
    with torch.no_grad():
        assert torch.equal(network(residual=True)(signal), signal)
        assert not torch.equal(network()(signal), signal)


def test_dropout_acts_in_training_only():
    net = network(dropout=0.5)
    signal = noise(2, 2, 162)
    with torch.no_grad():
        assert torch.equal(net(signal), net(signal))
        net.train()
        assert not torch.equal(net(signal), net(signal))
    assert sum(isinstance(module, nn.Dropout) and module.p == 0.5 for module in net.modules()) == 17


def test_an_odd_network():
    net = network(odd=True, bias=True, conditions=1)
    nn.init.normal_(net.head.bias)
    signal, condition = noise(3, 2, 100), noise(3, 1, 1).expand(-1, -1, 100)
    with torch.no_grad():
        output = net(torch.cat([signal, condition], dim=1))
        torch.testing.assert_close(net(torch.cat([-signal, condition], dim=1)), -output, **EXACT)
        assert not torch.allclose(net(torch.cat([signal, 2 * condition], dim=1)), output)
    assert output.shape == (3, 2, 100)
    assert output.abs().max() > 1e-3


def test_the_gain_of_a_residual_network_is_learnt():
    net = network(residual=True)
    signal = noise(4, 2, 162)
    net(signal).square().mean().backward()
    power = signal.square().mean(dim=(0, 2)) / 2  # its mean is over two channels
    torch.testing.assert_close(net.gain.grad[:, 0], 2 * 4 * power)  # four times as steep


def test_linear_upsampling():
    """A cosine stays one: between samples it is that on the line; and shifts by a sample become three."""
    ramp = torch.arange(6.0, dtype=torch.float64)[None, None]
    wanted = [5 / 3, 0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2]
    torch.testing.assert_close(Linear()(ramp)[0, 0, :8], torch.tensor(wanted, dtype=torch.float64))
    signal = noise(2, 3, 7)
    torch.testing.assert_close(Linear()(signal.roll(1, -1)), Linear()(signal).roll(3, -1))
    net = network(up="linear")
    signal = noise(2, 2, 405)
    with torch.no_grad():
        torch.testing.assert_close(net(signal.roll(81, -1)), net(signal).roll(81, -1), **EXACT)
        assert not torch.allclose(net(signal), network()(signal))


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize("stem_stride", [1, 3])
def test_the_lengths_that_need_no_padding(kernel, stem_stride):
    """On these, and on no shorter one, the network commutes with shifts by the coarsest step."""
    multiple, least = lengths(kernel, stem_stride)
    assert (multiple, least) == (81 * stem_stride, 81 * stem_stride * (kernel // 2))
    net = network(kernel=kernel, stem_stride=stem_stride)
    for samples, commutes in ((least, True), (least + multiple, True), (least + 10, False)):
        signal = noise(1, 2, samples)
        with torch.no_grad():
            error = (net(signal.roll(multiple, -1)) - net(signal).roll(multiple, -1)).abs().max()
        assert (error < 1e-12) == commutes


@pytest.mark.parametrize(("coarse", "said", "stride"), [(True, "auto", 1), (False, "auto", 3), (True, 3, 3)])
def test_the_options_make_the_network(coarse, said, stride):
    options = NetworkOptions(features=5, kernel=3, stem_stride=said, residual=False, bias=True)
    net = new_unet(2, options, coarse=coarse, conditions=1)
    assert net.stem[0].stride == (stride,)
    assert net.stem[0].weight.shape == (5, 3, 3)
    assert net.head.weight.shape == (2, 5, 3)
    assert net.head.bias is not None


def test_the_start_is_drawn_from_the_seed():
    one, same = network(), network()
    assert all(
        torch.equal(mine, yours) for mine, yours in zip(one.parameters(), same.parameters(), strict=True)
    )
    assert all(
        torch.all(module.weight == 0.25) and module.weight.shape == (3,)
        for module in one.modules()
        if isinstance(module, nn.PReLU)
    )
