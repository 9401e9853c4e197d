/* Threads that share the parts of one loop; see team.c. */
#ifndef FASTRNN_TEAM_H
#define FASTRNN_TEAM_H

#include <stddef.h>

enum { FR_TEAM_WORKERS = 255 };

/* Does elements start to stop of a loop: part number `part`, never two of one number at a time. */
typedef void (*fr_part)(const void *args, ptrdiff_t part, ptrdiff_t start, ptrdiff_t stop);

/* Calls `part` for nearly equal parts of range(size) and returns when all are done. The caller
 * does what no thread of the team has begun. */
void fr_team_run(fr_part part, const void *args, ptrdiff_t size, int parts);

/* Does share number `share` of `shares` of one turn. */
typedef void (*fr_turn)(const void *args, ptrdiff_t turn, int share, int shares);

/* Calls `turn` for every share of every turn, a turn when the one before is done, and returns when
 * all are. Shares are done side by side as long as there are threads awake for them, and else one
 * after the other: nobody waits for a share that has not begun. At most FR_TEAM_SHARES. */
enum { FR_TEAM_SHARES = 16 };
void fr_team_take_turns(fr_turn turn, const void *args, ptrdiff_t turns, int shares);

/* Between enter and leave, threads that have done their part stay awake for the next. */
void fr_team_enter(void);
void fr_team_leave(void);
/* Wakes up to `workers` sleeping threads ahead of their part. */
void fr_team_rouse(int workers);

/* How many offers workers have taken up. */
int fr_team_helped(void);
/* How many shares of turns were done by others than the caller. */
int fr_team_turns_helped(void);

/* Makes room for another worker: its number, or -1 where there is no room. With the GIL. */
int fr_team_join(void);
/* What that worker's thread does, for ever and without the GIL. */
void fr_team_work(int number);
/* In a forked child, which has none of the threads. */
void fr_team_forget(void);

#endif
