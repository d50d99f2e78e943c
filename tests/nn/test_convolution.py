"""Convolutions of pictures: what they compute, and their gradients in closed form."""

import pytest
import torch

from subcritic import seeding
from subcritic.nn.convolution import Convolutions, Encoder, RunningStatistics

SEEDS, BATCH = 2, 3
SPEC = Convolutions((13, 11, 6), filters=4, kernels=(4, 3, 2), strides=(2, 1, 1))


def encoder(spec=SPEC, seeds=range(SEEDS), dtype=torch.float64):
    return Encoder(spec, seeding.generators(seeds, "test"), 1e-3, dtype=dtype)


def pictures(count=BATCH):
    return torch.randint(
        0, 256, (SEEDS, count, SPEC.pixels), dtype=torch.uint8, generator=torch.manual_seed(0)
    )


def by_torch(spec, params, frames):
    """The same with torch's own layers, from (S, B, pixels) in [0, 1]."""
    height, width, channels = spec.picture
    found = []
    for s in range(len(frames)):
        x = (frames[s] - 0.5).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        for layer, (kernel, stride) in enumerate(zip(spec.kernels, spec.strides, strict=True)):
            filters = params.weights[layer][s].T.reshape(spec.filters, kernel, kernel, -1).permute(0, 3, 1, 2)
            x = torch.relu(torch.nn.functional.conv2d(x, filters, params.biases[layer][s, 0], stride=stride))
        found.append(x.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(found)


def test_a_filter_is_a_neuron_that_reads_a_patch_of_the_picture():
    coder, frames = encoder(), pictures()
    height, width, channels = SPEC.picture
    first = coder.learning(frames).maps[1][1]
    picture = frames[1, 2].double().view(height, width, channels) / 255 - 0.5
    weight, bias = coder.online.weights[0][1], coder.online.biases[0][1, 0]
    for row, column in ((0, 0), (2, 3), (4, 1)):
        patch = picture[2 * row : 2 * row + 4, 2 * column : 2 * column + 4].flatten()
        torch.testing.assert_close(first[2, :, row, column], torch.relu(patch @ weight + bias))


def test_gradients_equal_autograd():
    coder, frames = encoder(), pictures()
    for count in (4, 2):
        coder.learning(pictures(count))
    features = coder.learning(frames)
    assert features.output.shape == (SEEDS, BATCH, SPEC.features)
    upstream = torch.randn(features.output.shape, dtype=torch.float64)
    coder.backward(features, upstream)
    leaf = SPEC.views(coder.online.flat.clone().requires_grad_())
    output = coder.statistics.standardised(by_torch(SPEC, leaf, frames.double() / 255))
    torch.testing.assert_close(features.output, output.detach(), rtol=0, atol=1e-11)
    output.backward(upstream)
    torch.testing.assert_close(coder.gradient.flat, leaf.flat.grad, rtol=1e-10, atol=1e-10)
    assert (coder.gradient.flat != 0).float().mean() > 0.5


def test_statistics_are_those_of_all_that_was_seen_until_the_hundredth_minibatch():
    torch.manual_seed(0)
    statistics = RunningStatistics(2, 3, torch.float64)
    seen = torch.randn(2, 99, 5, 3, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1]) + 4
    for minibatch in seen.unbind(1):
        statistics.see(minibatch)
    flat = seen.flatten(1, 2)
    torch.testing.assert_close(statistics.mean, flat.mean(dim=1))
    torch.testing.assert_close(statistics.variance, flat.var(dim=1, correction=0))
    for _ in range(2000):
        statistics.see(torch.full((2, 5, 3), 7.0, dtype=torch.float64))
    torch.testing.assert_close(statistics.mean, torch.full((2, 3), 7.0, dtype=torch.float64))
    assert statistics.variance.max() < 1e-6


def test_pictures_of_8_bits_are_those_in_0_to_1():
    coder, frames = encoder(dtype=torch.float32), pictures()
    torch.testing.assert_close(coder.forward(frames), coder.forward(frames.float() / 255), rtol=0, atol=1e-6)


def test_a_seed_does_not_depend_on_its_neighbours():
    both, alone, frames = encoder(), encoder(seeds=[1]), pictures()
    assert torch.equal(both.forward(frames)[1:], alone.forward(frames[1:]))
    for coder, seen in ((both, frames), (alone, frames[1:])):
        features = coder.learning(seen)
        coder.backward(features, torch.ones_like(features.output))
        coder.step()
        coder.track(0.1)
    assert torch.equal(both.online.flat[1:], alone.online.flat)
    assert torch.equal(both.target.flat[1:], alone.target.flat)
    assert torch.equal(both.targets(frames)[1:], alone.targets(frames[1:]))
    assert not torch.equal(both.target.flat, both.online.flat)


def test_a_kernel_must_fit_what_it_reads():
    with pytest.raises(ValueError, match="kernel 4 of the encoder's layer 2 is larger than the 3 × 3 pixels"):
        Convolutions((8, 8, 9), 32, kernels=(4, 4), strides=(2, 1))
