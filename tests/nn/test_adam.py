import pytest
import torch

from subcritic.nn import compiled
from subcritic.nn.adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_it_gives_the_bits_of_torch_optim_adam(dtype, weight_decay):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 40, generator=generator, dtype=dtype)
    mine, theirs, gradient = start.clone(), start.clone(), torch.zeros_like(start)
    theirs.grad = gradient
    adam = Adam(mine, gradient, rate=1e-2, weight_decay=weight_decay)
    reference = torch.optim.Adam([theirs], lr=1e-2, weight_decay=weight_decay, fused=True)
    for _ in range(50):
        gradient.copy_(torch.randn(3, 40, generator=generator, dtype=dtype))
        with compiled.off():
            adam.step()
        reference.step()
    assert not torch.equal(mine, start)
    assert torch.equal(mine, theirs)


def test_the_first_step_is_the_rate_against_the_sign_of_the_gradient():
    parameters, gradient = torch.zeros(1, 3), torch.tensor([[2.0, -0.5, 10.0]])
    Adam(parameters, gradient, rate=0.1).step()
    assert torch.allclose(parameters, torch.tensor([[-0.1, 0.1, -0.1]]), atol=1e-6)


def test_a_restored_optimiser_goes_on_as_the_saved_one():
    generator = torch.Generator().manual_seed(0)
    one, gradient = torch.randn(1, 5, generator=generator), torch.randn(1, 5, generator=generator)
    first = Adam(one, gradient, rate=0.1)
    for _ in range(3):
        first.step()
    two = one.clone()
    second = Adam(two, gradient, rate=0.1)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    first.step()
    second.step()
    assert torch.equal(one, two)
