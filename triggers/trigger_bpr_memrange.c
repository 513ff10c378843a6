/*
 * Passes reads that touch the virtual addresses [begin, end) in the process pgd; -1 is any process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory_range.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return MEM_READ_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    mem_read_params_t *read = &params.mem_read_params;

    return is_in_range(handle, read->vaddr, read->size) && is_in_process(handle, read->cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
