/*
 * What the triggers share that pass the first event of each page of the virtual addresses [begin, end) in the process pgd; -1
 * is any process. The function "erase_vars" forgets which pages there were. C++; included once, by the trigger itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_FIRST_OF_PAGE_H
#define REBOX_FIRST_OF_PAGE_H

#include <unordered_set>

#include "memory_range.h"

REBOX_TRIGGER_API_VERSION;

/* Each callback has a copy of its trigger, so this is the callback's own. */
static std::unordered_set<uint64_t> pages;

static void erase_vars(callback_handle_t handle)
{
    pages.clear();
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "erase_vars", erase_vars);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}

/* Whether an event at size bytes from address on is the first in one of their pages that are in the range. */
static int is_first_of_page(callback_handle_t handle, qemu_cpu_opaque_t cpu, uint64_t address, uint64_t size)
{
    uint64_t first = address >> 12, last = (address + size - 1) >> 12;
    int is_new = 0;

    if (!is_in_range(handle, address, size) || !is_in_process(handle, cpu)) {
        return 0;
    }
    for (uint64_t page = first; page <= last; page++) {
        is_new |= is_in_range(handle, page << 12, 0x1000) && pages.insert(page).second;
    }
    return is_new;
}

#endif
