"""The stages of the worked example: one sentence, one equation with its numbers, one table each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fastrnn.demo import parts
from fastrnn.demo.models.worked import (
    INPUTS,
    KINDS,
    STEPS,
    TARGETS,
    WORDS,
    Group,
    Worked,
)

Write = Callable[[float], str]  # a number, with the decimals that the reader chose


@dataclass(frozen=True)
class Stage:
    """A stage of the walk.

    Attributes
    ----------
    name, words : str
        Its entry in the list, and what happens, in plain language.
    equation, table : callable
        Given what was worked out and how to write a number, the lines of an equation and a table,
        in HTML.
    """

    name: str
    words: str
    equation: Callable[[Worked, Write], list[str]]
    table: Callable[[Worked, Write], str]


def stages() -> list[Stage]:
    """Return all stages, in order."""
    return [
        Stage(
            "The task",
            "The network reads one word after the other and has to say which comes next; all it "
            "knows are the numbers under “All numbers”. “!” is a word too, and after it “!” is to "
            "come again, for there the text is over.",
            lambda worked, write: [TASK],
            lambda worked, write: _words(),
        ),
        *(_forward(t) for t in range(STEPS)),
        Stage(
            "The loss",
            "How wrong the network was, in one number: the four losses added up.",
            _loss,
            _losses,
        ),
        *(_backward(t) for t in reversed(range(STEPS))),
        Stage(
            "The sums",
            "All four copies of the cell share the same weights, so what each of them asks for is "
            "added up: that is the gradient, the slope of the loss for each number.",
            _sum,
            _sums,
        ),
        Stage(
            "A check",
            "Nobody has to believe this: move one number a tiny bit up and down, run the network "
            "forward both times, and the loss itself shows the slope.",
            _nudge,
            _checks,
        ),
        Stage(
            "One step",
            "Every number moves a little downhill, against its slope; how far is the learning "
            "rate's to say.",
            _step,
            _after,
        ),
        Stage(
            "Many steps",
            "The same again and again: that is all that training is. Watch the loss: usually it "
            "falls; with a learning rate that is too large it jumps about or rises.",
            lambda worked, write: [
                "<i>θ</i> ← <i>θ</i> − <i>η</i> · d<i>L</i>/d<i>θ</i> = <i>θ</i> − "
                f"<b>{worked.example.lr:g}</b> · d<i>L</i>/d<i>θ</i>, for every number <i>θ</i>"
            ],
            lambda worked, write: "",
        ),
    ]


def _forward(t: int) -> Stage:
    word, next_word = WORDS[INPUTS[t]], WORDS[TARGETS[t]]
    first = "from the initial state and " if t == 0 else "from the state before and "
    return Stage(
        f"Forward, step {t + 1}: “{word}”",
        f"{first.capitalize()}“{word}” the cell makes a new state, and from that a probability "
        f"for every word; the less “{next_word}” gets, the larger the loss.",
        lambda worked, write: _cell(worked, t, write) + _says(worked, t, write),
        lambda worked, write: _steps(worked.forward(), write, t, upto=t),
    )


def _backward(t: int) -> Stage:
    later = (
        "Nothing comes after this step, so only its own loss asks for another state."
        if t == STEPS - 1
        else "The state should have been different for this step’s own loss, and for all later "
        "ones, whose wish arrives through the state that was handed on."
    )
    own = (
        "What its own loss asks for: each word’s error, dL/dy, goes back to the state through the "
        "weight W_hy by which the state had spoken for that word, and the four are added up."
    )
    return Stage(
        f"Backward, step {t + 1}: “{WORDS[INPUTS[t]]}”",
        f"{later} {own}",
        lambda worked, write: _wishes(worked, t, write),
        lambda worked, write: _steps(worked.backward(), write, t, since=t),
    )


TASK = (
    "<i>h<sub>t</sub></i> = cell( <i>x<sub>t</sub></i>, <i>h</i><sub><i>t</i>−1</sub> ), "
    "<i>y<sub>t</sub></i> = <i>W<sub>hy</sub> h<sub>t</sub></i> + <i>b<sub>y</sub></i>, "
    "<i>p<sub>t</sub></i> = softmax( <i>y<sub>t</sub></i> )"
)


def _cell(worked: Worked, t: int, write: Write) -> list[str]:
    """Return how the cell makes its state, in general and of each unit."""
    cell, nonlinearity, _, _ = KINDS[worked.example.kind]
    if cell == "rnn":
        return _elman(worked, t, write, "tanh" if nonlinearity == "tanh" else "ReLU")
    gates = {name: values[t] for name, values in worked.gates.items()}
    before, after = worked.copies[t].state_before, worked.copies[t].state
    b, lines = _writer(write), [GENERAL[cell]]
    for k, now in enumerate(_now(worked, t)):
        if cell == "gru":
            z, n = gates["z"][k], gates["n"][k]
            lines.append(
                f"<i>h</i>{now} = (1 − {b(z)}) · {b(n, 1)} + {b(z)} · {b(before[0][0, k], 1)} = "
                f"{b(after[0][0, k])}"
            )
        else:
            i, f, g, o = (gates[name][k] for name in "ifgo")
            c = after[1][0, k]
            lines += [
                f"<i>c</i>{now} = {b(f)} · {b(before[1][0, k], 1)} + {b(i)} · {b(g, 1)} = {b(c)}",
                f"<i>h</i>{now} = {b(o)} · tanh( {b(c)} ) = {b(after[0][0, k])}",
            ]
    return lines


GENERAL = {
    "rnn": "<i>a<sub>t</sub></i> = <i>W<sub>ih</sub> x<sub>t</sub></i> + <i>b<sub>ih</sub></i> + "
    "<i>W<sub>hh</sub> h</i><sub><i>t</i>−1</sub> + <i>b<sub>hh</sub></i>, "
    "<i>h<sub>t</sub></i> = {f}( <i>a<sub>t</sub></i> )",
    "gru": "<i>h<sub>t</sub></i> = (1 − <i>z</i>) · <i>n</i> + <i>z</i> · "
    "<i>h</i><sub><i>t</i>−1</sub>, where <i>r</i>, <i>z</i> and <i>n</i> each come from "
    "<i>x<sub>t</sub></i> and <i>h</i><sub><i>t</i>−1</sub> by weights of their own",
    "lstm": "<i>c<sub>t</sub></i> = <i>f</i> · <i>c</i><sub><i>t</i>−1</sub> + <i>i</i> · "
    "<i>g</i>, <i>h<sub>t</sub></i> = <i>o</i> · tanh( <i>c<sub>t</sub></i> ), where <i>i</i>, "
    "<i>f</i>, <i>g</i> and <i>o</i> each come from <i>x<sub>t</sub></i> and "
    "<i>h</i><sub><i>t</i>−1</sub> by weights of their own",
}


def _elman(worked: Worked, t: int, write: Write, f: str) -> list[str]:
    b, numbers = _writer(write), worked.example.numbers
    before, after = worked.copies[t].state_before[0][0], worked.copies[t].state[0][0]
    assert worked.pre_activations is not None
    lines = [GENERAL["rnn"].format(f=f)]
    for k, now in enumerate(_now(worked, t)):
        a = b(worked.pre_activations[t, k])
        lines.append(
            f"<i>a</i>{now} = {b(numbers['rnn.weight_ih_l0'][k, INPUTS[t]])} + "
            f"{b(numbers['rnn.bias_ih_l0'][k], 1)} + "
            f"{_product(numbers['rnn.weight_hh_l0'][k], before, b)} + "
            f"{b(numbers['rnn.bias_hh_l0'][k], 1)} = {a}, "
            f"<i>h</i>{now} = {f}( {a} ) = {b(after[k])}"
        )
    return lines


def _says(worked: Worked, t: int, write: Write) -> list[str]:
    """Return the logit, the probability and the loss of the word that should come."""
    b, copy, target = _writer(write), worked.copies[t], TARGETS[t]
    numbers, word = worked.example.numbers, WORDS[target]
    product = _product(numbers["readout.weight"][target], copy.output, b)
    p = b(worked.probabilities[t, target])
    return [
        f"<i>y</i>[{word}] = {product} + {b(numbers['readout.bias'][target], 1)} = "
        f"{b(copy.prediction[target])}, <i>p</i>[{word}] = softmax( <i>y</i> )[{word}] = {p}, "
        f"<i>L</i><sub>{t + 1}</sub> = −ln {p} = {b(copy.loss)}"
    ]


def _loss(worked: Worked, write: Write) -> list[str]:
    b = _writer(write)
    symbols = " + ".join(f"<i>L</i><sub>{t + 1}</sub>" for t in range(STEPS))
    terms = " + ".join(b(copy.loss) for copy in worked.copies)
    return [f"<i>L</i> = {symbols} = {terms} = {b(worked.loss)}"]


def _wishes(worked: Worked, t: int, write: Write) -> list[str]:
    """Return what reaches the logits, the state and the weights at a step, going back."""
    b, copy, target = _writer(write), worked.copies[t], TARGETS[t]
    word, readout = WORDS[target], worked.example.numbers["readout.weight"]
    lines = [
        f"d<i>L</i>/d<i>y</i>[{word}] = <i>p</i>[{word}] − 1 = "
        f"{b(worked.probabilities[t, target])} − 1 = {b(copy.grad_prediction[target])}"
    ]
    for k, now in enumerate(_now(worked, t)):
        own, later = copy.grad_output[k], copy.grad_state[0][0, k]
        both = b(own + later)
        lines.append(f"own{now} = {_product(readout[:, k], copy.grad_prediction, b)} = {b(own)}")
        line = f"d<i>L</i>/d<i>h</i>{now} = own{now} + later = {b(own)} + {b(later, 1)} = {both}"
        if worked.pre_activations is not None:
            slope = f"(1 − {b(copy.output[k], 1)}²)"
            if KINDS[worked.example.kind][1] == "relu":
                slope = f"<b>{int(worked.pre_activations[t, k] > 0)}</b>"
            through = b(copy.grads["rnn.bias_ih_l0"][k])
            line += f", d<i>L</i>/d<i>a</i>{now} = {both} · {slope} = {through}"
        lines.append(line)
    return lines


def _shown(worked: Worked) -> tuple[str, str]:
    """Return W_hh and the name of its first number, by which the last stages are shown."""
    matrix = worked.example.parameters()[1]
    return matrix.name, f"<i>{matrix.labels()[0]}</i>"


def _sum(worked: Worked, write: Write) -> list[str]:
    b, (key, name) = _writer(write), _shown(worked)
    terms = [copy.grads[key].flat[0] for copy in worked.copies]
    added = " + ".join([b(terms[0]), *(b(term, 1) for term in terms[1:])])
    return [f"d<i>L</i>/d{name} = {added} = {b(worked.gradients[key].flat[0])}"]


def _nudge(worked: Worked, write: Write) -> list[str]:
    b, (key, name) = _writer(write), _shown(worked)
    number = b(worked.example.numbers[key].flat[0])
    return [
        f"d<i>L</i>/d{name} ≈ ( <i>L</i>({number} + <i>ε</i>) − <i>L</i>({number} − <i>ε</i>) ) "
        f"/ 2<i>ε</i> = {b(worked.slopes[key].flat[0])}"
    ]


def _step(worked: Worked, write: Write) -> list[str]:
    b, (key, name) = _writer(write), _shown(worked)
    before, slope = worked.example.numbers[key].flat[0], worked.gradients[key].flat[0]
    try:
        after = b(worked.after().numbers[key].flat[0])
    except FloatingPointError:
        after = "too large"
    return [
        f"{name} ← {name} − <i>η</i> · d<i>L</i>/d{name} = {b(before)} − "
        f"<b>{worked.example.lr:g}</b> · {b(slope, 1)} = {after}"
    ]


def _sums(worked: Worked, write: Write) -> str:
    """Return what the copies add to each gradient, and the gradient."""
    sums = {
        matrix.symbol: worked.gradients[matrix.name].ravel()
        for matrix in worked.example.parameters()
    }
    return _steps([group for group in worked.backward() if group.key in sums], write, 0, sums=sums)


def _words() -> str:
    rows = [
        [str(t + 1), f"“{WORDS[reads]}”", f"“{WORDS[says]}”"]
        for t, (reads, says) in enumerate(zip(INPUTS, TARGETS, strict=True))
    ]
    return _table("The task", ["step", "reads", "next word"], rows)


def _losses(worked: Worked, write: Write) -> str:
    rows = [
        [str(t + 1), f"“{WORDS[INPUTS[t]]}”", f"“{WORDS[TARGETS[t]]}”",
         write(worked.probabilities[t, TARGETS[t]]), write(copy.loss)]
        for t, copy in enumerate(worked.copies)
    ]  # fmt: skip
    rows.append(["sum", "", "", "", write(worked.loss)])
    return _table("Losses", ["step", "reads", "next word", "its p", "loss"], rows)


def _checks(worked: Worked, write: Write) -> str:
    return _of_parameters(
        worked, "Gradients", {"by BPTT": worked.gradients, "by nudging": worked.slopes},
        write,
    )  # fmt: skip


def _after(worked: Worked, write: Write) -> str:
    before = {"before": worked.example.numbers, "slope": worked.gradients}
    try:
        after = {"after": worked.after().numbers}
    except FloatingPointError as error:
        return parts.sentence(f"Not taken: {error}.", "warn")
    return _of_parameters(worked, "One step", {**before, **after}, write)


def learned(before: Worked, after: Worked, write: Write) -> str:
    """Return what the network says next, before and after a training."""
    rows = []
    for t, target in enumerate(TARGETS):
        likely = WORDS[int(after.probabilities[t].argmax())]
        p, q = before.probabilities[t, target], after.probabilities[t, target]
        words = [f"“{word}”" for word in (WORDS[INPUTS[t]], WORDS[target], likely)]
        rows.append([*words[:2], write(p), write(q), words[2]])
    titles = ["reads", "next word", "its p before", "its p after", "now says"]
    return _table("What was learned", titles, rows)


def _of_parameters(
    worked: Worked, name: str, columns: dict[str, dict[str, np.ndarray]], write: Write
) -> str:
    """Return a table with a row for each trained number."""
    body = []
    for matrix in worked.example.parameters():
        body.append(_heading(f"{matrix.symbol}, {matrix.title}", len(columns) + 1))
        for index, label in enumerate(matrix.labels()):
            cells = "".join(
                f'<td data-cell="{label} {title}">{write(values[matrix.name].flat[index])}</td>'
                for title, values in columns.items()
            )
            body.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{title}</th>' for title in columns)
    return _framed(name, f'<tr><th scope="col">number</th>{head}</tr>', body)


def _steps(
    groups: Sequence[Group],
    write: Write,
    now: int,
    *,
    since: int = 0,
    upto: int = STEPS - 1,
    sums: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> str:
    """Return a table with a column for each step, filled as far as the walk has come."""
    width = STEPS + 1 + bool(sums)
    glow = [' class="now"' if t == now and not sums else "" for t in range(STEPS)]
    names = "".join(
        f'<th scope="col"{glow[t]}>{t + 1}<br>“{WORDS[word]}”</th>' for t, word in enumerate(INPUTS)
    )
    last = '<th scope="col" class="sum">sum</th>' if sums else ""
    body = []
    for group in groups:
        body.append(_heading(group.title, width))
        for index, (label, row) in enumerate(zip(group.labels, group.values, strict=True)):
            cells = ""
            for t, value in enumerate(row):
                shown = _value(group, value, write) if since <= t <= upto else ""
                cells += f'<td data-cell="{group.key} {label} {t + 1}"{glow[t]}>{shown}</td>'
            if sums:
                total = write(sums[group.key][index])
                cells += f'<td class="sum" data-cell="{label} sum">{total}</td>'
            body.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    return _framed(
        "The numbers of every step", f'<tr><th scope="col">step</th>{names}{last}</tr>', body
    )


def _value(group: Group, value: float, write: Write) -> str:
    return f"{value:g}" if group.key == "x" else write(value)


def _heading(words: str, width: int) -> str:
    return f'<tr class="group"><th colspan="{width}" scope="colgroup">{words}</th></tr>'


def _table(name: str, titles: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return _framed(name, f"<tr>{head}</tr>", body, "walk of-words")


def _framed(name: str, head: str, body: list[str], kind: str = "walk") -> str:
    rows = "".join(body)
    return parts.scroll(
        name, f'<table class="{kind}"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    )


def _now(worked: Worked, t: int) -> list[str]:
    """Return the index of each unit's numbers at step t."""
    if worked.example.hidden_size == 1:
        return [f"<sub>{t + 1}</sub>"]
    return [f"<sub>{k + 1},{t + 1}</sub>" for k in range(worked.example.hidden_size)]


def _product(weights: np.ndarray, values: np.ndarray, b: Callable[..., str]) -> str:
    pairs = list(zip(weights, values, strict=True))
    return " + ".join(f"{b(weight, 1)} · {b(value, 1)}" for weight, value in pairs)


def _writer(write: Write) -> Callable[..., str]:
    """Return what writes a number in an equation: no zeros after an exact one's last digit.

    As an operand, which is its second argument, a negative one stands in parentheses.
    """

    def bold(value: float, operand: int = 0) -> str:
        text = write(value)
        if "e" not in text and float(text.replace("−", "-")) == value:
            text = text.rstrip("0").rstrip(".")
        return f"<b>({text})</b>" if operand and text.startswith("−") else f"<b>{text}</b>"

    return bold
