/*
 * Passes reads that touch the guest-physical addresses [begin, end), in any process.
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

    return is_in_physical_range(handle, read->cpu, read->vaddr, read->haddr, read->size);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
