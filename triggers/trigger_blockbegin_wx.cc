/*
 * Passes the first block of each page of the virtual addresses [begin, end) in the process pgd; -1 is any process. With
 * trigger_memwrite_wx on another callback this finds pages that are written to and then executed.
 * The function "erase_vars" forgets which pages were executed.
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
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const block_begin_params_t &block = params.block_begin_params;
    uint64_t pc = get_tb_addr(block.tb);

    return is_in_range(handle, pc, 1) && is_in_process(handle, block.cpu) && pages.insert(pc >> 12).second;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
