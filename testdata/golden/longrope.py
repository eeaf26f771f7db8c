"""Text of arch/phi3_long beyond the length that it was trained on, token by token with a cache.

    python testdata/golden/longrope.py

longrope.safetensors: the prompt is longer than original_max_position_embeddings, so transformers, whose model and
configuration are as they are in the folder, takes the long factors from the first token on.

    ids     int32 [40]      12 ids of the prompt, then 28 by argmax, with the cache of transformers
    logits  f32 [28, vocab] those that each was chosen by, in float64
"""

import os

import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from decoders import MIN_GAP, load
from reference import HERE, double

PROMPT, NEW = 12, 28

if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = os.path.join(HERE, "arch", "phi3_long")
    model = load(path)
    trained = model.config.rope_parameters["original_max_position_embeddings"]
    assert PROMPT > trained
    for seed in range(1, 100):  # until no step is a near tie
        prompt = torch.randint(3, model.config.vocab_size, (1, PROMPT), generator=torch.Generator().manual_seed(seed))
        ids, cache, logits = prompt, None, []
        with torch.no_grad(), double():
            while ids.shape[1] < PROMPT + NEW:
                out = model(input_ids=ids if cache is None else ids[:, -1:], past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                logits.append(out.logits[0, -1])
                ids = torch.cat([ids, logits[-1].argmax()[None, None]], dim=1)
            whole = model(input_ids=ids, use_cache=False).logits[0, PROMPT - 1:-1]
        logits = torch.stack(logits)
        assert logits.dtype == torch.float64 and (logits - whole).abs().max() < 1e-9, "the cache changes nothing"
        best = logits.topk(2).values
        if (best[:, 0] - best[:, 1]).min() > MIN_GAP and len(set(ids[0, PROMPT:].tolist())) > 3:
            break
    else:
        raise AssertionError("no seed gives a text without near ties")
    save_file(dict(ids=ids[0].int(), logits=logits.float()), os.path.join(HERE, "longrope.safetensors"))
    print("seed", seed, "trained", trained, ids.tolist())
