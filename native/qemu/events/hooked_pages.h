/*
 * The pages in which there are hooks, and the offsets at which their translations call (hooked_pages.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_HOOKED_PAGES_H
#define REBOX_HOOKED_PAGES_H

#include "rebox/events/events.h"

/* The number of hooks at each offset in a page, by is_block. */
extern uint16_t rebox_hooks_at_offset[2][TARGET_PAGE_SIZE];
/*
 * By is_block and offset: the generation since which the translations of hooked pages carry a call there; 0 when new ones
 * carry none. It outlives the hooks for a while.
 */
extern uint64_t rebox_carried_since[2][TARGET_PAGE_SIZE];

static inline bool rebox_may_be_hooked(bool is_block, uint64_t pc)
{
    return rebox_hooks_at_offset[is_block][pc & ~TARGET_PAGE_MASK] != 0;
}

/* Whether a translation of a hooked page is to call at pc. */
static inline bool rebox_carries_call(bool is_block, uint64_t pc)
{
    return rebox_carried_since[is_block][pc & ~TARGET_PAGE_MASK] != 0;
}

/* Whether the page of an address has a hook. */
bool rebox_is_hooked_page(uint64_t address);

void rebox_hooked_pages_init(void);
/* A hook comes to an address, or goes; there are so many then. */
void rebox_hook_page(bool is_block, uint64_t address, unsigned int hook_count);
void rebox_unhook_page(bool is_block, uint64_t address, unsigned int hook_count);
/* Notes that there are no translations any more. */
void rebox_hooked_pages_flushed(void);

#endif
