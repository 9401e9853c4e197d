"""Make the frozen vectors beside this file with PyTorch.

Usage: ``python make_golden.py`` in an environment with torch and NumPy. Running it twice gives
the same files; another PyTorch or another processor may change the last bits.

Every file is flat: a key such as ``tanh/float32/grad/weight_hh_l0`` names one array.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]

SEQ_LEN, BATCH, INPUT, HIDDEN, CLASSES = 5, 3, 4, 7, 6
DTYPES = {"float32": torch.float32, "float64": torch.float64}

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, object]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1}),
    "sgd_momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd_dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    "sgd_nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "sgd_decay": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}),
    "sgd_defaults": (torch.optim.SGD, {}),
    "rmsprop_defaults": (torch.optim.RMSprop, {}),
    "rmsprop_momentum": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "momentum": 0.8}),
    "rmsprop_centered": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True}),
    "rmsprop_all": (
        torch.optim.RMSprop,
        {"alpha": 0.8, "eps": 1e-3, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ),
    "adam_defaults": (torch.optim.Adam, {}),
    "adam_options": (
        torch.optim.Adam,
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
    ),
    "adamw_defaults": (torch.optim.AdamW, {}),
    "adamw_options": (
        torch.optim.AdamW,
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.2},
    ),
}

TEXT = (
    "A recurrent network reads one letter at a time and keeps a short memory of what it has read. "
    "From that memory it guesses the next letter. When the guess is wrong, the error travels back "
    "through every step that led to it, and each weight learns how much of the error was its own. "
    "Twenty or thirty letters back the trace grows faint, which is why long words are hard and "
    "short words come first: the, and, of, it. Ask 10 of them to write and 9 will write nonsense, "
    "but it will be nonsense with vowels in the right places. "
)


class SigmoidRNN(nn.Module):
    """The cell of nn.RNN with a sigmoid, which nn.RNN does not offer; the same parameters."""

    def __init__(self, input_size: int, hidden_size: int, dtype: torch.dtype) -> None:
        super().__init__()
        template = nn.RNN(input_size, hidden_size, dtype=dtype)
        for name, parameter in template.named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor, h_0: Tensor) -> tuple[Tensor, Tensor]:
        h, outputs = h_0[0], []
        for x_t in x:
            a = nn.functional.linear(x_t, self.weight_ih_l0, self.bias_ih_l0)
            h = torch.sigmoid(a + nn.functional.linear(h, self.weight_hh_l0, self.bias_hh_l0))
            outputs.append(h)
        return torch.stack(outputs), h[None]


def rnn_module(nonlinearity: str, dtype: torch.dtype, inputs: int = INPUT) -> nn.Module:
    if nonlinearity == "sigmoid":
        return SigmoidRNN(inputs, HIDDEN, dtype)
    return nn.RNN(inputs, HIDDEN, nonlinearity=nonlinearity, dtype=dtype)


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def under(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}/{name}": value for name, value in arrays.items()}


def states(pattern: str, parts: Iterable[Tensor]) -> dict[str, Tensor]:
    """The parts of a state by name, as ``h_0`` and ``c_0`` for ``"{}_0"``."""
    return {pattern.format(name): part for name, part in zip("hc", parts, strict=False)}


def rnn_gradients(module: nn.Module, x: Tensor, *state: Tensor) -> Arrays:
    """Outputs and gradients of sum(output * grad_output) + the same of every final state."""
    for leaf in (*state, x):
        leaf.requires_grad_()
    output, final = module(x, state if len(state) > 1 else state[0])
    final = final if isinstance(final, tuple) else (final,)
    incoming = [torch.randn_like(tensor) for tensor in (output, *final)]
    torch.autograd.backward([output, *final], incoming)
    forward = {"x": x, **states("{}_0", state), "output": output, **states("{}_n", final)}
    backward = {"grad_output": incoming[0], **states("grad_{}_n", incoming[1:])}
    gradients = {"grad/x": x.grad, **states("grad/{}_0", [part.grad for part in state])}
    for name, parameter in module.named_parameters():
        forward[f"weights/{name}"] = parameter
        gradients[f"grad/{name}"] = parameter.grad
    return {name: array(value) for name, value in (forward | backward | gradients).items()}


def rnn_vectors() -> Iterator[tuple[str, Arrays]]:
    for nonlinearity in ("tanh", "relu", "sigmoid"):
        for name, dtype in DTYPES.items():
            module = rnn_module(nonlinearity, dtype)
            x = torch.randn(SEQ_LEN, BATCH, INPUT, dtype=dtype)
            h_0 = torch.randn(1, BATCH, HIDDEN, dtype=dtype)
            yield f"{nonlinearity}/{name}", rnn_gradients(module, x, h_0)


def ids_gradients(module: nn.Module, dtype: torch.dtype, num_states: int) -> Arrays:
    """Token ids, which PyTorch needs as one-hot rows; id 2 never occurs and id 0 recurs."""
    ids = torch.tensor([[0, 3, 5], [0, 0, 1], [4, 3, 0], [5, 5, 5]])
    x = nn.functional.one_hot(ids, CLASSES).to(dtype)
    state = [torch.randn(1, BATCH, HIDDEN, dtype=dtype) for _ in range(num_states)]
    vectors = rnn_gradients(module, x, *state)
    del vectors["grad/x"]
    return vectors | {"x": ids.numpy()}


def ids_vectors() -> Iterator[tuple[str, Arrays]]:
    for name, dtype in DTYPES.items():
        yield f"ids/{name}", ids_gradients(rnn_module("tanh", dtype, inputs=CLASSES), dtype, 1)


def linear_vectors() -> Iterator[tuple[str, Arrays]]:
    for name, dtype in DTYPES.items():
        module = nn.Linear(INPUT, CLASSES, dtype=dtype)
        x = torch.randn(SEQ_LEN, BATCH, INPUT, dtype=dtype, requires_grad=True)
        y = module(x)
        grad_y = torch.randn_like(y)
        y.backward(grad_y)
        vectors = {"x": x, "weight": module.weight, "bias": module.bias, "y": y, "grad_y": grad_y}
        grads = {"x": x.grad, "weight": module.weight.grad, "bias": module.bias.grad}
        yield (
            f"linear/{name}",
            {k: array(v) for k, v in vectors.items()}
            | under("grad", {k: array(v) for k, v in grads.items()}),
        )


def loss_vectors() -> Iterator[tuple[str, Arrays]]:
    for name, dtype in DTYPES.items():
        logits = 3 * torch.randn(SEQ_LEN, BATCH, CLASSES, dtype=dtype)
        ids = torch.randint(CLASSES, (SEQ_LEN, BATCH))
        values = torch.randn(SEQ_LEN, BATCH, CLASSES, dtype=dtype)
        yield name, {"logits": array(logits), "ids": array(ids), "values": array(values)}
        for reduction in ("mean", "sum"):
            for loss_name in ("cross_entropy", "mse"):
                scores = logits.clone().requires_grad_()
                if loss_name == "mse":
                    loss = nn.functional.mse_loss(scores, values, reduction=reduction)
                else:
                    flat = scores.flatten(0, 1), ids.flatten()
                    loss = nn.functional.cross_entropy(*flat, reduction=reduction)
                loss.backward()
                arrays = {"loss": array(loss), "grad": array(scores.grad)}
                yield f"{name}/{loss_name}/{reduction}", arrays


def set_gradients(parameters: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.grad = gradients[name].clone()


def optimizer_vectors() -> Iterator[tuple[str, Arrays]]:
    """Ten steps of a Linear(3, 2) under given gradients, which differ in scale by element."""
    shapes = {"weight": (2, 3), "bias": (2,)}
    start = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    scale = {name: 10 ** (2 * torch.rand(shape) - 1.5) for name, shape in shapes.items()}
    gradients = {
        name: scale[name] * torch.randn(10, *shape, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    yield "start", {name: array(value) for name, value in start.items()}
    yield "gradients", {name: array(value) for name, value in gradients.items()}
    for case, (optimizer_class, options) in OPTIMIZERS.items():
        parameters = {name: value.clone().requires_grad_() for name, value in start.items()}
        optimizer = optimizer_class(parameters.values(), **options)
        path: dict[str, list[np.ndarray]] = {name: [] for name in shapes}
        for step in range(10):
            set_gradients(parameters, {name: g[step] for name, g in gradients.items()})
            optimizer.step()
            for name, parameter in parameters.items():
                path[name].append(array(parameter))
        options_json = np.array(json.dumps([optimizer_class.__name__, options]))
        yield case, {name: np.stack(p) for name, p in path.items()} | {"options": options_json}


def clipping_vectors() -> Iterator[tuple[str, Arrays]]:
    parameters = {"weight": torch.zeros(2, 3).double(), "bias": torch.zeros(2).double()}
    gradients = {name: torch.randn_like(parameter) for name, parameter in parameters.items()}
    yield "gradients", {name: array(value) for name, value in gradients.items()}
    for max_norm in (0.5, 100.0):
        set_gradients(parameters, gradients)
        total = nn.utils.clip_grad_norm_(parameters.values(), max_norm)
        clipped = {name: array(parameter.grad) for name, parameter in parameters.items()}
        yield f"norm/{max_norm}", clipped | {"total": array(total)}
    set_gradients(parameters, gradients)
    nn.utils.clip_grad_value_(parameters.values(), 0.3)
    yield "value/0.3", {name: array(parameter.grad) for name, parameter in parameters.items()}


def initial_parameters(module: nn.Module, readout: nn.Module) -> Arrays:
    arrays = under("rnn", {name: array(p) for name, p in module.named_parameters()})
    return arrays | under("readout", {name: array(p) for name, p in readout.named_parameters()})


def regression_curve(nonlinearity: str, dtype: torch.dtype) -> Arrays:
    """Ten steps of full-batch training: every output against a target, mean squared error."""
    module, readout = rnn_module(nonlinearity, dtype), nn.Linear(HIDDEN, 2, dtype=dtype)
    x = torch.randn(SEQ_LEN, BATCH, INPUT, dtype=dtype)
    h_0 = torch.randn(1, BATCH, HIDDEN, dtype=dtype)
    target = torch.randn(SEQ_LEN, BATCH, 2, dtype=dtype)
    arrays = initial_parameters(module, readout)
    optimizer = torch.optim.SGD([*module.parameters(), *readout.parameters()], 0.1, momentum=0.9)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(readout(module(x, h_0)[0]), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    data = {"x": array(x), "h_0": array(h_0), "target": array(target), "losses": np.array(losses)}
    return arrays | data


def curve_vectors() -> Iterator[tuple[str, Arrays]]:
    for nonlinearity in ("tanh", "relu", "sigmoid"):
        for name, dtype in DTYPES.items():
            yield f"{nonlinearity}/{name}", regression_curve(nonlinearity, dtype)


def text_chunks(text: str, batch: int, seq_len: int, chunks: int) -> tuple[np.ndarray, int]:
    """The text as ``batch`` parallel streams of ids, shape (chunks * seq_len + 1, batch).

    The text repeats as often as needed. Stream b starts where stream b - 1 has ended, and chunk k
    reads rows [k * seq_len, (k + 1) * seq_len) to predict the same rows one step later.
    """
    vocabulary = sorted(set(text))
    length = chunks * seq_len
    repeated = text * (batch * length // len(text) + 2)
    ids = np.array([vocabulary.index(c) for c in repeated], dtype=np.int64)
    streams = [ids[b * length : (b + 1) * length + 1] for b in range(batch)]
    return np.stack(streams, axis=1), len(vocabulary)


def train_on_text(
    modules: tuple[nn.Module, nn.Module],
    optimizer: torch.optim.Optimizer,
    ids: np.ndarray,
    seq_len: int,
    state: tuple[Tensor, ...],
    max_norm: float,
) -> Iterator[tuple[float, float]]:
    """One pass of truncated BPTT over the rows of ids; yields each step's loss and norm."""
    module, readout = modules
    parameters = [*module.parameters(), *readout.parameters()]
    dtype, classes = parameters[0].dtype, readout.out_features
    for start in range(0, len(ids) - 1, seq_len):
        x = torch.from_numpy(ids[start : start + seq_len])
        target = torch.from_numpy(ids[start + 1 : start + seq_len + 1])
        one_hot = nn.functional.one_hot(x, classes).to(dtype)
        output, final = module(one_hot, state if len(state) > 1 else state[0])
        final = final if isinstance(final, tuple) else (final,)
        state = tuple(part.detach() for part in final)
        logits = readout(output)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, max_norm).item()
        optimizer.step()
        yield loss.item(), norm


