"""Export a decoder of 1.2 billion parameters with torch's dynamo exporter, for timing.

    pip install torch onnx onnxscript
    python benches/decoder.py DIR          # DIR/dynamo_decoder.onnx, 2.5 GB of weights beside it

The network is written here: grouped queries, rotary positions, RMS norms, gated feed-forward layers and
a cache of keys and values, in 16 bits, as published decoders of this size have them. Nothing is
downloaded: weights are random. The exporter's clean-up is left out, as its output is what a reader has
to cope with; batch, length and cached length stay symbols.
"""

import argparse
import pathlib

import torch
from torch import nn
from torch.nn import functional

WIDTH, LAYERS, HEADS, KV, INNER, VOCABULARY = 1536, 32, 24, 8, 6144, 64_000
HEAD = WIDTH // HEADS


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * wide.to(x.dtype)


def rotate(x, cos, sin):
    low, high = x[..., : HEAD // 2], x[..., HEAD // 2 :]
    return x * cos + torch.cat((-high, low), dim=-1) * sin


def repeat(x):
    """Every key head for the query heads that share it."""
    batch, _, length, _ = x.shape
    x = x[:, :, None].expand(batch, KV, HEADS // KV, length, HEAD)
    return x.reshape(batch, HEADS, length, HEAD)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda a, b: nn.Linear(a, b, bias=False)
        self.before, self.between = Norm(), Norm()
        self.q, self.o = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.k, self.v = linear(WIDTH, KV * HEAD), linear(WIDTH, KV * HEAD)
        self.gate, self.up = linear(WIDTH, INNER), linear(WIDTH, INNER)
        self.down = linear(INNER, WIDTH)

    def forward(self, x, past, cos, sin, mask):
        batch, length, _ = x.shape
        split = lambda y: y.view(batch, length, -1, HEAD).transpose(1, 2)
        h = self.before(x)
        q, k, v = split(self.q(h)), split(self.k(h)), split(self.v(h))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        scores = q @ repeat(k).transpose(2, 3) * HEAD**-0.5 + mask
        weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(x.dtype)
        mixed = (weights @ repeat(v)).transpose(1, 2).reshape(batch, length, WIDTH)
        x = x + self.o(mixed)
        h = self.between(x)
        return x + self.down(functional.silu(self.gate(h)) * self.up(h)), (k, v)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last = Norm()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight
        powers = torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD
        self.register_buffer("frequencies", 10_000.0**-powers)

    def forward(self, ids, past):
        kept, length = past[0][0].shape[2], ids.shape[1]
        at = torch.arange(length) + kept
        angles = at[:, None].float() * self.frequencies[None].float()
        angles = torch.cat((angles, angles), dim=-1)
        x = self.embed(ids)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        hidden = torch.arange(kept + length)[None] > at[:, None]
        mask = torch.zeros(hidden.shape, dtype=x.dtype).masked_fill(hidden, -65504.0)
        present = []
        for layer, own in zip(self.layers, past):
            x, new = layer(x, own, cos, sin, mask)
            present.append(new)
        return self.head(self.last(x)), present


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float16)
    model = Decoder().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.uniform_(-0.02, 0.02)
    kept = torch.zeros(2, KV, 5, HEAD)
    past = [(kept, kept.clone()) for _ in range(LAYERS)]
    batch, before = torch.export.Dim("batch"), torch.export.Dim("past")
    length = torch.export.Dim("seq", min=2)  # some releases of torch read 1 as another graph
    axes = {0: batch, 2: before}
    program = torch.onnx.export(
        model,
        (torch.randint(0, VOCABULARY, (2, 7)), past),
        dynamic_shapes=({0: batch, 1: length}, [(axes, axes)] * LAYERS),
        dynamo=True,
        optimize=False,
        external_data=True,
    )
    path = folder / "dynamo_decoder.onnx"
    program.save(path, external_data=True)
    print(f"{path}: {len(program.model.graph)} nodes")


if __name__ == "__main__":
    main()
