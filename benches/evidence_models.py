#!/usr/bin/env python3
"""Graphs of the networks that published measurements are of and that models/ does not ship.

    pip install -r models/requirements.txt
    python benches/evidence_models.py FOLDER [NETWORK …]

Exports with random weights, then the graph alone, as models/make.py does; files that are there stay.
"""
import pathlib
import sys

import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "models"))
import make  # noqa: E402

tv = torchvision.models


def encoder(**options):
    """A BERT-like encoder as models/make.py has it, in other sizes."""
    from transformers import BertConfig, BertModel

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(BertConfig(attn_implementation="eager", **options))

        def forward(self, input_ids, attention_mask):
            out = self.bert(input_ids=input_ids, attention_mask=attention_mask)
            return out.last_hidden_state, out.pooler_output

    ids = torch.randint(0, 1000, (2, 16))
    names = ["input_ids", "attention_mask"]
    return Encoder(), (ids, torch.ones_like(ids)), names, {n: {0: "batch", 1: "seq"} for n in names}


NETWORKS = {
    "resnet152": lambda: make.vision(tv.resnet152),
    "vgg19": lambda: make.vision(tv.vgg19),
    "googlenet": lambda: make.vision(tv.googlenet, init_weights=False),
    "mobilenet_v3_large": lambda: make.vision(tv.mobilenet_v3_large),
    "mnasnet1_0": lambda: make.vision(tv.mnasnet1_0),
    "squeezenet1_1": lambda: make.vision(tv.squeezenet1_1, 227),
    "efficientnet_v2_s": lambda: make.vision(tv.efficientnet_v2_s, 384),
    "regnet_y_8gf": lambda: make.vision(tv.regnet_y_8gf),
    "swin_t": lambda: make.vision(tv.swin_t),
    "convnext_tiny": lambda: make.vision(tv.convnext_tiny),
    # Six layers of BERT-base without its second kind of embedding, which is nothing beside them.
    "distilbert": lambda: encoder(num_hidden_layers=6),
    "bert_large": lambda: encoder(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    ),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make.MODELS.update(NETWORKS)
    for name in sys.argv[2:] or NETWORKS:
        path = folder / f"{name}.onnx"
        if not path.exists():
            path.write_bytes(make.strip(make.export(name), name).SerializeToString())
            print(f"{name}: {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
