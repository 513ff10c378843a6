/*
 * Passes writes that touch the virtual addresses [begin, end) in the process pgd; -1 is any process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory_range.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return MEM_WRITE_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    mem_write_params_t *write = &params.mem_write_params;

    return is_in_range(handle, write->vaddr, write->size) && is_in_process(handle, write->cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
