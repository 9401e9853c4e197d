"""The equations of updates, as what the kernels take: numbers, flags, and which means they need."""

from libc.stdint cimport int64_t


cdef class Rule:
    """One update's equation, by sgd(), rmsprop() or adam()."""


cdef Rule rule(int optimizer, tuple values, tuple flags, tuple needs):
    cdef Rule made = Rule()
    made.optimizer = optimizer
    for i, value in enumerate(values):
        made.values[i] = value
    for i, flag in enumerate(flags):
        made.flags[i] = flag
    for i, need in enumerate(needs):
        made.needs[i] = need
    return made


def sgd(double lr, double momentum, double dampening, double weight_decay, bint nesterov,
        bint is_first):
    """``is_first``: whether it is the first update."""
    return rule(OF_SGD, (lr, momentum, dampening, weight_decay), (nesterov, is_first),
                (momentum != 0,))


def rmsprop(double lr, double alpha, double eps, double weight_decay, double momentum):
    """Centered if there are means of the gradient."""
    return rule(OF_RMSPROP, (lr, alpha, eps, weight_decay, momentum), (),
                (True, False, momentum != 0))


def adam(double lr, double beta1, double beta2, double eps, double weight_decay, bint decoupled,
         int64_t step):
    """``step`` counts from 1."""
    corrections = 1 - beta1 ** step, 1 - beta2 ** step
    return rule(OF_ADAM, (lr, beta1, beta2, *corrections, eps, weight_decay), (decoupled,),
                (True, True))
