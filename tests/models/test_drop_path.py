"""Which branches are left out, how often, and never in evaluation."""

import pytest
import torch
from torch import nn

from pipeline import models
from pipeline.config.run_params import ModelParams
from pipeline.models.drop_path import drop_paths


class _Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.mlp = nn.Identity(), nn.Identity()


def test_probabilities_rise_linearly_and_the_mean_stays():
    blocks = [_Block() for _ in range(3)]
    drop_paths(blocks, 0.5)
    torch.manual_seed(0)
    ones = torch.ones(4000, 2, 3)
    for number, block in enumerate(blocks):
        for branch in (block.attention, block.mlp):
            found = branch(ones)
            kept = 1 - 0.25 * number
            assert found[found != 0].tolist() == pytest.approx([1 / kept] * int((found != 0).sum()))
            assert (found != 0).float().mean().item() == pytest.approx(kept, abs=0.03)
            # All of a face or nothing of it.
            assert ((found != 0).all(dim=(1, 2)) == (found != 0).any(dim=(1, 2))).all()
            branch.eval()
            assert branch(ones).equal(ones)


def test_a_block_of_unknown_branches_is_a_bug():
    with pytest.raises(ValueError, match="0 known branches"):
        drop_paths([nn.Linear(2, 2)], 0.1)


def test_a_vit_drops_in_training_alone():
    params = ModelParams("vit", "tiny", drop_path=0.9)
    model, plain = models.build(params, None), models.build(ModelParams("vit", "tiny"), None)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert list(model.state_dict()) == list(plain.state_dict())
    assert model.eval()(images).logits.equal(plain.eval()(images).logits)
    torch.manual_seed(0)
    dropped = model.train()(images).embedding
    # With the last block left out, the embedding is the norm of the mean of what goes into it.
    inside = []
    plain.encoder.layers[1].register_forward_pre_hook(lambda _m, args: inside.append(args[0]))
    plain(images)
    without = plain.fc_norm(inside[0][:, 1:].mean(dim=1))
    same = (dropped - without).abs().amax(dim=1) < 1e-5
    assert same.any()
