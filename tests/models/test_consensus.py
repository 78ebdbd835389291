"""Consensus over segments: values, and gradients against the closed forms of the TSN paper."""

import pytest
import torch
from precision import EXACT, apart

from actionstream.models import create
from actionstream.models.networks.consensus import AttentionWeighting, Average, LinearWeighting, Maximum, TopK
from actionstream.models.window import Window

B, T, K, D = 2, 5, 3, 4


@pytest.fixture
def scores():
    torch.manual_seed(0)
    return torch.randn(B, T, K, dtype=torch.double, requires_grad=True)


@pytest.fixture
def upstream():
    return torch.randn(B, K, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def test_average(scores, upstream):
    out = Average()(scores)
    torch.testing.assert_close(out, sum(scores[:, t] for t in range(T)) / T)
    out.backward(upstream)
    torch.testing.assert_close(scores.grad, (upstream / T).unsqueeze(1).expand(B, T, K))


def test_maximum_passes_the_gradient_to_the_best_segment_alone(scores, upstream):
    out = Maximum()(scores)
    best = scores.argmax(dim=1)
    out.backward(upstream)
    for b in range(B):
        for k in range(K):
            assert out[b, k] == max(scores[b, t, k] for t in range(T))
            for t in range(T):
                assert scores.grad[b, t, k] == (upstream[b, k] if t == best[b, k] else 0)


@pytest.mark.parametrize("k", [1, 3, 5, 9])
def test_top_k_passes_a_share_to_each_of_the_k_best(k, scores, upstream):
    out = TopK(k)(scores)
    taken = min(k, T)
    out.backward(upstream)
    for b in range(B):
        for c in range(K):
            order = sorted(range(T), key=lambda t: -scores[b, t, c])
            torch.testing.assert_close(out[b, c], sum(scores[b, t, c] for t in order[:taken]) / taken)
            for rank, t in enumerate(order):
                torch.testing.assert_close(
                    scores.grad[b, t, c], upstream[b, c] / taken if rank < taken else 0 * out[b, c]
                )


def test_linear_weighting(scores, upstream):
    consensus = LinearWeighting(T).double()
    torch.testing.assert_close(consensus(scores), Average()(scores))
    consensus.weight.data.normal_()
    consensus(scores).backward(upstream)
    for t in range(T):
        torch.testing.assert_close(scores.grad[:, t], consensus.weight[t] * upstream)
        torch.testing.assert_close(consensus.weight.grad[t], (scores[:, t] * upstream).sum())
    with pytest.raises(ValueError, match="a weight for each of 5 segments, not for 4"):
        consensus(scores[:, :4])


def test_attention_weighting(scores, upstream):
    """dG/dF_t = A(R_t); dG/dA(R_t) = F_t, and dA_t/de_s = A_t (1[t = s] - A_s) for logits e_t = w . R_t."""
    torch.manual_seed(2)
    features = torch.randn(B, T, D, dtype=torch.double, requires_grad=True)
    consensus = AttentionWeighting(D).double()
    torch.testing.assert_close(consensus(scores, features), Average()(scores))
    consensus.attention.data.normal_()
    consensus(scores, features).backward(upstream)
    logits = features @ consensus.attention
    attention = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    to_attention = torch.einsum("btk,bk->bt", scores, upstream)
    to_logits = attention * (to_attention - (attention * to_attention).sum(dim=1, keepdim=True))
    torch.testing.assert_close(scores.grad, attention.unsqueeze(2) * upstream.unsqueeze(1))
    torch.testing.assert_close(features.grad, to_logits.unsqueeze(2) * consensus.attention)
    torch.testing.assert_close(consensus.attention.grad, torch.einsum("bt,btd->d", to_logits, features))
    with pytest.raises(ValueError, match="needs the features of the segments"):
        consensus(scores)


@pytest.mark.parametrize("consensus", ["average", "maximum", "top-k", "linear", "attention"])
def test_a_network_of_segments_trains_with_each(consensus):
    torch.manual_seed(0)
    network = create("tsn", network="tsn_resnet18", width=0.25, consensus=consensus, num_segments=4, num_classes=3)
    clip = torch.randn(2, 4, 3, 32, 32)
    network(clip).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    network.double().eval()
    with torch.inference_mode():
        rows, state = Window(network, num_frames=4)(clip.double())
        assert apart(rows[:, -1], network(clip.double())) < EXACT
    assert state[0].shape == (2, 4, 3 + (128 if consensus == "attention" else 0))  # scores, not pictures


def test_average_of_segments_is_the_mean_of_the_network_alone():
    torch.manual_seed(0)
    network = create("tsn", network="tsn_resnet18", width=0.25).double().eval()
    clip = torch.randn(1, 3, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        assert apart(network(clip), network.network(clip)[0].mean(dim=1)) < EXACT


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no consensus 'median'; there are average, maximum, top-k"):
        create("tsn", consensus="median")
    with pytest.raises(ValueError, match="does not score snippets one by one"):
        create("tsn", network="tsm_resnet18")
    with pytest.raises(ValueError, match="k is 0"):
        TopK(0)
