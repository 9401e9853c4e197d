class Rule: ...

def sgd(
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    is_first: bool,
) -> Rule: ...
def rmsprop(lr: float, alpha: float, eps: float, weight_decay: float, momentum: float) -> Rule: ...
def adam(
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> Rule: ...
