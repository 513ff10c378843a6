/*
 * Watches on code: which pages of an address space are executed for the first time since they were written (code_watches.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_CODE_WATCHES_H
#define REBOX_CODE_WATCHES_H

#include "rebox/events/events.h"
#include "exec/translation-block.h"

/*
 * Marks translations that ask whether their page is news. QEMU gives the same bit to pages with a breakpoint of gdb, with other flags
 * beside it, and makes no other code for it; so a translation may ask in vain.
 */
#define CF_WATCHED_CODE CF_BP_PAGE

void rebox_code_watches_init(void);
/* Whether any address space is watched. */
bool rebox_any_code_watch(void);
/* Whether the one that the vCPU executes in is. */
bool rebox_watches_code_here(void);
/* Returns the flags that code at pc is to be looked up with; only while rebox_watches_code_here(). */
uint32_t rebox_find_watched_code(uint64_t pc);
/* Calls the listener when the page that the vCPU is about to execute is news. */
void rebox_report_watched_code(CPUState *cpu);
/* A vCPU goes on to execute in this address space. */
void rebox_follow_code_watches(CPUState *cpu);
/*
 * Translations of a page of RAM were thrown away for another reason than that it was written: QEMU no longer reports writes to a
 * page without any. Where an address space knows the page, they are reported again.
 */
void rebox_keep_writes_reported(uint64_t ram);
/* A page was entered into a vCPU's TLB: another one may be there than was executed before. */
void rebox_watched_page_filled(CPUState *cpu, int mmu_idx, uint64_t address);

#endif
