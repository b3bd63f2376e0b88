"""Per-sample gradients: hooks agree with torch.func layer by layer, and what hooks cannot do is done another way."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from kernelsm import InputError, gradient_features
from kernelsm.gradients.per_sample import Hooks, Loop, Vmap, choose_engine, evaluating, margin, trainable
from kernelsm.gradients.places import Unsupported
from kernelsm.gradients.projections import Exact

T, D, C = 4, 6, 3


class Net(nn.Module):
    """A model from a function of itself and the batch."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def parameter(*shape):
    return nn.Parameter(torch.randn(shape))


def pooled(*layers):
    """Layers, all axes but the samples' and the next averaged away, then a head that finds its own width."""
    return nn.Sequential(*layers, nn.Flatten(2), Mean(), nn.LazyLinear(C))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=-1)


def numbers(*shape):
    return lambda n: torch.randn((n, *shape))


def tokens(length, count=7):
    """Ids, of which some repeat within a sample."""
    return lambda n: torch.randint(0, count, (n, length))


def image(*layers):
    return pooled(*layers), numbers(4, 7, 6)


def signal(*layers):
    return pooled(*layers), numbers(4, 9)


def sequence_first(net, x):
    return net.head(net.body(x.transpose(0, 1)).mean(dim=0))


def masked(net, x):
    hidden = net.embed(x)
    causal = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=hidden.dtype)
    padding = torch.zeros(x.shape, dtype=hidden.dtype).masked_fill(x == 0, float("-inf"))
    padding[:, 0] = 0.0
    return net.head(net.body(hidden, mask=causal, src_key_padding_mask=padding).mean(dim=1))


def attention(net, x, **named):
    return net.head(net.body(x, x, x, **named)[0].mean(dim=1))


def with_positions(net, x):
    return net.head(torch.tanh(net.embed(x) + net.places(torch.arange(x.shape[1]))).mean(dim=1))


def with_class_token(net, x):
    whole = torch.cat([net.token.expand(len(x), -1, -1), net.body(x)], dim=1) + net.places
    return net.head(net.mix(whole.transpose(1, 2)).tanh().mean(dim=2))


def tied(net, x):
    return functional.linear(torch.tanh(net.embed(x)).mean(dim=1), net.embed.weight)


def twice(net, x):
    return net.head(torch.tanh(net.body(torch.tanh(net.body(x)))))


def residual_in_place(net, x):
    out = net.first(x)
    out = net.second(functional.relu(out))
    out += x
    return net.head(functional.relu(out, inplace=True).mean(dim=(2, 3)))


def frozen(net, x):
    return net.head(torch.tanh(net.norm(net.body(x))))


def frozen_parts():
    net = Net(frozen, body=nn.Linear(D, D), norm=nn.LayerNorm(D), head=nn.Linear(D, C))
    net.body.weight.requires_grad_(False)
    net.norm.bias.requires_grad_(False)
    net.head.bias.requires_grad_(False)
    return net


def gpt2_layer():
    from transformers.pytorch_utils import Conv1D

    return nn.Sequential(Conv1D(8, D), nn.GELU(), Conv1D(D, 8), nn.Flatten(1), nn.LazyLinear(C))


def encoder(batch_first, **named):
    layer = nn.TransformerEncoderLayer(D, 2, 10, dropout=0.1, batch_first=batch_first, **named)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def mha(**named):
    return nn.MultiheadAttention(D, 2, batch_first=True, **named)


def conv(*arguments, **named):
    return nn.Conv2d(4, 5, *arguments, **named)


