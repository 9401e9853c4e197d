"""Updates of parameters: gradients clipped, weights moved and packed anew in one sweep.

Parts are blocks of rows of the weights, for the team's threads: a block is packed while the rows
that were just updated are in the cache. No element is computed in two ways, so the bits do not
depend on the split. Nothing here runs Python, so that no signal comes between two blocks.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_REFCNT
cimport numpy as cnp
from cython cimport floating
from libc.math cimport isfinite, sqrt
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._biases cimport BiasRow, fill_row, read_row
from fastrnn._dispatch cimport k_adam, k_add_transposed, k_pack, k_rmsprop, k_sgd, k_sum_of_squares
from fastrnn._equations cimport MAX_STATES, MOST_VALUES, OF_RMSPROP, OF_SGD, Rule
from fastrnn._gradients cimport MAX_BLOCKS, Block, read_blocks
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore
from fastrnn._team cimport FR_TEAM_WORKERS, run_parts
from fastrnn.cpu cimport table

cnp.import_array()

# How a weight W (G * H, K) is stored for a loop: for x W^T as `_ops.pack` and as `pack_gates` do,
# for dy W as `pack` does, and as what each token gives, with the biases: `token_rows`.
cdef enum:
    TO_COLUMNS, TO_UNITS, TO_ROWS, TO_TOKENS

COLUMNS, UNITS, ROWS, TOKENS = TO_COLUMNS, TO_UNITS, TO_ROWS, TO_TOKENS

cdef enum:
    MAX_GATES = 4
    MAX_COPIES = 6  # of one weight
    # Numbers that are updated and packed at a time, but at least a panel's rows: with two running
    # means, the gradient, the weights from before and the packed copies 256 KB in float32, a
    # quarter of L2.
    BLOCK = 8192
    # Numbers whose squares are summed by one thread.
    SQUARES = 32768


cdef struct Arena:
    bint single
    void *param
    void *grad
    void *states[MAX_STATES]
    void *previous
    Py_ssize_t size


cdef struct Copy:
    int how
    void *to
    const void *bias  # of tokens
    Py_ssize_t width  # likewise
    Py_ssize_t place[MAX_GATES]  # of a gate's first unit: a row, a column; of TO_UNITS a panel


cdef struct Weight:
    const Arena *arena
    Py_ssize_t start  # in the arena
    Py_ssize_t gates, hidden, columns
    Py_ssize_t rows  # of a block
    Py_ssize_t before  # numbers of the weights before it
    Copy copies[MAX_COPIES]
    int copy_count


cdef struct SweepArgs:
    Arena *arenas
    int arena_count
    Weight *weights
    int weight_count
    BiasRow *rows
    int row_count
    double *squares  # of each run of SQUARES gradients
    Py_ssize_t weight_numbers  # of all weights
    int optimizer
    double values[MOST_VALUES]
    bint flags[2]
    double scale
    bint *finite  # by part


cdef void move(floating *param, const SweepArgs *s, const Arena *a, Py_ssize_t start,
               Py_ssize_t size, bint *finite) noexcept nogil:
    """Update numbers of an arena, whose beginning param is."""
    cdef const double *v = s.values
    cdef const floating *grad = &(<const floating *>a.grad)[start]
    cdef floating *states[MAX_STATES]
    cdef int i
    for i in range(MAX_STATES):
        states[i] = NULL if a.states[i] == NULL else &(<floating *>a.states[i])[start]
    param += start
    if a.previous != NULL:
        memcpy(&(<floating *>a.previous)[start], param, size * sizeof(floating))
    if s.optimizer == OF_SGD:
        k_sgd(param, states[0], grad, s.scale, v[0], v[1], v[2], v[3], s.flags[0], s.flags[1],
              size)
    elif s.optimizer == OF_RMSPROP:
        k_rmsprop(param, states[0], states[1], states[2], grad, s.scale, v[0], v[1], v[2], v[3],
                  v[4], size)
    else:
        k_adam(param, states[0], states[1], grad, s.scale, v[0], v[1], v[2], v[3], v[4], v[5],
               v[6], s.flags[0], size)
    # A sum of squares is finite only if all terms are; it may overflow where they are.
    if a.previous != NULL and not isfinite(k_sum_of_squares(param, size)):
        finite[0] &= all_finite(param, size)


cdef bint all_finite(const floating *x, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if not isfinite(<double>x[i]):
            return False
    return True


cdef inline Py_ssize_t unit_block(bint single) noexcept nogil:
    return table.f32.unit_block() if single else table.f64.unit_block()


cdef inline bint shares_panels(const Weight *w) noexcept nogil:
    """Whether a panel of columns has units of two gates."""
    return w.gates > 1 and w.hidden % unit_block(w.arena.single) != 0


cdef void pack_columns(const floating *weight, floating *to, Py_ssize_t k, Py_ssize_t column,
                       Py_ssize_t units) noexcept nogil:
    """Pack rows of a weight as columns from this one on, in panels that other gates share."""
    cdef Py_ssize_t panel = unit_block(floating is float), u, v
    cdef floating *lane
    for u in range(column, column + units):
        lane = &to[u // panel * panel * k + u % panel]
        for v in range(k):
            lane[v * panel] = weight[v]
        weight += k


cdef void pack_block(const floating *weight, const Weight *w, const Copy *copy, Py_ssize_t gate,
                     Py_ssize_t u0, Py_ssize_t u1) noexcept nogil:
    """Pack units u0 to u1 of a gate, from their first row."""
    cdef Py_ssize_t panel = unit_block(floating is float)
    cdef Py_ssize_t k = w.columns, place = copy.place[gate], u, v, at
    cdef floating *to = <floating *>copy.to
    cdef const floating *bias = <const floating *>copy.bias
    if copy.how == TO_ROWS:
        k_pack(&to[(place + u0) * panel], w.gates * w.hidden, weight, k, 1, u1 - u0, k)
        return
    if copy.how == TO_TOKENS:
        k_add_transposed(&to[place + u0], copy.width, <floating *>&bias[place + u0], 0, weight, k,
                         k, u1 - u0)
        if gate == 0 and copy.width > w.gates * w.hidden:  # biases without a product
            place = w.gates * w.hidden + u0
            for v in range(k):
                memcpy(&to[v * copy.width + place], &bias[place], (u1 - u0) * sizeof(floating))
        return
    if copy.how == TO_COLUMNS and shares_panels(w):
        pack_columns(weight, to, k, place + u0, u1 - u0)
        return
    u = u0
    while u < u1:
        at = place + u // panel * w.gates if copy.how == TO_UNITS else (place + u) // panel
        k_pack(&to[at * panel * k], k, weight, 1, k, k, min(panel, u1 - u))
        weight += panel * k
        u += panel


cdef void update_block(floating *param, const SweepArgs *s, const Weight *w, Py_ssize_t gate,
                       Py_ssize_t u0, bint *finite) noexcept nogil:
    cdef Py_ssize_t u1 = min(u0 + w.rows, w.hidden)
    cdef Py_ssize_t start = w.start + (gate * w.hidden + u0) * w.columns
    cdef int i
    move(param, s, w.arena, start, (u1 - u0) * w.columns, finite)
    for i in range(w.copy_count):
        pack_block(&param[start], w, &w.copies[i], gate, u0, u1)


cdef void weights_part(const void *args, Py_ssize_t part, Py_ssize_t begin,
                       Py_ssize_t end) noexcept nogil:
    """The blocks of which the first number is one of these."""
    cdef const SweepArgs *s = <const SweepArgs *>args
    cdef const Weight *w
    cdef Py_ssize_t gate, unit, at
    cdef uint64_t mode = fr_fpmode_flush()
    cdef int i
    for i in range(s.weight_count):
        w = &s.weights[i]
        if w.before >= end or w.before + w.gates * w.hidden * w.columns <= begin:
            continue
        for gate in range(w.gates):
            unit = 0
            while unit < w.hidden:
                at = w.before + (gate * w.hidden + unit) * w.columns
                if at >= begin and at < end and w.arena.single:
                    update_block(<float *>w.arena.param, s, w, gate, unit, &s.finite[part])
                elif at >= begin and at < end:
                    update_block(<double *>w.arena.param, s, w, gate, unit, &s.finite[part])
                unit += w.rows
    fr_fpmode_restore(mode)


cdef void move_between(const SweepArgs *s, const Arena *a, Py_ssize_t start,
                       Py_ssize_t stop) noexcept nogil:
    if start >= stop:
        return
    if a.single:
        move(<float *>a.param, s, a, start, stop - start, &s.finite[0])
    else:
        move(<double *>a.param, s, a, start, stop - start, &s.finite[0])


cdef void update_others(const SweepArgs *s) noexcept nogil:
    """Update what is between the weights, which lie in their arenas in this order."""
    cdef const Arena *a
    cdef const Weight *w
    cdef Py_ssize_t start
    cdef uint64_t mode = fr_fpmode_flush()
    cdef int i, j
    for i in range(s.arena_count):
        a, start = &s.arenas[i], 0
        for j in range(s.weight_count):
            w = &s.weights[j]
            if w.arena == a:
                move_between(s, a, start, w.start)
                start = w.start + w.gates * w.hidden * w.columns
        move_between(s, a, start, a.size)
    fr_fpmode_restore(mode)


cdef inline Py_ssize_t squares_runs(Py_ssize_t size) noexcept nogil:
    return (size + SQUARES - 1) // SQUARES


cdef void squares_part(const void *args, Py_ssize_t part, Py_ssize_t begin,
                       Py_ssize_t end) noexcept nogil:
    cdef const SweepArgs *s = <const SweepArgs *>args
    cdef const Arena *a
    cdef Py_ssize_t run = 0, start, size, j
    cdef uint64_t mode = fr_fpmode_flush()
    cdef int i
    for i in range(s.arena_count):
        a = &s.arenas[i]
        for j in range(squares_runs(a.size)):
            start = j * SQUARES
            size = min(a.size - start, <Py_ssize_t>SQUARES)
            if begin <= run < end and a.single:
                s.squares[run] = k_sum_of_squares(&(<const float *>a.grad)[start], size)
            elif begin <= run < end:
                s.squares[run] = k_sum_of_squares(&(<const double *>a.grad)[start], size)
            run += 1
    fr_fpmode_restore(mode)


cdef Py_ssize_t copy_size(const Weight *w, int how, Py_ssize_t width) noexcept nogil:
    """How many numbers a copy has; -1 if there can be none."""
    cdef Py_ssize_t rows = w.gates * w.hidden, n = w.columns if how == TO_ROWS else rows
    cdef Py_ssize_t k = rows if how == TO_ROWS else w.columns
    if how == TO_TOKENS:
        return width * k if width == rows or width == rows + w.hidden else -1
    if w.arena.single:
        return (table.f32.pack_gates_size(w.gates, w.hidden, k) if how == TO_UNITS
                else table.f32.pack_size(k, n))
    return (table.f64.pack_gates_size(w.gates, w.hidden, k) if how == TO_UNITS
            else table.f64.pack_size(k, n))


cdef class UpdateSweep:
    """Updates of some modules' parameters.

    Parameters
    ----------
    modules, parameters : int
        How many there are at most.
    """

    cdef SweepArgs s
    cdef int most  # modules, parameters
    cdef list arrays, copies
    cdef list held     # by how much each copy was before it was first filled
    cdef list watched  # what has copies, and how many attributes it had
    cdef list modules  # their attributes, and what is packed of their parameters
    cdef readonly bint done    # whether the parameters are updated
    cdef readonly bint finite  # and all of them finite, as far as they were kept

    def __cinit__(self, int modules, int parameters):
        cdef int most = max(modules, parameters, 1)
        self.most = most
        self.arrays, self.copies, self.watched, self.modules = [], [], [], []
        self.held = None
        self.s.arenas = <Arena *>PyMem_Calloc(most, sizeof(Arena))
        self.s.weights = <Weight *>PyMem_Calloc(most, sizeof(Weight))
        self.s.rows = <BiasRow *>PyMem_Calloc(most, sizeof(BiasRow))
        self.s.finite = <bint *>PyMem_Calloc(FR_TEAM_WORKERS + 1, sizeof(bint))
        if (self.s.arenas == NULL or self.s.weights == NULL or self.s.rows == NULL
                or self.s.finite == NULL):
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.s.arenas)
        PyMem_Free(self.s.weights)
        PyMem_Free(self.s.rows)
        PyMem_Free(self.s.finite)
        PyMem_Free(self.s.squares)

    @property
    def numbers(self):
        """How many numbers the parameters hold."""
        cdef int i
        return sum([self.s.arenas[i].size for i in range(self.s.arena_count)])

    def add(self, cnp.ndarray param not None, cnp.ndarray grad not None, states=(),
            cnp.ndarray previous=None):
        """Update a module's parameters, keeping them in previous if that is not None."""
        cdef Arena *a = &self.s.arenas[self.s.arena_count]
        cdef int number = kind(param)
        if self.s.arena_count == self.most or len(states) > MAX_STATES or self.s.squares != NULL:
            raise ValueError(f"there is no room for an arena of {len(states)} running means")
        a.single, a.size = number == cnp.NPY_FLOAT32, param.shape[0]
        a.param, a.grad = written(param, number, 1), <void *>read(grad, number, 1)
        for i, state in enumerate(states):
            a.states[i] = written(state, number, 1)
        a.previous = written(previous, number, 1)
        for array in (grad, *states, previous):
            if array is not None and array.shape[0] != param.shape[0]:
                raise ValueError(f"expected {param.shape[0]} numbers, got {array.shape[0]}")
        self.arrays.append((param, grad, states, previous))
        self.s.arena_count += 1

    def add_weight(self, cnp.ndarray weight not None, Py_ssize_t gates):
        """Update a weight (G * H, K) of the last module by blocks; in the order of the arena."""
        cdef Weight *w = &self.s.weights[self.s.weight_count]
        cdef const Arena *a = &self.s.arenas[self.s.arena_count - 1]
        if self.s.arena_count == 0 or self.s.weight_count == self.most:
            raise ValueError("there is no arena of the weight's, or no room for it")
        cdef int number = cnp.NPY_FLOAT32 if a.single else cnp.NPY_FLOAT64
        cdef uintptr_t start = <uintptr_t>read(weight, number, 2)
        cdef uintptr_t end = <uintptr_t>a.param + a.size * cnp.PyArray_ITEMSIZE(weight)
        cdef Py_ssize_t panel = unit_block(a.single)
        if gates < 1 or weight.shape[0] % gates or weight.shape[1] == 0:
            raise ValueError(f"({weight.shape[0]}, {weight.shape[1]}) is no shape of {gates} gates")
        if start < <uintptr_t>a.param or start + cnp.PyArray_NBYTES(weight) > end:
            raise ValueError("the weight is no part of the last arena")
        w.arena, w.gates, w.columns = a, gates, weight.shape[1]
        w.hidden = weight.shape[0] // gates
        w.start = (start - <uintptr_t>a.param) // cnp.PyArray_ITEMSIZE(weight)
        w.rows = max(1, BLOCK // (w.columns * panel)) * panel
        w.before, w.copy_count = self.s.weight_numbers, 0
        self.s.weight_numbers += w.gates * w.hidden * w.columns
        self.s.weight_count += 1

    def add_copy(self, cnp.ndarray weight not None, int how, cnp.ndarray to not None,
                 tuple blocks=((0, 0, 1),), cnp.ndarray bias=None):
        """Pack a weight into ``to`` once it is updated; return whether it can be by blocks.

        Blocks say where its gates stand in what is packed; to ``bias`` tokens are added.
        """
        cdef Weight *w = self.weight_at(<uintptr_t>cnp.PyArray_DATA(weight))
        cdef Copy *copy
        cdef Block read_to[MAX_BLOCKS]
        cdef Py_ssize_t width, gate, i
        memset(read_to, 0, sizeof(read_to))
        if w == NULL or w.copy_count == MAX_COPIES or w.gates > MAX_GATES:
            return False
        number = cnp.NPY_FLOAT32 if w.arena.single else cnp.NPY_FLOAT64
        width = 0 if bias is None else bias.shape[0]
        if cnp.PyArray_SIZE(to) != copy_size(w, how, width):
            raise ValueError(f"{to.size} numbers are no copy of {w.gates} gates of {w.hidden} "
                             f"rows of {w.columns} numbers, or of biases of {width}")
        read_blocks(read_to, blocks)
        for i in range(MAX_BLOCKS):
            if (min(read_to[i].row, read_to[i].parameter, read_to[i].gates) < 0
                    or max(read_to[i].row, read_to[i].parameter) + read_to[i].gates > w.gates):
                raise ValueError(f"{blocks} are no blocks of {w.gates} gates")
        copy = &w.copies[w.copy_count]
        copy.how, copy.to = how, written(to, number, 2 if how == TO_TOKENS else 1)
        copy.bias, copy.width = read(bias, number, 1), width
        for i in range(len(blocks)):
            for gate in range(read_to[i].gates):
                copy.place[read_to[i].parameter + gate] = read_to[i].row + gate
        for gate in range(w.gates if how != TO_UNITS else 0):
            copy.place[gate] *= w.hidden
        if how == TO_COLUMNS and shares_panels(w):
            to.fill(0)  # what is beside the last gate's units
        self.copies.append(to)
        self.arrays.append(bias)
        w.copy_count += 1
        return True

    cdef Weight *weight_at(self, uintptr_t data):
        cdef int i
        cdef Weight *w
        for i in range(self.s.weight_count):
            w = &self.s.weights[i]
            if data == (<uintptr_t>w.arena.param
                        + w.start * (sizeof(float) if w.arena.single else sizeof(double))):
                return w
        return NULL

    def add_bias_row(self, cnp.ndarray row not None, cnp.ndarray of_input, cnp.ndarray of_state,
                     tuple input_blocks, tuple hidden_blocks, Py_ssize_t hidden):
        """Fill a row of biases once they are updated; see `_biases.fill_bias_row`."""
        if self.s.row_count == self.most:
            raise ValueError("there is no room for a row of biases")
        self.s.rows[self.s.row_count] = read_row(row, of_input, of_state, input_blocks,
                                                 hidden_blocks, hidden)
        self.copies.append(row)
        self.arrays.append((of_input, of_state))
        self.s.row_count += 1

    def watch(self, of not None):
        """Take no copies but those that this object has now to be all there are."""
        self.watched.append((of, len(of.__dict__)))

    def publish(self, dict attributes not None, packed):
        """Have a module use what is packed, or None, unless its parameters are changed meanwhile.

        ``attributes`` are the module's; all of its parameters are updated.
        """
        self.modules.append((attributes, packed))

    def is_whole(self):
        """Return whether its copies are all there are."""
        for of, length in self.watched:
            if len(of.__dict__) != length:
                return False
        return True

    def again(self):
        """Return whether it may run once more: its copies are all, and nobody else has them."""
        self.done = False
        return self.held is not None and self.is_whole() and self.holds() == self.held

    cdef list holds(self):
        """By how much each copy is held, and what has it: a call may have yet to take it."""
        packed = [packed for _, packed in self.modules if packed is not None]
        return [Py_REFCNT(one) for one in (*self.copies, *[of for of, _ in self.watched], *packed)]

    cdef list in_modules(self):
        """What modules are to have by their versions, as they are before the update."""
        now = []
        for attributes, packed in self.modules:
            version = attributes["_version"]
            now.append((attributes, version, version + 1,
                        None if packed is None else (version + 1, packed)))
        return now

    def norm(self, int threads=1):
        """Return the Euclidean norm of all gradients, summed in an order of their number alone."""
        cdef Py_ssize_t runs = 0, i
        cdef double total = 0
        for i in range(self.s.arena_count):
            runs += squares_runs(self.s.arenas[i].size)
        if self.s.squares == NULL:
            self.s.squares = <double *>PyMem_Calloc(max(runs, 1), sizeof(double))
        if self.s.squares == NULL:
            raise MemoryError
        with nogil:
            run_parts(squares_part, &self.s, runs, threads)
        for i in range(runs):
            total += self.s.squares[i]
        return sqrt(total)

    def run(self, Rule rule not None, double scale, int threads):
        """Update all, with gradients times ``scale``."""
        cdef int i, j
        for i in range(self.s.arena_count):
            for j in range(MAX_STATES):
                if rule.needs[j] and self.s.arenas[i].states[j] == NULL:
                    raise ValueError("the equation needs a running mean that there is none of")
        self.s.optimizer, self.s.scale = rule.optimizer, scale
        memcpy(self.s.values, rule.values, sizeof(rule.values))
        memcpy(self.s.flags, rule.flags, sizeof(rule.flags))
        for i in range(FR_TEAM_WORKERS + 1):
            self.s.finite[i] = True
        if self.held is None:
            self.held = self.holds()
        now = self.in_modules()
        with nogil:
            update_others(&self.s)
            for i in range(self.s.row_count):
                fill_row(&self.s.rows[i])
            run_parts(weights_part, &self.s, self.s.weight_numbers, threads)
        # No other thread runs, nor does a signal's handler, from here on to the end.
        for attributes, before, after, packed in now:
            if (<dict>attributes)["_version"] != before:  # another thread's change
                after, packed = (<dict>attributes)["_version"] + 1, None
            (<dict>attributes)["_version"] = after
            (<dict>attributes)["_packed_now"] = packed
        self.finite, self.done = True, True
        for i in range(FR_TEAM_WORKERS + 1):
            self.finite &= self.s.finite[i]
