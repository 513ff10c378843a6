/*
 * Hooks cost nothing in pages that have none.
 *
 * The look-up of a translation knows the address that it is executed at, and code is entered from another page by a look-up
 * only. So blocks of a page with hooks are looked up with a flag (CF_HOOKED), and have translations of their own: those of all
 * other pages carry no calls.
 *
 * A translation with the flag knows the offsets in its physical page, not its address (see translation.c). So it carries a
 * call at every offset that has a hook in any page, and the call compares the address. When a hook comes to an offset at which
 * the translations carry none, or goes, the blocks over it are stale: see stale_code.c.
 *
 * For a hook that comes and goes all the time, such as one at the place that a call returns to, that happens once: when the
 * last hook of a page goes, the page's translations are not used any more, and they are right when one comes back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/hooked_pages.h"
#include "rebox/events/stale_code.h"
#include "rebox/events/translation.h"

/* Offsets without a hook at which translations carry calls: each costs a little where a page has hooks. */
#define MAX_LEFT_OFFSETS 64
#define PAGES_ALIKE 4096

uint16_t rebox_hooks_at_offset[2][TARGET_PAGE_SIZE];
uint64_t rebox_carried_since[2][TARGET_PAGE_SIZE];
bool rebox_hooking;
uint64_t rebox_pages_with_hooks[PAGES_ALIKE / 64];

static GHashTable *pages; /* address -> number of hooks; none without any */
/* Counts these pages by the low bits of their numbers: look-ups ask, and the table is slow. */
static uint32_t pages_alike[PAGES_ALIKE];
static uint64_t pages_summed[PAGES_ALIKE]; /* their addresses, by exclusive or: of one that is alone, its address */
static unsigned int left_offsets;          /* that carry calls without a hook */

void rebox_hooked_pages_init(void)
{
    QEMU_BUILD_BUG_ON(TARGET_PAGE_BITS != 12 || PAGES_ALIKE / 64 != ARRAY_SIZE(rebox_pages_with_hooks));
    pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

bool rebox_is_hooked_page(uint64_t address)
{
    uint64_t page = address & TARGET_PAGE_MASK;
    uint32_t number = (address >> TARGET_PAGE_BITS) % PAGES_ALIKE;

    switch (pages_alike[number]) {
    case 0:
        return false;
    case 1:
        return pages_summed[number] == page;
    default:
        return g_hash_table_contains(pages, &page);
    }
}

uint32_t rebox_find_hooks(uint64_t pc)
{
    return rebox_is_hooked_page(pc) ? CF_HOOKED : 0;
}

/* Counts the hooks of a page. Returns how many it has then. */
static unsigned int count_hooks(uint64_t address, int by)
{
    uint64_t page = address & TARGET_PAGE_MASK;
    uint32_t number = (address >> TARGET_PAGE_BITS) % PAGES_ALIKE;
    uint64_t bit = 1ULL << (number % 64);
    unsigned int before = GPOINTER_TO_UINT(g_hash_table_lookup(pages, &page)), count = before + by;

    if (count) {
        g_hash_table_replace(pages, g_memdup2(&page, sizeof(page)), GUINT_TO_POINTER(count));
    } else {
        g_hash_table_remove(pages, &page);
    }
    pages_alike[number] += (count != 0) - (before != 0);
    if ((count != 0) != (before != 0)) {
        pages_summed[number] ^= page;
    }
    rebox_pages_with_hooks[number / 64] = (rebox_pages_with_hooks[number / 64] & ~bit) |
                                          (pages_alike[number] ? bit : 0);
    rebox_hooking = g_hash_table_size(pages) != 0;
    return count;
}

/* Has translations that come carry calls for the hooks alone. */
static void forget_left_offsets(void)
{
    for (int is_block = 0; is_block < 2; is_block++) {
        for (int offset = 0; offset < TARGET_PAGE_SIZE; offset++) {
            if (!rebox_hooks_at_offset[is_block][offset]) {
                rebox_carried_since[is_block][offset] = 0;
            }
        }
    }
    left_offsets = 0;
}

void rebox_hooked_pages_flushed(void)
{
    rebox_stale_code_flushed();
    forget_left_offsets();
}

/* The vCPU's next block may be one of the page, which is looked up in another way now. */
static void leave_page(void)
{
    rebox_follow_watched();
    if (current_cpu) {
        rebox_disturb(current_cpu, REBOX_STATE_CHANGED);
    }
}

void rebox_hook_page(bool is_block, uint64_t address, unsigned int hook_count)
{
    uint16_t offset = address & ~TARGET_PAGE_MASK;
    uint64_t *since = &rebox_carried_since[is_block][offset];

    count_hooks(address, 1);
    if (rebox_hooks_at_offset[is_block][offset]++ == 0) {
        if (*since) {
            left_offsets--;
        } else {
            *since = rebox_next_generation();
        }
    }
    if (rebox_translated_since(address) < *since) {
        rebox_retranslate_at(address, hook_count);
    }
    leave_page();
}

void rebox_unhook_page(bool is_block, uint64_t address, unsigned int hook_count)
{
    uint16_t offset = address & ~TARGET_PAGE_MASK;
    bool any_left = count_hooks(address, -1) != 0;

    if (--rebox_hooks_at_offset[is_block][offset] == 0) {
        if (any_left) {
            rebox_carried_since[is_block][offset] = 0;
            rebox_retranslate_at(address, hook_count);
        } else if (++left_offsets > MAX_LEFT_OFFSETS) {
            forget_left_offsets();
        }
    }
    leave_page();
}
