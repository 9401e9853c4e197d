/* A team of threads for loops that need no GIL.
 *
 * A worker is idle, offered a job, busy with it, or done; `job` says which. Only a caller takes it
 * from idle to offered and from done to idle, only the worker from offered to busy to done, so
 * that nobody touches a job, which lies on its caller's stack, once the caller has returned.
 *
 * A caller never waits for a part that has not begun: it withdraws the offer and does the part
 * itself. So a worker that is slow to wake, busy for another caller or without a processor costs
 * nothing but its help.
 *
 * Threads sleep on Python's locks, which every platform has and which need no GIL.
 */
#include "team.h"

#include <Python.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#ifndef _WIN32
#include <sched.h>
#endif

/* How long a thread waits awake before it sleeps: longer than what one thread does alone between
 * two loops of a call, and shorter than anyone notices. */
#define AWAKE_NS 100000

/* How long a thread looks for the end of a share before it gives way, and in how many turns that
 * follow each other before it leaves: shares take microseconds. */
#define PATIENCE_NS 30000
#define MOST_LONG_TURNS 8

typedef struct {
    fr_part part;
    const void *args;
    ptrdiff_t size;
    int parts;
    atomic_uchar begun[FR_TEAM_WORKERS + 1];
} team_job;

typedef struct {
    _Alignas(128) _Atomic(team_job *) job;
    atomic_int asleep, awaited, cpu;
    PyThread_type_lock wake, finished;
} worker;

/* By this name threadpoolctl knows the library. */
Py_EXPORTED_SYMBOL const char fastrnn_team[] = "the threads of fastrnn";

static worker workers[FR_TEAM_WORKERS];
static atomic_int count, calls, caller_cpu, helped, turns_helped;
static team_job busy, done;

