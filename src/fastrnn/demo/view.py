"""What a view of the page is."""

from __future__ import annotations

from typing import Any, ClassVar

from fastrnn.demo.session import Session


class View:
    """A view of the page, built when it is opened, once for each reader.

    To add one: ``models/<name>.py`` with a plain class that has the numbers, from compiled layers;
    ``views/<name>.py`` with a subclass of this, and ``VIEW`` as another name for it; its name in
    ``views/__init__.py``; tests. ``views/one_neuron.py`` is one to begin from. Controls and panes
    are made once, in ``__init__``, and change by their values: ``object`` of a text, ``data`` of a
    figure's source.

    Attributes
    ----------
    name : str
        Its heading and its entry in the navigation.
    slug : str
        Its address.
    explanation : str
        Two sentences for somebody who has never met an RNN.
    """

    name: ClassVar[str]
    slug: ClassVar[str]
    explanation: ClassVar[str]

    def __init__(self, session: Session) -> None:
        self.session = session

    def panel(self) -> Any:
        """Return what stands below the explanation, the formula first."""
        raise NotImplementedError
