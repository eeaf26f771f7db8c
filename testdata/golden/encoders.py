"""Tiny random encoders as Hugging Face folders, with float64 reference values.

    python testdata/golden/encoders.py

Every folder under encoder/ is what save_pretrained writes, plus expected.safetensors: ids int32 [2, 11], and hidden
f32 [2, 11, hidden], the vectors of the last layer, in float64 from the weights as stored.
"""

import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import AlbertConfig, AutoModel, AutoModelForMaskedLM, BertConfig, DistilBertConfig
from transformers.utils import logging

from decoders import fill
from reference import double, folder

SIZES = dict(vocab_size=64, max_position_embeddings=32, pad_token_id=0)
BERT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
MODELS = {  # name: class to save, configuration
    "bert": (AutoModel, BertConfig(**SIZES, **BERT)),
    "bert_head": (AutoModelForMaskedLM, BertConfig(**SIZES, **BERT | dict(num_hidden_layers=1))),
    "distilbert": (AutoModelForMaskedLM, DistilBertConfig(**SIZES, dim=32, n_layers=2, n_heads=4, hidden_dim=48)),
    "albert": (AutoModel, AlbertConfig(**SIZES, **BERT | dict(num_hidden_layers=3), embedding_size=16)),
}

if __name__ == "__main__":
    logging.disable_progress_bar()
    for seed, (name, (kind, config)) in enumerate(MODELS.items()):
        generator = torch.Generator().manual_seed(seed)
        path = folder(f"encoder/{name}")
        shutil.rmtree(path)
        net = kind.from_config(config)
        fill(net, generator)
        net.save_pretrained(path)
        net = AutoModel.from_pretrained(path, attn_implementation="eager", dtype=torch.float64).eval()
        ids = torch.randint(3, 64, (2, 11), generator=generator)
        with torch.no_grad(), double():
            hidden = net(input_ids=ids).last_hidden_state
        assert hidden.dtype == torch.float64
        save_file({"ids": ids.int(), "hidden": hidden.float().contiguous()}, os.path.join(path, "expected.safetensors"))
        print(name, sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path)), hidden.std().item())
