/*
 * Hooks: events of blocks or instructions at one address (code_hooks.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_CODE_HOOKS_H
#define REBOX_CODE_HOOKS_H

#include "rebox/events/events.h"

/* The number of hooks at each offset in a page, by is_block: a translation goes by it. */
extern uint16_t rebox_hooks_at_offset[2][TARGET_PAGE_SIZE];

static inline bool rebox_may_be_hooked(bool is_block, uint64_t pc)
{
    return rebox_hooks_at_offset[is_block][pc & ~TARGET_PAGE_MASK] != 0;
}

void rebox_code_hooks_init(void);
bool rebox_any_code_hook(void);
/* Calls the listener for every hook at pc: of block, or with NULL of the instruction. */
void rebox_call_code_hooks(int cpu_index, rebox_block *block, uint64_t pc, uint64_t pgd);
/* Notes that there are no translations any more. */
void rebox_code_hooks_flushed(void);
/* Has the code of a page that a vCPU can now reach translated anew where hooks in it are newer than its translations. */
void rebox_code_page_filled(CPUState *cpu, uint64_t address);
/* Finds the address in RAM, as QEMU counts it, of what is mapped at a virtual address. */
bool rebox_find_ram(CPUState *cpu, uint64_t pgd, uint64_t address, uint64_t *ram);

#endif