WITH_RULES = {
    "linear, 2 axes": lambda: (nn.Sequential(nn.Linear(D, 5), nn.Tanh(), nn.Linear(5, C, bias=False)), numbers(D)),
    "linear, 3 axes": lambda: (pooled(nn.Linear(D, 5), nn.Tanh()), numbers(T, D)),
    "linear, 4 axes": lambda: (pooled(nn.Linear(D, 5), nn.Tanh()), numbers(2, T, D)),
    "linear of samples and places in one axis": lambda: (
        Net(lambda m, x: m.b(torch.tanh(m.a(x.reshape(-1, D))).reshape(len(x), -1)), a=nn.Linear(D, 2),
            b=nn.Linear(2 * T, C)), numbers(T, D),
    ),
    "conv2d, stride and padding": lambda: image(conv(3, stride=2, padding=1)),
    "conv2d, uneven everything": lambda: image(conv((3, 2), stride=(1, 2), padding=(2, 0), dilation=(1, 2))),
    "conv2d, padding same, even kernel": lambda: image(conv((2, 4), padding="same", dilation=(2, 1))),
    "conv2d, padding valid": lambda: image(conv(2, padding="valid", bias=False)),
    "conv2d, circular": lambda: image(conv(3, padding=1, padding_mode="circular")),
    "conv2d, groups": lambda: image(nn.Conv2d(4, 6, 3, groups=2, stride=2)),
    "conv2d, depthwise": lambda: image(nn.Conv2d(4, 8, 3, groups=4, padding="same", bias=False)),
    "conv1d": lambda: signal(nn.Conv1d(4, 5, 3, stride=2, padding=2, dilation=2)),
    "conv1d, same": lambda: signal(nn.Conv1d(4, 5, 4, padding="same")),
    "conv1d, groups and reflection": lambda: signal(
        nn.Conv1d(4, 6, 3, groups=2, padding=1, padding_mode="reflect")
    ),
    "embedding": lambda: (nn.Sequential(nn.Embedding(7, D), nn.Flatten(1), nn.LazyLinear(C)), tokens(T)),
    "embedding, padding": lambda: (
        nn.Sequential(nn.Embedding(7, D, padding_idx=1), nn.Flatten(1), nn.LazyLinear(C)), tokens(T),
    ),
    "embedding, negative padding": lambda: (
        nn.Sequential(nn.Embedding(7, D, padding_idx=-2), nn.Flatten(1), nn.LazyLinear(C)), tokens(T),
    ),
    "embedding, ids in a square": lambda: (
        nn.Sequential(nn.Embedding(7, D), nn.Flatten(1), nn.LazyLinear(C)), lambda n: torch.randint(0, 7, (n, 2, T)),
    ),
    "embedding, one id": lambda: (
        nn.Sequential(nn.Embedding(7, D), nn.Linear(D, C)), lambda n: torch.randint(0, 7, (n,)),
    ),
    "embedding, ids sequence first": lambda: (
        Net(lambda m, x: m.b(m.a(x.T).mean(dim=0)), a=nn.Embedding(7, D), b=nn.Linear(D, C)), tokens(T),
    ),
    "layer norm": lambda: (pooled(nn.LayerNorm(D), nn.Tanh()), numbers(T, D)),
    "layer norm, two axes": lambda: (pooled(nn.LayerNorm((T, D)), nn.Tanh()), numbers(2, T, D)),
    "layer norm, no bias": lambda: (pooled(nn.LayerNorm(D, bias=False), nn.Tanh()), numbers(T, D)),
    "rms norm": lambda: (pooled(nn.RMSNorm(D), nn.Tanh()), numbers(T, D)),
    "group norm": lambda: image(nn.GroupNorm(2, 4), nn.Tanh()),
    "batch norm 1d": lambda: (
        nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, C)), numbers(D),
    ),
    "batch norm 1d, places": lambda: signal(nn.BatchNorm1d(4), nn.Tanh()),
    "batch norm 2d": lambda: image(nn.BatchNorm2d(4), nn.Tanh()),
    "attention": lambda: (Net(attention, body=mha(), head=nn.Linear(D, C)), numbers(T, D)),
    "attention, no weights asked": lambda: (
        Net(lambda m, x: attention(m, x, need_weights=False), body=mha(bias=False), head=nn.Linear(D, C)),
        numbers(T, D),
    ),
    "encoder, batch first": lambda: (nn.Sequential(encoder(True), nn.Flatten(1), nn.LazyLinear(C)), numbers(T, D)),
    "encoder, sequence first": lambda: (
        Net(sequence_first, body=encoder(False, norm_first=True), head=nn.Linear(D, C)), numbers(T, D),
    ),
    "encoder, masks": lambda: (
        Net(masked, embed=nn.Embedding(7, D), body=encoder(True), head=nn.Linear(D, C)), tokens(T),
    ),
    "layer of GPT-2": lambda: (gpt2_layer(), numbers(T, D)),
    "position embeddings": lambda: (
        Net(with_positions, embed=nn.Embedding(7, D), places=nn.Embedding(T + 2, D), head=nn.Linear(D, C)),
        tokens(T),
    ),
    "class token": lambda: (
        Net(with_class_token, body=nn.Linear(D, D), token=parameter(1, 1, D), places=parameter(1, T + 1, D),
            mix=nn.Linear(T + 1, 2), head=nn.Linear(D, C)), numbers(T, D),
    ),
    "bare factor and shift": lambda: (
        Net(lambda m, x: m.head((2.0 + m.gain * x + m.shift).tanh().mean(dim=1)), gain=parameter(D),
            shift=parameter(T, 1), head=nn.Linear(D, C)), numbers(T, D),
    ),
    "factor on the right": lambda: (
        Net(lambda m, x: (x @ m.weight) * m.gain + m.shift, weight=parameter(D, C), gain=parameter(1, C),
            shift=parameter(C)), numbers(D),
    ),
    "linear with a parameter": lambda: (
        Net(lambda m, x: functional.linear(x.tanh(), m.weight, m.shift), weight=parameter(C, D), shift=parameter(C)),
        numbers(D),
    ),
    "matrix product of 3 axes": lambda: (
        Net(lambda m, x: torch.matmul(x, m.weight).tanh().mean(dim=1), weight=parameter(D, C)), numbers(T, D),
    ),
    "tied embedding and output": lambda: (Net(tied, embed=nn.Embedding(7, D)), tokens(T)),
    "a layer used twice": lambda: (Net(twice, body=nn.Linear(D, D), head=nn.Linear(D, C)), numbers(D)),
    "frozen parameters": lambda: (frozen_parts(), numbers(D)),
    "activations in place": lambda: (
        nn.Sequential(nn.Linear(D, 5), nn.ReLU(inplace=True), nn.Linear(5, 5), nn.ELU(inplace=True), nn.Linear(5, C)),
        numbers(D),
    ),
    "residual sum in place": lambda: (
        Net(residual_in_place, first=nn.Conv2d(4, 4, 3, padding=1), second=nn.Conv2d(4, 4, 3, padding=1),
            head=nn.Linear(4, C)), numbers(4, 5, 5),
    ),
    "a part under no_grad": lambda: (
        Net(lambda m, x: m.b(torch.tanh(m.a(x).detach() + m.c(x))), a=nn.Linear(D, D), b=nn.Linear(D, C),
            c=nn.Linear(D, D)), numbers(D),
    ),
    "a parameter that is not used": lambda: (
        Net(lambda m, x: m.a(x), a=nn.Linear(D, C), b=nn.Linear(D, C)), numbers(D),
    ),
    "a logit that depends on nothing": lambda: (
        Net(lambda m, x: torch.cat([m.a(x), torch.zeros(len(x), 1, dtype=x.dtype)], dim=1), a=nn.Linear(D, 2)),
        numbers(D),
    ),
}  # fmt: skip

