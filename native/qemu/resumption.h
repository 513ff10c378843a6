/*
 * How far a vCPU had come when a callback made it leave the code it was executing, so that the events up to there are
 * not reported a second time when it comes back (resumption.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_RESUMPTION_H
#define REBOX_RESUMPTION_H

#include "rebox/machine.h"

typedef enum rebox_resumption { REBOX_RESUME_NOTHING, REBOX_RESUME_BLOCK, REBOX_RESUME_INSN } rebox_resumption;

/* How many marks there are: asked for every block and instruction. */
extern unsigned int rebox_resumptions;

rebox_resumption rebox_find_resumption(CPUX86State *env, uint64_t eip);

/* Marks that the events at env->eip, up to stage, have been reported. */
void rebox_mark_resumption(CPUX86State *env, rebox_resumption stage);

/* Tells how far whoever comes back to eip had come; once. */
static inline rebox_resumption rebox_take_resumption(CPUX86State *env, uint64_t eip)
{
    return likely(!rebox_resumptions) ? REBOX_RESUME_NOTHING : rebox_find_resumption(env, eip);
}

#endif
