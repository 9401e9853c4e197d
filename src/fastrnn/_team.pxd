cdef extern from "team.h":
    ctypedef void (*fr_part)(const void *args, Py_ssize_t part, Py_ssize_t start,
                             Py_ssize_t stop) noexcept nogil
    void fr_team_run(fr_part part, const void *args, Py_ssize_t size, int parts) nogil
    ctypedef void (*fr_turn)(const void *args, Py_ssize_t turn, int share,
                             int shares) noexcept nogil
    void fr_team_take_turns(fr_turn turn, const void *args, Py_ssize_t turns, int shares) nogil
    void fr_team_enter() nogil
    void fr_team_leave() nogil
    void fr_team_rouse(int workers) nogil
    int fr_team_helped()
    int fr_team_turns_helped()
    int fr_team_join()
    void fr_team_work(int number) nogil
    void fr_team_forget()
    int FR_TEAM_WORKERS, FR_TEAM_SHARES

# Gradients of weights are split in stripes of this many of their rows.
cdef enum:
    STRIPE = 8

cdef inline Py_ssize_t stripes(Py_ssize_t rows) noexcept nogil:
    return (rows + STRIPE - 1) // STRIPE

cdef void run_parts(fr_part part, const void *args, Py_ssize_t size, int parts) noexcept nogil
cdef void take_turns(fr_turn turn, const void *args, Py_ssize_t turns, int shares) noexcept nogil
