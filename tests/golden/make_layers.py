"""Make layers.npz beside this file with PyTorch: what its layers do under all their options.

Usage: ``python make_layers.py`` in an environment with torch and NumPy. The inputs come from
``oracles/pytorch_layers.py``; the file holds outputs, final states and all gradients, those of a
combination one after the other, in order of their names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from oracles import pytorch_layers as cases  # noqa: E402


def results(c: cases.Combination) -> dict[str, np.ndarray]:
    """What PyTorch makes of a combination's inputs."""
    given = {name: torch.tensor(value) for name, value in cases.inputs(c).items()}
    options = {
        "num_layers": c.num_layers,
        "bidirectional": c.bidirectional,
        "bias": c.bias,
        "batch_first": c.batch_first,
        "dtype": torch.float64,
    }
    if c.kind.startswith("rnn"):
        options["nonlinearity"] = c.kind.removeprefix("rnn_")
    if c.kind == "lstm_projected":
        options["proj_size"] = cases.PROJECTED
    layer_class = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    layer = layer_class[c.kind.split("_")[0]](cases.INPUTS, cases.HIDDEN, **options)
    layer.load_state_dict({n: v for n, v in given.items() if n.startswith(("weight", "bias"))})
    for name in ("x", "h_0", "c_0"):
        if name in given:
            given[name].requires_grad_()
    has_c = "c_0" in given
    x = given["x"]
    if c.lengths:
        x = pack_padded_sequence(
            x, torch.tensor(cases.LENGTHS), batch_first=c.batch_first, enforce_sorted=False
        )
    output, final = layer(x, (given["h_0"], given["c_0"]) if has_c else given["h_0"])
    if c.lengths:
        output, _ = pad_packed_sequence(
            output, batch_first=c.batch_first, total_length=cases.SEQ_LEN
        )
    named = {"output": output, "h_n": final[0] if has_c else final}
    if has_c:
        named["c_n"] = final[1]
    sum((value * given[f"grad_{name}"]).sum() for name, value in named.items()).backward()
    found = {name: value.detach().numpy() for name, value in named.items()}
    found |= {f"grad/{n}": given[n].grad.numpy() for n in ("x", "h_0", "c_0") if n in given}
    return found | {f"grad/{n}": p.grad.numpy() for n, p in layer.named_parameters()}


def main() -> None:
    """Write the file."""
    flat = {}
    for c in cases.COMBINATIONS:
        found = results(c)
        flat[c.name] = np.concatenate([found[name].reshape(-1) for name in sorted(found)])
    np.savez_compressed(HERE / "layers.npz", **flat)


if __name__ == "__main__":
    main()