WITHOUT_RULES = {
    "einsum": lambda: (Net(lambda m, x: torch.einsum("ni,io->no", x, m.w), w=parameter(D, C)), numbers(D)),
    "bilinear": lambda: (Net(lambda m, x: m.a(x, x), a=nn.Bilinear(D, D, C)), numbers(D)),
    "prelu": lambda: (nn.Sequential(nn.Linear(D, 5), nn.PReLU(), nn.Linear(5, C)), numbers(D)),
    "lstm": lambda: (
        Net(lambda m, x: m.b(m.a(x)[0][:, -1]), a=nn.LSTM(D, 4, batch_first=True), b=nn.Linear(4, C)), numbers(T, D),
    ),
    "weight norm": lambda: (nn.utils.parametrizations.weight_norm(nn.Linear(D, C)), numbers(D)),
    "a parameter twice in one product": lambda: (
        Net(lambda m, x: m.a(x) * (m.w * m.w), a=nn.Linear(D, C), w=parameter(C)), numbers(D),
    ),
    "a parameter twice in one sum": lambda: (
        Net(lambda m, x: m.a(x) * (m.w + m.w), a=nn.Linear(D, C), w=parameter(C)), numbers(D),
    ),
    "a slice of positions": lambda: (
        Net(lambda m, x: m.a((x + m.places[:, :T]).tanh().mean(dim=1)), a=nn.Linear(D, C),
            places=parameter(1, T + 3, D)), numbers(T, D),
    ),
    "samples and places in the other order": lambda: (
        Net(lambda m, x: m.b(m.a(x.transpose(0, 1).reshape(-1, D)).tanh().reshape(T, len(x), 4).mean(dim=0)),
            a=nn.Linear(D, 4), b=nn.Linear(4, C)), numbers(T, D),
    ),
    "an average over rows that all samples share": lambda: (
        Net(lambda m, x: m.b(x) * m.a(torch.ones(C, D, dtype=x.dtype)).mean(dim=0), a=nn.Linear(D, C),
            b=nn.Linear(D, C)), numbers(D),
    ),
    "attention across two inputs": lambda: (
        Net(lambda m, x: m.head(m.body(x, x.flip(1), x.flip(1))[0].mean(dim=1)), body=mha(), head=nn.Linear(D, C)),
        numbers(T, D),
    ),
    "attention with extra keys": lambda: (
        Net(attention, body=mha(add_bias_kv=True), head=nn.Linear(D, C)), numbers(T, D),
    ),
    "instance norm": lambda: image(nn.InstanceNorm2d(4, affine=True), nn.Tanh()),
    "conv3d": lambda: (
        nn.Sequential(nn.Conv3d(1, 2, 2), nn.Flatten(1), nn.LazyLinear(C)), numbers(1, 3, 3, 3),
    ),
}  # fmt: skip


