"""Networks of every kind of layer, and their per-sample gradients by torch.func, for several test files."""

import torch
from torch import nn
from torch.nn import functional

from kernelsm.gradients.per_sample import trainable
from kernelsm.gradients.projections import Exact
from kernelsm.objectives.classification import Classification

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
    return engine.project(batch, labels, Classification.linearisation(outputs), exact(engine.model))


def close(found, expected, tolerance):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))
