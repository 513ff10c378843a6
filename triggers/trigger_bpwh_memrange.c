/*
 * Passes writes that touch the guest-physical addresses [begin, end), in any process.
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

    return is_in_physical_range(handle, write->cpu, write->vaddr, write->haddr, write->size);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
