/*
 * Translations that carry other calls than they have to by now (stale_code.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_STALE_CODE_H
#define REBOX_STALE_CODE_H

#include "rebox/events/events.h"

/* Counts changes of what translations have to carry. */
uint64_t rebox_next_generation(void);
/* The generation that all translations over an address have at least, in whatever physical page a vCPU reaches there. */
uint64_t rebox_translated_since(uint64_t address);
/*
 * Has the blocks over an address translated anew, wherever and whenever a vCPU reaches them. Throws all translations away
 * when there would be more than most_pages with such addresses, and a thousand.
 */
void rebox_retranslate_at(uint64_t address, unsigned int most_pages);

void rebox_stale_code_init(void);
/* Notes that there are no translations any more. */
void rebox_stale_code_flushed(void);
/* Finds the address in RAM, as QEMU counts it, of what is mapped at a virtual address. */
bool rebox_find_ram(CPUState *cpu, uint64_t pgd, uint64_t address, uint64_t *ram);
/* The same of the page that has just been entered into a vCPU's TLB, without a walk; false when it cannot be executed. */
bool rebox_find_filled_ram(CPUState *cpu, int mmu_idx, uint64_t address, uint64_t *ram);
/* Has stale code of a page that a vCPU can now reach translated anew. */
void rebox_code_page_filled(CPUState *cpu, int mmu_idx, uint64_t address);

#endif
