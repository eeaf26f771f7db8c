"""Recurrent layers of PyTorch: recurrent/, an LSTM that goes both ways and a GRU on it, as model.cue says.

    python -P testdata/golden/recurrent.py

    model.safetensors      the weights
    expected.safetensors   x, targets: f32 [2, 7, ...]; both, h, c, last, logits: what the layers give
                           losses: the mean squared error before each of four steps of AdamW (rate 0.01, no decay)

Values are computed in float64.
"""

import os

import torch
from safetensors.torch import save_file

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recurrent")


def main():
    torch.manual_seed(5)
    lstm = torch.nn.LSTM(6, 5, batch_first=True, bidirectional=True)
    gru = torch.nn.GRU(10, 4, batch_first=True)
    x, targets = torch.randn(2, 7, 6), torch.randn(2, 7, 4)
    weights = {f"{name}.{k}": v.detach().clone() for name, m in (("lstm", lstm), ("gru", gru)) for k, v in m.state_dict().items()}
    save_file(weights, os.path.join(HERE, "model.safetensors"))
    lstm, gru, wide = lstm.double(), gru.double(), x.double()

    def run():
        both, (h, c) = lstm(wide)
        out, last = gru(both)
        return dict(both=both, h=h[0], c=c[1], logits=out, last=last[0])

    kept = {k: v.detach().float().contiguous() for k, v in run().items()}
    optimizer = torch.optim.AdamW([*lstm.parameters(), *gru.parameters()], lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.mse_loss(run()["logits"], targets.double())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_file(kept | dict(x=x, targets=targets, losses=torch.tensor(losses, dtype=torch.float32)), os.path.join(HERE, "expected.safetensors"))


if __name__ == "__main__":
    main()
