/*
 * Passes the calls, jumps and returns of the program in the process pgd, and sets the variable "opcode" to the one that
 * was executed. Indirect jumps (FF /4 and /5) only when the variable enable_ff_jmp is not 0. Give the callback a range
 * that holds what you want: 0x9a to 0xff is all of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "branch.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return OPCODE_RANGE_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    opcode_range_params_t *executed = &params.opcode_range_params;
    uint64_t enable_ff_jmp = 0;
    branch_kind kind;

    if (!is_user_address(executed->cur_pc) || !runs_process_of(handle, "pgd", executed->cpu)) {
        return 0;
    }
    get_var_uint64(handle, "enable_ff_jmp", &enable_ff_jmp);
    kind = branch_of(executed);
    if (kind == NO_BRANCH || (kind == INDIRECT_JUMP && !enable_ff_jmp)) {
        return 0;
    }
    set_var_uint64(handle, "opcode", executed->opcode);
    return 1;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
