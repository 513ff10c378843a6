/*
 * The blocks that translations name (blocks.c): one for each place, size and number of instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_BLOCKS_H
#define REBOX_BLOCKS_H

#include "rebox/events/events.h"

/* rebox_block.known of a block that is not known anywhere: no address, and no address with the number of an address space. */
#define REBOX_UNKNOWN_BLOCK (1ULL << 62)

void rebox_blocks_init(void);
/* Returns the block that equals wanted; kept until the next flush of the translations. */
rebox_block *rebox_get_block(const rebox_block *wanted);
void rebox_forget_blocks(void);
/* Makes all blocks unknown. */
void rebox_forget_known_blocks(void);

/* The block as it executes now, which is not where it was translated when its page is mapped twice. */
static inline rebox_block *rebox_block_at(uint64_t linear_pc, rebox_block *translated)
{
    rebox_block here;

    if (likely(linear_pc == translated->pc)) {
        return translated;
    }
    here = *translated;
    here.pc = linear_pc;
    return rebox_get_block(&here);
}

#endif
