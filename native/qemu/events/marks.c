/*
 * Marks of what has been reported already.
 *
 * Between leaving the code and coming back to it an interrupt may be taken, its handler may disturb the vCPU too, and
 * the scheduler may continue the interrupted thread on another vCPU. So a mark names a place in a thread, which is what
 * address space, program counter and stack pointer are together, and there are several of them. In the meantime
 * listeners may have come and gone, so that nobody took the mark: it says to whom the events were reported, and all
 * others get them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/marks.h"

/* One is needed for each level of interruption, and one more for each thread preempted just there. */
#define MARKS 16

typedef struct mark {
    rebox_resumption stage;
    uint64_t eip, stack_pointer, pgd;
    uint64_t reported_to;
} mark;

unsigned int rebox_resumptions;
static mark marks[MARKS]; /* the oldest first */

static void forget_mark(unsigned int index)
{
    rebox_resumptions--;
    memmove(&marks[index], &marks[index + 1], (rebox_resumptions - index) * sizeof(mark));
}

rebox_resumption rebox_find_resumption(CPUX86State *env, uint64_t eip, uint64_t *reported_to)
{
    uint64_t pgd = rebox_pgd_identity(env);

    for (unsigned int i = 0; i < rebox_resumptions; i++) {
        if (marks[i].eip == eip && marks[i].stack_pointer == env->regs[R_ESP] && marks[i].pgd == pgd) {
            rebox_resumption stage = marks[i].stage;

            *reported_to = marks[i].reported_to;
            forget_mark(i);
            return stage;
        }
    }
    return REBOX_RESUME_NOTHING;
}

void rebox_mark_resumption(CPUX86State *env, rebox_resumption stage, uint64_t reported_to)
{
    uint64_t unused;

    /* An older mark of the same place belongs to a thread that will not come back for it. */
    rebox_find_resumption(env, env->eip, &unused);
    if (stage == REBOX_RESUME_NOTHING) {
        return;
    }
    if (rebox_resumptions == MARKS) {
        forget_mark(0);
    }
    marks[rebox_resumptions++] = (mark){
        .stage = stage,
        .eip = env->eip,
        .stack_pointer = env->regs[R_ESP],
        .pgd = rebox_pgd_identity(env),
        .reported_to = reported_to,
    };
}
