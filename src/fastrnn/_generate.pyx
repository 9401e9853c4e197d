"""Text from a network, one token after another: drawing, ends, beams, and its log-probability."""

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint64_t
from numpy.random cimport bitgen_t

from fastrnn import _ops, _threads
from fastrnn.errors import not_finite
from fastrnn._cells cimport Cells
from fastrnn._dispatch cimport k_cross_entropy, k_sample
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_sampling
from fastrnn._team cimport run_parts

cnp.import_array()

# What takes as long as so many multiply-adds: drawing one of several classes, for each of them, and
# seeing whether a text has come to one of its ends.
_CLASS_WORK = 200
_END_WORK = 50


@cython.final
cdef class Decoder:
    """Cells that put out logits: fed a token for each row, it has those of the next ones.

    What the loops below know of a network is all in here. It has the weights of when it was made:
    later changes do not reach it.
    """

    cdef readonly Py_ssize_t capacity, classes
    cdef Cells _cells
    cdef bint _is_float
    cdef object _owned
    cdef void *_logits

    def __init__(self, Cells cells):
        self._cells, self._is_float = cells, cells.is_float
        self.capacity, self.classes = cells.capacity, cells.classes
        self._owned = _ops.empty((self.capacity, self.classes), cells.dtype)
        self._logits = cnp.PyArray_DATA(self._owned)

    @property
    def row_work(self):
        """The multiply-adds of a row's step."""
        return self._cells.work

    cdef void step(self, const int64_t *ids, int threads) noexcept nogil:
        """Feed each row its token."""
        self._cells.advance(self._logits, NULL, ids, threads)

    cdef void step_rows(self, const int64_t *ids, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        """Feed some rows their tokens; a step is over when all have been, and the cells know it."""
        self._cells.advance_rows(self._logits, NULL, ids, first, last)

    cdef void select(self, const Py_ssize_t *parents, Py_ssize_t rows) noexcept nogil:
        """Go on with copies of these rows, in this order; the logits are lost."""
        self._cells.select(parents, rows)

    cdef Py_ssize_t sample(self, Py_ssize_t row, void *scratch, const int32_t *seen,
                           const fr_sampling *options, double uniform) noexcept nogil:
        """Draw a row's next token, or -1 if logits are no numbers; they are lost."""
        if self._is_float:
            return k_sample(&(<float *>self._logits)[row * self.classes], <float *>scratch, seen,
                            self.classes, options, uniform)
        return k_sample(&(<double *>self._logits)[row * self.classes], <double *>scratch, seen,
                        self.classes, options, uniform)

    cdef double logit(self, Py_ssize_t row, Py_ssize_t token) noexcept nogil:
        cdef Py_ssize_t i = row * self.classes + token
        return (<float *>self._logits)[i] if self._is_float else (<double *>self._logits)[i]

    cdef double log_prob(self, Py_ssize_t row, int64_t token) noexcept nogil:
        if self._is_float:
            return -k_cross_entropy(&(<const float *>self._logits)[row * self.classes], &token, 1,
                                    self.classes)
        return -k_cross_entropy(&(<const double *>self._logits)[row * self.classes], &token, 1,
                                self.classes)

    def log_probs(self, const int64_t[::1] ids, const int64_t[::1] targets):
        """Feed ids (T,) to the only row; return the log-probability of each target after its id."""
        result = np.empty(ids.shape[0])
        cdef double[::1] out = result
        cdef Py_ssize_t t, start, stop
        cdef uint64_t mode
        for start, stop in _threads.segments(ids.shape[0], self.row_work):
            PyErr_CheckSignals()
            with nogil:
                mode = fr_fpmode_flush()
                for t in range(start, stop):
                    self.step(&ids[t], 1)
                    out[t] = self.log_prob(0, targets[t])
                fr_fpmode_restore(mode)
        return result


@cython.final
cdef class Ends:
    """Sequences of tokens that end a text, found as it grows (Knuth, Morris and Pratt).

    Of a text, no more is remembered than how much of each sequence it ends with.
    """

    cdef readonly Py_ssize_t count
    cdef int64_t[::1] _tokens
    cdef Py_ssize_t[::1] _starts, _borders

    def __init__(self, list sequences):
        cdef Py_ssize_t i, k, matched
        self.count = len(sequences)
        lengths = [len(sequence) for sequence in sequences]
        self._starts = np.cumsum([0, *lengths]).astype(np.intp)
        self._tokens = np.concatenate([np.empty(0, np.int64), *sequences])
        # Of each beginning of a sequence, the longest shorter beginning that it ends with.
        self._borders = np.zeros(len(self._tokens), np.intp)
        for i in range(self.count):
            matched = 0
            for k in range(self._starts[i] + 1, self._starts[i + 1]):
                matched = self._grown(i, matched, self._tokens[k])
                self._borders[k] = matched

    cdef Py_ssize_t _grown(self, Py_ssize_t i, Py_ssize_t matched, int64_t token) noexcept nogil:
        """How much of sequence i a text ends with after one more token."""
        cdef Py_ssize_t first = self._starts[i]
        while matched > 0 and self._tokens[first + matched] != token:
            matched = self._borders[first + matched - 1]
        return matched + (self._tokens[first + matched] == token)

    cdef bint reached(self, Py_ssize_t *matched, int64_t token) noexcept nogil:
        """Take a text's next token, update ``matched`` (count) and say whether it ends there."""
        cdef Py_ssize_t i
        cdef bint ended = False
        for i in range(self.count):
            matched[i] = self._grown(i, matched[i], token)
            ended = ended or matched[i] == self._starts[i + 1] - self._starts[i]
        return ended


@cython.final
cdef class Sampler:
    """Continues samples of a text side by side, each until it ends.

    Sample s draws from generators[s], one number a step (none at temperature 0), so that its text
    does not depend on the samples beside it.
    """

    cdef Decoder _decoder
    cdef Ends _ends
    cdef list _generators
    cdef fr_sampling _options
    cdef bint _penalises, _has_failed
    cdef Py_ssize_t _window, _noted
    cdef char[:, ::1] _scratch  # by thread
    cdef uint64_t[::1] _sources
    cdef int64_t[::1] _fed, _drawn  # by row of the decoder, as are the next two
    cdef Py_ssize_t[::1] _sample_of, _parents
    cdef Py_ssize_t[:, ::1] _matched  # by sample, as are the next two
    cdef int32_t[:, ::1] _seen  # how often each token is among the recent ones
    cdef int64_t[:, ::1] _recent  # a ring, the oldest at _noted % _window; -1 before the first

    def __init__(self, Decoder decoder, const int64_t[::1] prompt, Ends ends, list generators,
                 double temperature, Py_ssize_t top_k, double top_p, double min_p,
                 double repetition_penalty, Py_ssize_t repetition_window):
        """A ``repetition_window`` of 0 has no limit."""
        cdef Py_ssize_t samples = decoder.capacity, t, s
        self._decoder, self._ends, self._generators = decoder, ends, generators
        self._options.temperature, self._options.top_k = temperature, top_k
        self._options.top_p, self._options.min_p = top_p, min_p
        self._options.repetition_penalty = repetition_penalty
        self._penalises = repetition_penalty != 1
        self._window, self._noted = repetition_window, 0
        self._sources = np.array([_bitgen_address(one) for one in generators], np.uint64)
        self._fed = np.full(samples, prompt[prompt.shape[0] - 1], np.int64)
        self._drawn = np.empty(samples, np.int64)
        self._scratch = np.empty((0, 0), np.int8)
        self._sample_of, self._parents = np.arange(samples), np.arange(samples)
        self._matched = np.zeros((samples, ends.count), np.intp)
        if not self._penalises:
            return
        self._seen = np.zeros((samples, decoder.classes), np.int32)
        self._recent = np.full((samples, repetition_window), -1, np.int64)
        with nogil:
            for t in range(prompt.shape[0]):
                for s in range(samples):
                    self._note(s, prompt[t])
                self._noted += 1

    @property
    def step_work(self):
        """The multiply-adds of a step of all samples that have not ended, or what takes as long."""
        return self._decoder._cells.rows * (self._row_work + _END_WORK * (self._ends.count + 1))

    @property
    def _row_work(self):
        return self._decoder.row_work + _CLASS_WORK * self._decoder.classes

    def draw(self, int64_t[:, ::1] tokens):
        """Fill tokens (steps, samples) with the next ones, -1 after a sample's end.

        Returns how many steps were made: fewer than asked for once all samples have ended. Raises
        NonFiniteLossError where logits are no numbers.
        """
        cdef Py_ssize_t t, start, stop, made = 0
        cdef int threads
        cdef uint64_t mode
        for start, stop in _threads.segments(tokens.shape[0], self.step_work):
            PyErr_CheckSignals()
            with _threads.call:
                threads = self._decoder._cells.threads(self._row_work, self._decoder._cells.rows)
                self._make_scratch(threads)
                with nogil:
                    mode = fr_fpmode_flush()
                    for t in range(start, stop):
                        if self._decoder._cells.rows == 0 or self._has_failed:
                            break
                        self._step(threads)
                        self._settle(&tokens[t, 0], tokens.shape[1])
                        made += 1
                    fr_fpmode_restore(mode)
            if self._has_failed:
                raise not_finite("the next token cannot be drawn", self._decoder._cells.dtype)
        return made

    cdef _make_scratch(self, int threads):
        """Have a row of logits for each thread, in cache lines of its own."""
        item = 4 if self._decoder._is_float else 8
        if self._scratch.shape[0] < threads:
            self._scratch = np.empty((threads, self._decoder.classes * item + 128), np.int8)

    cdef void _step(self, int threads) noexcept nogil:
        cdef Py_ssize_t rows = self._decoder._cells.rows
        if threads > 1:
            run_parts(sampler_part, <void *>self, rows, threads)
        else:
            self._draw_rows(0, 0, rows)
        self._decoder._cells.advanced()

    cdef void _draw_rows(self, Py_ssize_t part, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        """Feed some rows their tokens, and draw their next ones."""
        cdef Py_ssize_t r, s
        cdef double uniform = 0
        cdef bitgen_t *source
        self._decoder.step_rows(&self._fed[0], first, last)
        for r in range(first, last):
            s = self._sample_of[r]
            if self._options.temperature != 0:
                source = <bitgen_t *>self._sources[s]
                uniform = source.next_double(source.state)
            self._drawn[r] = self._decoder.sample(
                r, &self._scratch[part, 0], &self._seen[s, 0] if self._penalises else NULL,
                &self._options, uniform)

    cdef void _settle(self, int64_t *tokens, Py_ssize_t samples) noexcept nogil:
        """Tell what was drawn, and go on with the samples that it does not end."""
        cdef Py_ssize_t r, s, kept = 0
        cdef int64_t token
        for s in range(samples):
            tokens[s] = -1
        for r in range(self._decoder._cells.rows):
            s, token = self._sample_of[r], self._drawn[r]
            if token < 0:
                self._has_failed = True
                return
            tokens[s] = token
            if self._penalises:
                self._note(s, token)
            if not self._ends.reached(&self._matched[s, 0], token):
                self._parents[kept], self._sample_of[kept], self._fed[kept] = r, s, token
                kept += 1
        self._noted += 1
        if kept < self._decoder._cells.rows:
            self._decoder.select(&self._parents[0], kept)

    cdef void _note(self, Py_ssize_t s, int64_t token) noexcept nogil:
        """Count a sample's newest token, and no longer the one that leaves the window."""
        cdef Py_ssize_t at
        cdef int64_t oldest
        if self._window == 0:
            self._seen[s, token] = 1
            return
        at = self._noted % self._window
        oldest = self._recent[s, at]
        if oldest >= 0:
            self._seen[s, oldest] -= 1
        self._recent[s, at] = token
        self._seen[s, token] += 1


cdef void sampler_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                       Py_ssize_t stop) noexcept nogil:
    cdef uint64_t mode = fr_fpmode_flush()
    (<Sampler>(<void *>args))._draw_rows(part, start, stop)
    fr_fpmode_restore(mode)


cdef uint64_t _bitgen_address(generator) except 0:
    return <uint64_t>PyCapsule_GetPointer(generator.bit_generator.capsule, "BitGenerator")


@cython.final
cdef class Beams:
    """The most probable continuations so far, the best first.

    A text that has ended keeps its place as it is, as long as it is among the best.
    """

    cdef Decoder _decoder
    cdef Ends _ends
    cdef Py_ssize_t _width, _count, _found, _steps
    cdef int _now
    cdef double[:, ::1] _log_probs  # of both sets (now and next), by place
    cdef Py_ssize_t[:, ::1] _rows  # likewise, in the decoder; -1: ended
    cdef Py_ssize_t[:, :, ::1] _matched
    cdef int64_t[:, ::1] _tokens, _parents  # by step and place; token -1: had ended before
    cdef Py_ssize_t[::1] _selected
    cdef int64_t[::1] _fed

    def __init__(self, Decoder decoder, int64_t last_of_prompt, Ends ends, Py_ssize_t length):
        """The decoder has as many rows as there shall be beams."""
        cdef Py_ssize_t width = decoder.capacity
        self._decoder, self._ends, self._width = decoder, ends, width
        self._count, self._now, self._steps = 1, 0, 0
        self._log_probs = np.zeros((2, width))
        self._rows = np.zeros((2, width), np.intp)
        self._matched = np.zeros((2, width, ends.count), np.intp)
        self._tokens = np.empty((length, width), np.int64)
        self._parents = np.empty((length, width), np.int64)
        self._selected = np.zeros(width, np.intp)
        self._fed = np.full(width, last_of_prompt, np.int64)
        decoder.select(&self._selected[0], 1)

    def search(self):
        """Return tokens (texts, steps), -1 after an end, and log-probabilities (texts,)."""
        cdef Py_ssize_t t, start, stop, length = self._tokens.shape[0]
        cdef int threads
        cdef uint64_t mode
        # A candidate costs as much as some 20 multiply-adds; one that is kept moves others.
        work = self._width * (
            self._decoder.row_work + 20 * self._decoder.classes + 50 * self._width
        )
        for start, stop in _threads.segments(length, work):
            PyErr_CheckSignals()
            with _threads.call:
                threads = self._decoder._cells.threads(self._decoder.row_work, self._width)
                with nogil:
                    mode = fr_fpmode_flush()
                    for t in range(start, stop):
                        if self._decoder._cells.rows == 0:
                            break
                        self._decoder.step(&self._fed[0], threads)
                        self._find(t)
                        self._go_on_with_found(t)
                        self._steps += 1
                    fr_fpmode_restore(mode)
        return self._traced(), np.array(self._log_probs[self._now, :self._count])

    cdef void _find(self, Py_ssize_t t) noexcept nogil:
        """Find the best among the texts that ended and all texts that are a token longer."""
        cdef Py_ssize_t place, row, token
        cdef int64_t best
        cdef double before, largest, log_total
        self._found = 0
        for place in range(self._count):
            row, before = self._rows[self._now, place], self._log_probs[self._now, place]
            if row < 0:
                self._offer(t, before, place, -1)
                continue
            best = 0
            for token in range(self._decoder.classes):
                if self._decoder.logit(row, token) > self._decoder.logit(row, best):
                    best = token
            largest, log_total = self._decoder.logit(row, best), -self._decoder.log_prob(row, best)
            for token in range(self._decoder.classes):
                self._offer(t, before + (self._decoder.logit(row, token) - largest - log_total),
                            place, token)

    cdef void _offer(self, Py_ssize_t t, double log_prob, Py_ssize_t parent,
                     int64_t token) noexcept nogil:
        """Insert a candidate where it belongs among the best; the first of equal ones stays."""
        cdef double *found = &self._log_probs[1 - self._now, 0]
        cdef Py_ssize_t i = self._found
        if log_prob != log_prob or i == self._width and not log_prob > found[i - 1]:
            return
        if i == self._width:
            i -= 1
        else:
            self._found += 1
        while i > 0 and log_prob > found[i - 1]:
            found[i] = found[i - 1]
            self._tokens[t, i] = self._tokens[t, i - 1]
            self._parents[t, i] = self._parents[t, i - 1]
            i -= 1
        found[i], self._tokens[t, i], self._parents[t, i] = log_prob, token, parent

    cdef void _go_on_with_found(self, Py_ssize_t t) noexcept nogil:
        cdef int new = 1 - self._now
        cdef Py_ssize_t place, parent, i, alive = 0
        cdef int64_t token
        for place in range(self._found):
            parent, token = self._parents[t, place], self._tokens[t, place]
            for i in range(self._ends.count):
                self._matched[new, place, i] = self._matched[self._now, parent, i]
            self._rows[new, place] = -1
            if token < 0 or self._ends.reached(&self._matched[new, place, 0], token):
                continue
            self._selected[alive], self._fed[alive] = self._rows[self._now, parent], token
            self._rows[new, place] = alive
            alive += 1
        self._decoder.select(&self._selected[0], alive)
        self._now, self._count = new, self._found

    cdef _traced(self):
        """Follow each text from its place at the end back to its first token."""
        tokens = np.empty((self._count, self._steps), np.int64)
        cdef int64_t[:, ::1] out = tokens
        cdef Py_ssize_t i, place, t
        for i in range(self._count):
            place = i
            for t in range(self._steps - 1, -1, -1):
                out[i, t], place = self._tokens[t, place], self._parents[t, place]
        return tokens