def ready(case, n, dtype=torch.float64, seed=0):
    """Model in eval mode, its buffers and norms away from their initial values, and a batch of n."""
    torch.manual_seed(seed)
    model, draw = case()
    batch = draw(n)
    model.eval()(batch[:1])  # lazy layers find their width
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
        if "Norm" in type(module).__name__:
            for p in module.parameters():
                p.data.add_(0.3 * torch.randn(p.shape))
    model.to(dtype)
    return model, batch.to(dtype) if batch.is_floating_point() else batch


def exact(model):
    return Exact().bind({name: p.shape for name, p in trainable(model).items()})


def by_torch_func(model, batch):
    """Gradients of the logits with torch.func, one sample after the other, (n, C, d)."""
    weights = {name: p.detach() for name, p in trainable(model).items()}

    def one(weights, x):
        return torch.func.functional_call(model, weights, (x[None],))[0]

    found = []
    for x in batch:
        gradients = torch.func.jacrev(one)(weights, x)
        found.append(torch.cat([g.reshape(len(g), -1) for g in gradients.values()], dim=1))
    return torch.stack(found)


def project(engine, batch, labels=None, outputs="logits"):
    labels = torch.zeros(len(batch), dtype=torch.int64) if labels is None else labels
    return engine.project(batch, labels, outputs, exact(engine.model))


def close(found, expected, tolerance):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("name", WITH_RULES)
def test_hooks_are_torch_func_layer_by_layer(name):
    # as many samples as places in a sequence, channels and one more: no axis is taken for another
    model, batch = ready(WITH_RULES[name], 7)
    engine = Hooks(model, batch[:1])
    for n in (1, 2, 3, T, D, 7):
        logits, gradients = project(engine, batch[:n])
        torch.testing.assert_close(logits, model(batch[:n]).detach(), rtol=1e-12, atol=1e-12)
        close(gradients, by_torch_func(model, batch[:n]), 1e-10)


@pytest.mark.parametrize("name", WITH_RULES)
def test_hooks_are_chosen_and_right_in_single_precision(name):
    model, batch = ready(WITH_RULES[name], 5, torch.float32)
    engine, why = choose_engine(model, batch[:2], torch.zeros(2, dtype=torch.int64), "logits")
    assert (engine.name, why) == ("hooks", "")
    close(project(engine, batch)[1], by_torch_func(model, batch), 1e-5)


