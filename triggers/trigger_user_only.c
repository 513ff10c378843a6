/*
 * Passes instructions that programs execute, of every process, and none of the kernel's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return INSN_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    return is_in_user_mode(params.insn_begin_params.cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