static uint64_t now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The processor that this thread runs on, or -1 where the system does not say. */
static inline int this_cpu(void) {
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

static inline void pause_awake(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void give_way(void) {
#ifdef _WIN32
    pause_awake();
#else
    sched_yield();
#endif
}

/* Whether it is time to sleep, of a wait for a thread on processor `cpu` that began at `start` and
 * has looked `looks` times. Two threads on one processor cannot wait for each other awake; a clock
 * that is set back ends the wait too. */
static inline int too_long(uint64_t start, unsigned looks, int cpu) {
    if (looks % 16) return 0;
    return now() - start > AWAKE_NS || (cpu >= 0 && cpu == this_cpu());
}

static int wake_from(atomic_int *flag, PyThread_type_lock lock) {
    const int slept = atomic_exchange(flag, 0);
    if (slept) PyThread_release_lock(lock);
    return slept;
}

/* Whoever starts with part `first` finds the rows in its cache that it had in the last loop. */
static void do_parts(team_job *job, int first) {
    for (int i = 0; i < job->parts; i++) {
        const int p = (first + i) % job->parts;
        if (atomic_exchange_explicit(&job->begun[p], 1, memory_order_relaxed)) continue;
        job->part(job->args, p, job->size * p / job->parts, job->size * (p + 1) / job->parts);
    }
}

static int is_offer(const team_job *job) { return job && job != &busy && job != &done; }

static team_job *next_offer(worker *w) {
    for (;;) {
        const uint64_t start = now();
        for (unsigned looks = 1;
             atomic_load(&calls) > 0 && !too_long(start, looks, atomic_load(&caller_cpu));
             looks++) {
            team_job *job = atomic_load(&w->job);
            if (is_offer(job)) return job;
            pause_awake();
        }
        atomic_store(&w->asleep, 1);
        team_job *job = atomic_load(&w->job);
        if (is_offer(job) && atomic_exchange(&w->asleep, 0)) return job;
        PyThread_acquire_lock(w->wake, WAIT_LOCK);
        job = atomic_load(&w->job);
        if (is_offer(job)) return job;
    }
}

void fr_team_work(int number) {
    worker *w = &workers[number];
    for (;;) {
        team_job *job = next_offer(w);
        if (!atomic_compare_exchange_strong(&w->job, &job, &busy)) continue;
        atomic_store(&w->cpu, this_cpu());
        atomic_fetch_add_explicit(&helped, 1, memory_order_relaxed);
        do_parts(job, number + 1);
        atomic_store(&w->job, &done);
        wake_from(&w->awaited, w->finished);
    }
}

static void wait_until_done(worker *w) {
    const uint64_t start = now();
    for (unsigned looks = 1; !too_long(start, looks, atomic_load(&w->cpu)); looks++) {
        if (atomic_load(&w->job) == &done) return;
        pause_awake();
    }
    atomic_store(&w->awaited, 1);
    if (atomic_load(&w->job) == &done && atomic_exchange(&w->awaited, 0)) return;
    PyThread_acquire_lock(w->finished, WAIT_LOCK);
}

void fr_team_run(fr_part part, const void *args, ptrdiff_t size, int parts) {
    if (parts <= 1) {
        part(args, 0, 0, size);
        return;
    }
    if (parts > FR_TEAM_WORKERS + 1) parts = FR_TEAM_WORKERS + 1;
    team_job job = {.part = part, .args = args, .size = size, .parts = parts};
    worker *asked[FR_TEAM_WORKERS];
    const int there = atomic_load(&count);
    int helpers = 0;
    atomic_store(&caller_cpu, this_cpu());
    for (int i = 0; i < there && helpers < parts - 1; i++) {
        team_job *idle = NULL;
        if (!atomic_compare_exchange_strong(&workers[i].job, &idle, &job)) continue;
        asked[helpers++] = &workers[i];
        wake_from(&workers[i].asleep, workers[i].wake);
    }
    do_parts(&job, 0);
    for (int i = 0; i < helpers; i++) {
        team_job *offered = &job;
        if (atomic_compare_exchange_strong(&asked[i]->job, &offered, NULL)) continue;
        wait_until_done(asked[i]);
        atomic_store(&asked[i]->job, NULL);
    }
}

/* A share of the turn that is on. Whoever takes it counts `taken` up, does it, then counts
 * `finished` up; a thread by itself takes its own share first and after it those that nobody has
 * taken. */
typedef struct {
    _Alignas(128) atomic_ptrdiff_t taken;
    _Alignas(128) atomic_ptrdiff_t finished; /* what the others look at while `taken` changes */
} turn_share;

typedef struct {
    fr_turn turn;
    const void *args;
    ptrdiff_t turns;
    int shares;
    atomic_int crowded;
    turn_share share[FR_TEAM_SHARES];
} turn_game;

/* Returns whether this thread did it. */
static int do_share(turn_game *game, int number, ptrdiff_t turn) {
    turn_share *share = &game->share[number];
    ptrdiff_t untaken = turn;
    /* Only a look, so that threads which come too late do not pull the line from its owner. */
    if (atomic_load_explicit(&share->taken, memory_order_relaxed) != turn) return 0;
    if (!atomic_compare_exchange_strong(&share->taken, &untaken, turn + 1)) return 0;
    game->turn(game->args, turn, number, game->shares);
    atomic_store_explicit(&share->finished, turn + 1, memory_order_release);
    return 1;
}

/* Returns whether that took long: the other thread has lost its processor, perhaps to this one. */
static int wait_until_finished(turn_share *share, ptrdiff_t turn) {
    uint64_t start = 0;
    for (unsigned looks = 1; atomic_load_explicit(&share->finished, memory_order_acquire) < turn;
         looks++) {
        pause_awake();
        if (looks % 64) continue;
        if (start == 0) start = now();
        if (now() - start < PATIENCE_NS) continue;
        give_way();
        return 1;
    }
    return 0;
}

/* Threads that get in each other's way stop sharing: all but the one that has the first share
 * leave, and none comes back. */
static void take_turns(const void *args, ptrdiff_t part, ptrdiff_t start, ptrdiff_t stop) {
    turn_game *game = *(turn_game *const *)args;
    (void)start, (void)stop;
    const int own = (int)part, shares = game->shares;
    int long_turns = 0, helped_out = 0;
    for (ptrdiff_t turn = atomic_load(&game->share[own].finished); turn < game->turns; turn++) {
        int waited = 0;
        for (int i = 0; i < shares; i++)
            while (wait_until_finished(&game->share[i], turn)) {
                waited = 1;
                if (own > 0 && atomic_load(&game->crowded)) break;
            }
        long_turns = waited ? long_turns + 1 : 0;
        if (own > 0 && long_turns > MOST_LONG_TURNS) atomic_store(&game->crowded, 1);
        if (own > 0 && atomic_load(&game->crowded)) break;
        for (int i = 0; i < shares; i++) helped_out += do_share(game, (own + i) % shares, turn);
    }
    if (own > 0) atomic_fetch_add_explicit(&turns_helped, helped_out, memory_order_relaxed);
}

void fr_team_take_turns(fr_turn turn, const void *args, ptrdiff_t turns, int shares) {
    turn_game game = {.turn = turn, .args = args, .turns = turns, .shares = shares};
    if (shares > FR_TEAM_SHARES) game.shares = FR_TEAM_SHARES;
    turn_game *of = &game;
    fr_team_run(take_turns, &of, game.shares, game.shares);
}

void fr_team_enter(void) { atomic_fetch_add(&calls, 1); }

void fr_team_leave(void) { atomic_fetch_sub(&calls, 1); }

void fr_team_rouse(int wanted) {
    const int there = atomic_load(&calls) > 0 ? atomic_load(&count) : 0;
    atomic_store(&caller_cpu, this_cpu());
    for (int i = 0; i < there && i < wanted; i++) wake_from(&workers[i].asleep, workers[i].wake);
}

int fr_team_helped(void) { return atomic_load(&helped); }

int fr_team_turns_helped(void) { return atomic_load(&turns_helped); }

int fr_team_join(void) {
    const int number = atomic_load(&count);
    if (number == FR_TEAM_WORKERS) return -1;
    worker *w = &workers[number];
    w->wake = PyThread_allocate_lock();
    w->finished = PyThread_allocate_lock();
    if (!w->wake || !w->finished) return -1;
    PyThread_acquire_lock(w->wake, WAIT_LOCK);
    PyThread_acquire_lock(w->finished, WAIT_LOCK);
    atomic_store(&w->job, NULL);
    atomic_store(&w->asleep, 0);
    atomic_store(&w->awaited, 0);
    atomic_store(&count, number + 1);
    return number;
}

void fr_team_forget(void) {
    atomic_store(&count, 0);
    atomic_store(&calls, 0);
}