def text_training(cell: type[nn.Module] = nn.RNN, num_states: int = 1) -> Arrays:
    """One hundred steps of truncated BPTT; every ten chunks the streams start again from zero."""
    hidden, batch, seq_len, chunks, passes = 32, 8, 25, 10, 10
    ids, classes = text_chunks(TEXT, batch, seq_len, chunks)
    modules = cell(classes, hidden), nn.Linear(hidden, classes)
    arrays = initial_parameters(*modules)
    parameters = [*modules[0].parameters(), *modules[1].parameters()]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    zeros = (torch.zeros(1, batch, hidden),) * num_states
    curve = [
        step
        for _ in range(passes)
        for step in train_on_text(modules, optimizer, ids, seq_len, zeros, max_norm=0.5)
    ]
    losses, norms = np.array(curve).T
    sizes = {"seq_len": np.int64(seq_len), "passes": np.int64(passes)}
    return arrays | sizes | {"ids": ids.astype(np.uint8), "losses": losses, "norms": norms}


def text_curve(cell: type[nn.Module], num_states: int, dtype: torch.dtype) -> Arrays:
    """Ten steps on ten chunks of text, the state carried over from one that is not zero."""
    ids, classes = text_chunks(TEXT[:40], BATCH, SEQ_LEN, 10)
    modules = cell(classes, HIDDEN, dtype=dtype), nn.Linear(HIDDEN, classes, dtype=dtype)
    arrays = initial_parameters(*modules)
    parameters = [*modules[0].parameters(), *modules[1].parameters()]
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9)
    state = tuple(torch.randn(1, BATCH, HIDDEN, dtype=dtype) for _ in range(num_states))
    curve = list(train_on_text(modules, optimizer, ids, SEQ_LEN, state, max_norm=np.inf))
    losses, norms = np.array(curve).T
    arrays |= {name: array(part) for name, part in states("{}_0", state).items()}
    arrays |= {"seq_len": np.int64(SEQ_LEN), "ids": ids.astype(np.uint8)}
    return arrays | {"losses": losses, "norms": norms}


