/*
 * Passes the first write to each page of the virtual addresses [begin, end) in the process pgd; -1 is any process.
 * The function "erase_vars" forgets which pages were written to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
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

callback_type_t get_type(void)
{
    return MEM_WRITE_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const mem_write_params_t &write = params.mem_write_params;
    uint64_t first = write.vaddr >> 12, last = (write.vaddr + write.size - 1) >> 12;
    int is_new = 0;

    if (!is_in_range(handle, write.vaddr, write.size) || !is_in_process(handle, write.cpu)) {
        return 0;
    }
    for (uint64_t page = first; page <= last; page++) {
        is_new |= is_in_range(handle, page << 12, 0x1000) && pages.insert(page).second;
    }
    return is_new;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
