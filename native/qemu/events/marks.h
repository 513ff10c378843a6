/*
 * Marks how far a vCPU had come when a callback made it leave the code it was executing, so that the events up to there are
 * not reported a second time when it comes back (resumption.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_RESUMPTION_H
#define REBOX_RESUMPTION_H

#include "rebox/events/events.h"

typedef enum rebox_resumption { REBOX_RESUME_NOTHING, REBOX_RESUME_BLOCK, REBOX_RESUME_INSN } rebox_resumption;

/* The number of marks: asked for every block and instruction. */
extern unsigned int rebox_resumptions;

rebox_resumption rebox_find_resumption(CPUX86State *env, uint64_t eip, uint64_t *reported_to);

/* Marks that the events at env->eip, up to stage, have been reported to those who had subscribed by reported_to. */
void rebox_mark_resumption(CPUX86State *env, rebox_resumption stage, uint64_t reported_to);

/* Returns how far the vCPU that comes back to eip had come, and to whom that was reported; once. */
static inline rebox_resumption rebox_take_resumption(CPUX86State *env, uint64_t eip, uint64_t *reported_to)
{
    return likely(!rebox_resumptions) ? REBOX_RESUME_NOTHING : rebox_find_resumption(env, eip, reported_to);
}

#endif
