"""One training step, all or nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrnn.errors import NonFiniteLossError
from fastrnn.network import Network
from fastrnn.optim import Optimizer, clip_grad_norm, clip_grad_value


class Updates:
    """Gradient, clipping and update of a network, whose weights are sound after every step.

    A step that is interrupted or meets a number that is not finite is undone. If it was the loss
    that was not finite, the update before it, which led there, is undone too.

    Parameters
    ----------
    network : Network
        What is trained.
    optimizer : Optimizer
        Of that network; its ``lr`` may be set between steps.
    clip_norm, clip_value : float, optional
        Limits of the gradients' common norm and, applied first, of their elements.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._clip_norm = clip_norm
        self._clip_value = clip_value
        self._weights = network.state_dict()
        self._count = 0

    def make(self, *batch: Any, **options: Any) -> tuple[float, np.ndarray]:
        """Follow the gradient of one batch; what it takes are ``loss_and_grad``'s arguments.

        Returns
        -------
        loss : float
            The batch's loss before the update.
        h_n : np.ndarray
            The final state.

        Raises
        ------
        NonFiniteLossError
            If the loss, or a weight after the update, is NaN or infinite.
        """
        self._count += 1
        self._optimizer.zero_grad()
        loss, h_n = self._network.loss_and_grad(*batch, **options)
        if not math.isfinite(loss):
            self._network.load_state_dict(self._weights)
            raise self._not_finite("the loss")
        self._weights = self._network.state_dict()
        try:
            self._clip_and_update()
        except BaseException as error:  # also an interrupt between two modules' updates
            self._network.load_state_dict(self._weights)
            if isinstance(error, FloatingPointError):
                raise self._not_finite("the gradient or a weight") from None
            raise
        return loss, h_n

    def _clip_and_update(self) -> None:
        if self._clip_value is not None:
            clip_grad_value(self._network, self._clip_value)
        if self._clip_norm is not None:
            clip_grad_norm(self._network, self._clip_norm)
        self._optimizer.step()
        for module in self._network.modules:
            for name, weight in module.parameters().items():
                if not np.isfinite(weight).all():
                    raise FloatingPointError(f"{name} is not finite")

    def _not_finite(self, what: str) -> NonFiniteLossError:
        if self._clip_norm is None:
            clip = "set clip_norm, for example to 5.0"
        else:
            clip = f"a smaller clip_norm than {self._clip_norm:g}"
        return NonFiniteLossError(
            f"{what} of training step {self._count} is not finite, so training stopped and the "
            f"model keeps the weights from before; try a learning rate well below "
            f"lr={self._optimizer.lr:g}, {clip}, or the nonlinearity 'tanh'"
        )
