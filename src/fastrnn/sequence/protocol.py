"""scikit-learn's protocol for estimators, without scikit-learn.

``clone``, ``cross_val_score``, ``Pipeline`` and ``GridSearchCV`` ask for parameters that are named
in ``__init__`` and stored as given, for ``fit`` that checks them, for results in attributes that
end in an underscore, and for tags. https://scikit-learn.org/stable/developers/develop.html
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """Parameters by name, and what scikit-learn wants to know."""

    _estimator_type: str

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in sorted(self._defaults().items())
            if repr(getattr(self, name)) != repr(default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as they were given.

        Parameters
        ----------
        deep : bool
            Without effect: no parameter is an estimator.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self: Self, **params: Any) -> Self:
        """Set parameters by name; the next ``fit`` checks and uses them.

        Returns
        -------
        Itself.

        Raises
        ------
        ValueError
            If there is no such parameter. Then none is set.
        """
        names = sorted(self._defaults())
        for name in params:
            if name not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. "
                    f"Valid parameters are: {names}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn import utils  # who asks for tags has it

        is_classifier = self._estimator_type == "classifier"
        return utils.Tags(
            estimator_type=self._estimator_type,
            target_tags=utils.TargetTags(required=True, multi_output=not is_classifier),
            transformer_tags=None,
            classifier_tags=utils.ClassifierTags() if is_classifier else None,
            regressor_tags=None if is_classifier else utils.RegressorTags(),
            input_tags=utils.InputTags(two_d_array=True, three_d_array=True),
        )

    def _require_fitted(self) -> None:
        """Refuse to predict before fit.

        Raises
        ------
        ValueError
            scikit-learn's NotFittedError, which is one, where it has been imported.
        """
        if not hasattr(self, "network_"):
            module = sys.modules.get("sklearn.exceptions")
            error = ValueError if module is None else module.NotFittedError
            raise error(f"this {type(self).__name__} has not been fitted; call fit(X, y) first")
