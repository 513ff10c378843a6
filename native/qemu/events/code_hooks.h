/*
 * Hooks: events of blocks or instructions at one address (code_hooks.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_CODE_HOOKS_H
#define REBOX_CODE_HOOKS_H

#include "rebox/events/hooked_pages.h"
#include "rebox/events/stale_code.h"

void rebox_code_hooks_init(void);
bool rebox_any_code_hook(void);
/* Calls the listener for every hook at pc: of block, or with NULL of the instruction. */
void rebox_call_code_hooks(int cpu_index, rebox_block *block, uint64_t pc, uint64_t pgd);

#endif
