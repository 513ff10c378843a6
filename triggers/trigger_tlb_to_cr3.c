/*
 * Passes the TLB's entries that are made while a vCPU runs the process cr3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return TLB_EXEC_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    return runs_process_of(handle, "cr3", params.tlb_exec_params.cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
