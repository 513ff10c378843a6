/*
 * Blocks that are told until somebody knows them (known_blocks.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_KNOWN_BLOCKS_H
#define REBOX_KNOWN_BLOCKS_H

#include "rebox/events/events.h"

/* The number of the address space that is executed, above the bits of addresses. */
extern uint64_t rebox_known_space;
/* How often all blocks were made unknown. */
extern uint64_t rebox_known_changes;

/* Where a vCPU is that begins a block: rebox_block.known of a block that is known there. */
static inline uint64_t rebox_known_here(const CPUX86State *env)
{
    return ((env->hflags & HF_CPL_MASK) ? rebox_known_space : 0) + env->eip;
}

/* Notes the address space that a vCPU is in, if it is the one that executes. */
void rebox_follow_known_blocks(CPUState *cpu);
/* Whether the block that is being translated, of which nothing but BLOCK_BEGIN is wanted, needs no call once it is known. */
bool rebox_may_be_known(bool monitored);
/* Has that block compare where it is known with where it is, and call only when they differ. */
void rebox_compare_block(rebox_block *block, bool monitored);

#endif
