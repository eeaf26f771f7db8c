"""Training with a norm over the batch, by PyTorch, in float64.

    python testdata/golden/norms.py

train/batch_norm.safetensors   a convolution, BatchNorm2d, ReLU, a linear layer over three steps of SGD (0.1, momentum 0.9, weight decay 0.01 of
                               all but the statistics) on the mean squared error: NAME at first and NAME.after, x [3, 4, 2, 5, 5], targets
                               [3, 4, 3], loss [3], and eval, the output for x[0] in the end, with running statistics; f32 (exact) and f64
"""

import os

import torch

from reference import folder
from train import save

if __name__ == "__main__":
    g = torch.Generator().manual_seed(11)
    model = torch.nn.Sequential()
    model.add_module("conv", torch.nn.Conv2d(2, 3, 3))
    model.add_module("norm", torch.nn.BatchNorm2d(3, momentum=0.2))
    model.add_module("relu", torch.nn.ReLU())
    model.add_module("flat", torch.nn.Flatten())
    model.add_module("linear", torch.nn.Linear(27, 3))
    model = model.double()
    with torch.no_grad():
        for name, p in [*model.named_parameters(), ("norm.running_mean", model.norm.running_mean), ("norm.running_var", model.norm.running_var)]:
            p.copy_((0.5 * torch.randn(p.shape, generator=g)).abs() + 0.5 if "var" in name or name == "norm.weight" else 0.3 * torch.randn(p.shape, generator=g))
    x, targets = torch.randn((3, 4, 2, 5, 5), generator=g), torch.randn((3, 4, 3), generator=g)
    state = lambda: {k: v.clone() for k, v in model.state_dict().items() if "num_batches" not in k}
    file = {k: v.float() for k, v in state().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    losses = []
    for a, b in zip(x.double(), targets.double()):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(a), b)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    file |= {k + ".after": v for k, v in state().items()}
    with torch.no_grad():
        file |= {"x": x, "targets": targets, "loss": torch.stack(losses), "eval": model.eval()(x[0].double())}
    save(os.path.join(folder("train"), "batch_norm.safetensors"), file, lr=0.1)
