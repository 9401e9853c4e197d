"""A text being written, character by character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check, _ops
from fastrnn.animate import drawing, film, sequences
from fastrnn.animate.drawing import INPUT, OUTPUT, QUIET, STATE
from fastrnn.corpus.vocabulary import Vocabulary
from fastrnn.plot.axes import AMBER
from fastrnn.text import CharRNN

# Of the characters to choose from, so many are drawn; and so many of the text's.
MOST_BARS, MOST_CHARACTERS = 8, 24

STAGES = ("prompt", "input", "state", "probabilities", "draw", "feed back")

# The cell, and the bars beside it.
_CELL, _BARS, _FLOOR, _TALL = 2.9, (6.2, 15.2), 3.3, 4.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Writing(film.Scene):
    """A moment of :func:`generating`.

    Attributes
    ----------
    stage : str
        One of ``STAGES``: the prompt is read; a character goes in; the state changes; the
        probabilities of the next one are there; it is drawn; it becomes the next input.
    text : str
        As far as it is written.
    character : str
        The one that goes in.
    state : ndarray of shape (size,)
        Before the state changes that of before, then the new one; of the layer's own size.
    characters : str
        Those that are shown to choose from, the likeliest first, and what is drawn among them.
    probabilities : tuple of float
        Theirs.
    drawn : str
        The one that is drawn.
    """

    stage: str
    text: str
    character: str
    state: np.ndarray
    characters: str = ""
    probabilities: tuple[float, ...] = ()
    drawn: str = ""


def generating(
    model: CharRNN | None = None,
    prompt: str = "to ",
    length: int = 5,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    hold: int = 12,
    figure: Any = None,
) -> Any:
    """Write a text: a character goes in, the state changes, one is drawn and goes in next.

    What is drawn is what :meth:`fastrnn.CharRNN.generate` draws.

    Parameters
    ----------
    model : CharRNN, optional
        Of characters. A small one that is trained on the spot unless given.
    prompt : str
        The beginning. The model starts an empty one as it does in ``generate``.
    length : int
        How many characters to write; with the prompt at most 24.
    temperature, seed
        As ``generate`` takes them. At temperature 0, where the likeliest character is taken, the
        probabilities shown are those of temperature 1.
    hold : int
        For how many frames a new caption stands.
    figure : matplotlib.figure.Figure, optional
        Where to draw, emptied before; a new one of 640 × 440 pixels unless given.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        To be saved by :func:`save`, or shown.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument has the wrong type or value.
    RuntimeError
        If the model has no vocabulary yet.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import animate
    >>> model = fastrnn.CharRNN(hidden_size=16).fit("to be or not to be. " * 20, steps=100)
    >>> animation = animate.generating(model, "to", length=3)  # doctest: +SKIP
    >>> animate.save(animation, "generating.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    if model is None:
        model = sequences.writer()
    scenes = writing(model, prompt, length, temperature, seed, hold)
    limit = drawing.limit_of_states(scene.state for scene in scenes)
    return film.film(
        figure, "A network writes a text", scenes, lambda ax, scene: _draw(ax, scene, limit)
    )


def writing(
    model: CharRNN, prompt: str, length: int, temperature: float, seed: int, hold: int
) -> list[Writing]:
    """Return the scenes of :func:`generating`."""
    long, short = film.checked_hold(hold)
    if not isinstance(model, CharRNN):
        raise TypeError(f"model must be a CharRNN, got {_check.describe(model)}")
    network, vocabulary, ids = model._start(prompt, None)
    if not isinstance(vocabulary, Vocabulary):
        raise ValueError(f"model must read characters, got one of bytes, {model!r}")
    count = len(prompt) + _check.integer("length", length)
    if count > MOST_CHARACTERS:
        raise ValueError(
            f"prompt and length must make at most {MOST_CHARACTERS} characters to be drawn, "
            f"got {count}"
        )
    text = model.generate(prompt, length, temperature, seed=seed)
    assert isinstance(text, str)
    given, known = text[: len(prompt)], vocabulary.characters
    state, before, scenes = None, np.zeros(network.layer.state_sizes[0]), []
    for k, t in enumerate(ids[:-1]):
        _, state = network(ids[k : k + 1], state)
        before = sequences.hidden(state)
        scenes.append(
            Writing(
                caption="The network is given the beginning of a text. It reads it, one character "
                "after the other, to get into the right state.",
                hold=long if k < 2 else short, stage="prompt", text=vocabulary.decode(ids[: k + 1]),
                character=known[t], state=before,
            )
        )  # fmt: skip
    character = known[ids[-1]]
    for k, drawn in enumerate(text[len(prompt) :]):
        logits, state = network(vocabulary.encode(character), state)
        after = sequences.hidden(state)
        shown, probabilities = chosen(logits[0], temperature or 1.0, known, drawn)
        said = _captions(
            character, drawn, probabilities[shown.index(drawn)], first=k == 0,
            shown=len(shown), known=len(known), is_sure=temperature == 0,
        )  # fmt: skip
        hold = long if k == 0 else short
        before_text = given + text[len(prompt) : len(prompt) + k]
        for stage, caption in said.items():
            later = STAGES.index(stage)
            scenes.append(
                Writing(
                    caption=caption, hold=hold, stage=stage,
                    text=before_text + (drawn if later >= 4 else ""),
                    character=drawn if stage == "feed back" else character,
                    state=before if stage == "input" else after,
                    characters=shown if later >= 3 else "",
                    probabilities=probabilities if later >= 3 else (),
                    drawn=drawn if later >= 4 else "",
                )
            )  # fmt: skip
        before, character = after, drawn
    return scenes


def chosen(
    logits: np.ndarray, temperature: float, known: str, drawn: str
) -> tuple[str, tuple[float, ...]]:
    """Return the likeliest characters, and what is drawn among them, with their probabilities."""
    wide = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # near temperature 0, where all but the likeliest are -inf
        rows = ((wide - wide.max()) / temperature)[None]
    _ops.softmax(rows)
    probabilities = rows[0]
    order = np.argsort(-probabilities, kind="stable")[:MOST_BARS]
    place = known.index(drawn)
    if place not in order:
        order[-1] = place
    return "".join(known[i] for i in order), tuple(float(probabilities[i]) for i in order)


def _captions(
    character: str,
    drawn: str,
    probability: float,
    *,
    first: bool,
    shown: int,
    known: int,
    is_sure: bool,
) -> dict[str, str]:
    """Return what is said at each stage of a character, at length the first time.

    ``probability`` is that of what is drawn, ``shown`` of ``known`` characters are to be seen, and
    ``is_sure`` says that the likeliest is taken.
    """
    went_in, came_out = f"“{drawing.shown(character)}”", f"“{drawing.shown(drawn)}”"
    result = f"{came_out}, which had {_percent(probability)}"
    if not first:
        return {
            "input": f"{went_in} goes in.",
            "state": f"The state takes in {went_in}.",
            "probabilities": "The probabilities of what may come next.",
            "draw": f"{'Taken' if is_sure else 'Drawn'}: {result}.",
            "feed back": f"{came_out} goes in next.",
        }
    together = "These probabilities add up to 100 %."
    if shown < known:
        together = f"Those of all {known} add up to 100 %; {shown} are shown, the likeliest first."
    how = "At temperature 0 the likeliest is taken"
    if not is_sure:
        how = "One of them is drawn, as with loaded dice"
    return {
        "input": f"The last character, {went_in}, goes in.",
        "state": "The cell mixes it with its memory: this gives the new state, the coloured "
        "numbers.",
        "probabilities": "From the state follows how probable each character is to come next. "
        f"{together}",
        "draw": f"{how}: {result}.",
        "feed back": f"What was {'taken' if is_sure else 'drawn'} becomes the next input: "
        f"{came_out} goes in, and all begins anew.",
    }


def _draw(ax: Any, scene: Writing, limit: float) -> None:
    later = STAGES.index(scene.stage)
    _draw_text(ax, scene)
    name = "h, its memory"
    drawing.box(ax, _CELL, 6.2, 3.6, 1.9, STATE, lit=scene.stage in ("prompt", "state"))
    drawing.write(ax, _CELL, 6.75, name, color=STATE, weight="bold")
    drawing.heat(ax, _CELL - 1.5, 5.55, 3.0, 0.7, scene.state[None], limit)
    goes_in = scene.stage in ("prompt", "input", "feed back")
    drawing.box(ax, _CELL, 3.1, 1.2, 1.2, INPUT, lit=goes_in)
    drawing.write(ax, _CELL, 3.1, drawing.shown(scene.character), size=15)
    drawing.write(ax, _CELL - 0.9, 3.1, "input", size=9, color=INPUT, ha="right")
    lit = scene.stage in ("prompt", "input")
    drawing.arrow(
        ax, (_CELL, 3.7), (_CELL, 5.25), INPUT if lit else QUIET, width=3.5 if lit else 1.5
    )
    lit = scene.stage == "probabilities"
    drawing.arrow(
        ax, (_CELL + 1.8, 6.2), (_BARS[0] - 0.2, 6.2), OUTPUT if lit else QUIET,
        width=3.5 if lit else 1.5,
    )  # fmt: skip
    drawing.arrow(ax, (_CELL - 1.8, 6.7), (_CELL - 1.8, 5.7), STATE, width=1.5, bend=1.2)
    if later >= 3:
        drawing.write(ax, sum(_BARS) / 2, 8.25, "what comes next?", size=9, color=OUTPUT)
        _draw_bars(ax, scene)


def _draw_text(ax: Any, scene: Writing) -> None:
    """Write the text so far, what was drawn last in a box of its own."""
    wide = 0.6
    left = 8 - wide * (len(scene.text) - 1) / 2
    for k, character in enumerate(scene.text):
        x = left + k * wide
        if scene.drawn and k == len(scene.text) - 1:
            drawing.box(ax, x, 9.2, 0.6, 0.95, AMBER, lit=True)
        drawing.write(ax, x, 9.2, drawing.shown(character), size=15, family="monospace")


def _draw_bars(ax: Any, scene: Writing) -> None:
    """Draw the probabilities, and the way of what is drawn back to the input."""
    left, right = _BARS
    wide = (right - left) / MOST_BARS
    for k, (character, probability) in enumerate(
        zip(scene.characters, scene.probabilities, strict=True)
    ):
        middle, is_drawn = left + (k + 0.5) * wide, character == scene.drawn
        height = _TALL * probability
        color = AMBER if is_drawn else OUTPUT
        drawing.bar(ax, middle - 0.35 * wide, _FLOOR, 0.7 * wide, max(height, 0.03), color)
        drawing.write(ax, middle, _FLOOR + height + 0.3, _percent(probability), size=8)
        drawing.write(ax, middle, _FLOOR - 0.45, drawing.shown(character), size=12)
        if is_drawn:
            drawing.box(ax, middle, _FLOOR - 0.45, 0.75, 0.75, AMBER)
        if is_drawn and scene.stage == "feed back":
            drawing.arrow(
                ax, (middle, _FLOOR - 0.85), (_CELL + 0.65, 2.75), AMBER, width=3, bend=-0.08
            )


def _percent(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.005 else "<1%"