def gated_vectors(cell: type[nn.Module], num_states: int) -> Iterator[tuple[str, Arrays]]:
    """What the other files hold of the Elman cell, for a cell with gates."""
    for name, dtype in DTYPES.items():
        x = torch.randn(SEQ_LEN, BATCH, INPUT, dtype=dtype)
        state = [torch.randn(1, BATCH, HIDDEN, dtype=dtype) for _ in range(num_states)]
        yield f"floats/{name}", rnn_gradients(cell(INPUT, HIDDEN, dtype=dtype), x, *state)
        yield f"ids/{name}", ids_gradients(cell(CLASSES, HIDDEN, dtype=dtype), dtype, num_states)
        yield f"curve/{name}", text_curve(cell, num_states, dtype)
    yield "text", text_training(cell, num_states)


def collect(vectors: Callable[[], Iterator[tuple[str, Arrays]]]) -> Arrays:
    collected: Arrays = {}
    for prefix, arrays in vectors():
        collected |= under(prefix, arrays)
    return collected


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(20)
    files = {
        "rnn": collect(rnn_vectors),
        "ids": collect(ids_vectors),
        "linear": collect(linear_vectors),
        "losses": collect(loss_vectors),
        "optimizers": collect(optimizer_vectors),
        "clipping": collect(clipping_vectors),
        "curves": collect(curve_vectors),
        "text": text_training(),
        "lstm": collect(partial(gated_vectors, nn.LSTM, num_states=2)),
        "gru": collect(partial(gated_vectors, nn.GRU, num_states=1)),
    }
    for name, arrays in files.items():
        np.savez_compressed(HERE / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main()