@pytest.mark.parametrize("name", ["linear, 3 axes", "conv2d, groups", "encoder, masks", "tied embedding and output"])
def test_the_margins_gradient_is_the_chain_rule_of_the_logits(name):
    model, batch = ready(WITH_RULES[name], 5)
    logits, gradients = project(Hooks(model, batch[:1]), batch)
    labels = torch.arange(5) % logits.shape[1]
    (of_logits,) = torch.autograd.grad(margin(logits.requires_grad_(), labels).sum(), logits)
    for kind in (Hooks, Vmap, Loop):
        found = project(kind(model, batch[:1]), batch, labels, "margin")[1]
        assert found.shape == (5, 1, gradients.shape[2])
        close(found[:, 0], torch.einsum("nc,ncd->nd", of_logits, gradients), 1e-10)


@pytest.mark.parametrize("name", WITHOUT_RULES)
def test_what_hooks_cannot_do_is_said_and_right_all_the_same(name):
    model, batch = ready(WITHOUT_RULES[name], 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch has no batched LSTM and says so
        engine, why = choose_engine(model, batch[:2], torch.zeros(2, dtype=torch.int64), "logits")
        gradients = project(engine, batch)[1]
    assert engine.name in ("vmap", "loop")
    assert why.startswith("hooks: ")
    close(gradients, by_torch_func(model, batch), 1e-10)


def test_the_reason_names_the_function_and_the_parameter():
    model, batch = ready(WITHOUT_RULES["einsum"], 2)
    with pytest.raises(Unsupported, match="einsum of w"):
        Hooks(model, batch[:1])
    model = Net(lambda m, x: m.a(x, x) * (1.0 if x.sum().item() > 0 else 2.0), a=nn.Bilinear(D, D, C))
    found = gradient_features(model, np.ones((2, D)), np.zeros(2, dtype=np.int64))
    assert found.meta["engine"] == "loop"
    assert "bilinear of a.bias, a.weight" in found.meta["engine_because"]
    assert "vmap: RuntimeError" in found.meta["engine_because"]


# --- samples that influence each other ---


def test_a_model_that_mixes_samples_is_taken_sample_by_sample():
    """Its gradients and logits are those of each sample alone: a difference from the batch's mean is zero."""
    torch.manual_seed(0)
    model = Net(lambda m, x: m.a(x - x.mean(dim=0)), a=nn.Linear(D, C))
    found = gradient_features(model, np.random.default_rng(0).normal(size=(5, D)), np.zeros(5, dtype=np.int64))
    assert found.meta["engine"] == "vmap"
    assert "not the gradients of plain backward passes" in found.meta["engine_because"]
    np.testing.assert_allclose(found.logits, np.tile(model.a.bias.detach(), (5, 1)), atol=1e-7)
    assert not found.features[:, :, : C * D].any()


def test_batch_statistics_forced_upon_a_vector_are_refused_and_upon_an_image_are_its_own():
    def forced(m, x):
        return m.head(functional.batch_norm(m.body(x), None, None, m.gain, None, training=True).flatten(1))

    vector = Net(forced, body=nn.Linear(D, D), gain=parameter(D), head=nn.Linear(D, C))
    with pytest.raises(InputError, match="more than 1 value per channel"):
        gradient_features(vector, np.ones((4, D)), np.zeros(4, dtype=np.int64))
    picture = Net(forced, body=nn.Conv2d(1, 2, 2), gain=parameter(2), head=nn.Linear(8, C))
    inputs = np.random.default_rng(0).normal(size=(4, 1, 3, 3)).astype(np.float32)
    found = gradient_features(picture, inputs, np.zeros(4, dtype=np.int64))
    assert "batch's own mean" in found.meta["engine_because"]
    close(torch.from_numpy(found.features), by_torch_func(picture, torch.from_numpy(inputs)), 1e-4)


def other_order(net, x):
    """Valid, and its hooks are wrong: positions lie outside, samples inside."""
    flat = net.a(x.transpose(0, 1).reshape(-1, D)).tanh()
    return net.b(flat.reshape(T, len(x), 4).mean(dim=0))


@pytest.mark.parametrize("first", ["equal", "empty"])
def test_first_samples_that_show_no_difference_do_not_hide_a_wrong_way(first):
    torch.manual_seed(0)
    model = Net(other_order, a=nn.Linear(D, 4), b=nn.Linear(4, C))
    inputs = np.random.default_rng(0).normal(size=(5, T, D)).astype(np.float32)
    inputs[1] = inputs[0]
    if first == "empty":  # black images, padded text
        inputs[:2] = 0.0
    found = gradient_features(model, inputs, np.zeros(5, dtype=np.int64))
    close(torch.from_numpy(found.features), by_torch_func(model, torch.from_numpy(inputs)), 1e-4)


def test_control_flow_by_value_is_each_samples_own():
    torch.manual_seed(0)
    model = Net(lambda m, x: m.a(x) * (1.0 if x.sum().item() > 0 else 2.0), a=nn.Linear(D, C))
    inputs = np.random.default_rng(0).normal(size=(6, D)).astype(np.float32)
    inputs[:2] = np.abs(inputs[:2])
    inputs[2:4] = -np.abs(inputs[2:4])
    found = gradient_features(model, inputs, np.zeros(6, dtype=np.int64))
    expected = by_values(model, torch.from_numpy(inputs))
    close(torch.from_numpy(found.features), expected, 1e-5)


def test_a_forward_pass_that_takes_a_shortcut_in_some_batches_is_right_in_all():
    # as models that skip a mask when nothing is masked
    def shortcut(m, x):
        out = m.a(x)
        large = x[:, :1] > 3.0
        return torch.where(large, m.b(x), out) if bool(large.any()) else out

    torch.manual_seed(0)
    model = Net(shortcut, a=nn.Linear(D, C), b=nn.Linear(D, C))
    inputs = np.clip(np.random.default_rng(0).normal(size=(6, D)), -1, 1).astype(np.float32)
    inputs[4, 0] = 4.0
    found = gradient_features(model, inputs, np.zeros(6, dtype=np.int64), batch_size=2)
    close(torch.from_numpy(found.features), by_values(model, torch.from_numpy(inputs)), 1e-5)


def by_values(model, batch):
    """Plain backward passes, for control flow that torch.func does not take."""
    weights = list(trainable(model).values())
    rows = []
    for x in batch:
        found = [
            torch.autograd.grad(logit, weights, retain_graph=True, materialize_grads=True)
            for logit in model(x[None])[0]
        ]
        rows.append(torch.stack([torch.cat([g.flatten() for g in gradients]) for gradients in found]))
    return torch.stack(rows)


# --- parameters of odd shapes and kinds ---


@pytest.mark.parametrize("projection", ["exact", "kronecker", "gaussian", "rademacher", "sparse"])
def test_a_single_number_may_be_a_parameter(projection):
    torch.manual_seed(0)
    model = Net(lambda m, x: m.a(x) * m.temperature, a=nn.Linear(D, C), temperature=nn.Parameter(torch.tensor(2.0)))
    inputs = np.random.default_rng(0).normal(size=(4, D)).astype(np.float32)
    found = gradient_features(model, inputs, np.zeros(4, dtype=np.int64), projection, dim=16)
    if projection == "exact":
        close(torch.from_numpy(found.features), by_torch_func(model, torch.from_numpy(inputs)), 1e-5)


def test_a_parameter_without_numbers_adds_nothing():
    model = Net(lambda m, x: m.a(x), a=nn.Linear(D, C), nothing=parameter(0, 3))
    found = gradient_features(model, np.ones((2, D), np.float32), np.zeros(2, dtype=np.int64))
    assert found.features.shape == (2, C, C * D + C)


def test_an_embedding_with_sparse_gradients_is_like_any_other():
    torch.manual_seed(0)
    table, head = nn.Embedding(5, 2, sparse=True), nn.Linear(4, C)
    dense = nn.Embedding(5, 2, _weight=table.weight.detach().clone())
    inputs = np.random.default_rng(0).integers(0, 5, (4, 2))
    sparse_found, dense_found = (
        gradient_features(nn.Sequential(embed, nn.Flatten(), head), inputs, np.zeros(4, dtype=np.int64))
        for embed in (table, dense)
    )
    np.testing.assert_array_equal(sparse_found.features, dense_found.features)


@pytest.mark.parametrize("wrong", ["detached", "no_grad", "changed"])
def test_a_model_without_gradients_is_refused_in_words(wrong):
    def forward(m, x):
        if wrong == "changed":
            hidden = torch.tanh(m.b(x))
            out = m.a(hidden)
            hidden += 1.0  # autograd needs what it was
            return out
        if wrong == "detached":
            return m.a(x).detach()
        with torch.no_grad():
            return m.a(x)

    model = Net(forward, a=nn.Linear(D, C), b=nn.Linear(D, D))
    with pytest.raises(InputError, match="model"):
        gradient_features(model, np.ones((2, D), np.float32), np.zeros(2, dtype=np.int64))


def test_features_are_taken_under_no_grad_too():
    model, batch = ready(WITH_RULES["linear, 2 axes"], 4, torch.float32)
    with torch.no_grad():
        found = gradient_features(model, batch.numpy(), np.zeros(4, dtype=np.int64))
    close(torch.from_numpy(found.features), by_torch_func(model, batch), 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["linear, 3 axes", "conv2d, stride and padding", "layer norm", "encoder, masks"])
def test_half_precision_is_close_to_single(name, dtype):
    single, batch = ready(WITH_RULES[name], 4, torch.float32)
    half, _ = ready(WITH_RULES[name], 4, dtype)
    inputs, labels = batch.numpy(), np.arange(4) % C
    expected, found = (gradient_features(model, inputs, labels, "exact") for model in (single, half))
    assert found.meta["engine"] == "hooks"
    assert found.features.dtype == found.logits.dtype == np.float32
    size = np.abs(expected.features).max()
    assert np.abs(found.features - expected.features).max() < (0.05 if dtype is torch.bfloat16 else 0.01) * size


def test_a_head_in_other_precision_is_no_trouble():
    model = Net(lambda m, x: m.b(m.a(x).float()), a=nn.Linear(D, 4).bfloat16(), b=nn.Linear(4, C))
    found = gradient_features(model, np.ones((3, D), np.float32), np.zeros(3, dtype=np.int64), "kronecker", dim=32)
    assert found.meta["engine"] == "hooks"
    assert np.isfinite(found.features).all()


# --- what the model is left like ---


class Dropping(nn.Module):
    def __init__(self, fails_at=None):
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(D, 8), nn.Dropout(0.5), nn.Linear(8, C)
        self.norm = nn.BatchNorm1d(8)
        self.fails_at = fails_at

    def forward(self, x):
        if len(x) == self.fails_at:
            raise RuntimeError("no such batch")
        return self.b(self.drop(self.norm(self.a(x))))


def test_dropout_is_off_and_everything_is_as_before_afterwards():
    torch.manual_seed(0)
    model = Dropping()
    model.norm.eval()  # a mixture of modes
    model.b.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = np.random.default_rng(0).normal(size=(6, D)).astype(np.float32)
    generator = torch.get_rng_state()
    first, second = (gradient_features(model, inputs, np.zeros(6, dtype=np.int64)) for _ in range(2))
    assert np.array_equal(first.features, second.features)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [model.training, model.drop.training, model.norm.training] == [True, True, False]
    assert all(p.grad is None for p in model.parameters())
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["b.weight"]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert first.meta["parameters"] == sum(p.numel() for p in trainable(model).values())


@pytest.mark.parametrize("fails_at", [1, 2, 3, 6, 8])
def test_training_flags_are_restored_when_the_forward_pass_raises(fails_at):
    model = Dropping(fails_at)
    model.drop.eval()
    inputs = np.ones((6, D), np.float32)
    if fails_at in (2, 3):  # only found out while looking for the axes of samples: another way is taken
        assert gradient_features(model, inputs, np.zeros(6, dtype=np.int64)).meta["engine"] == "vmap"
    else:
        with pytest.raises(InputError, match="RuntimeError in its forward pass: no such batch"):
            gradient_features(model, inputs, np.zeros(6, dtype=np.int64))
    assert [model.training, model.drop.training, model.norm.training] == [True, False, True]


def test_evaluating_restores_each_flag_whatever_is_raised():
    model = Dropping()
    model.a.eval()

    def interrupted():
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [name for name, module in model.named_modules() if not module.training] == ["a"]
