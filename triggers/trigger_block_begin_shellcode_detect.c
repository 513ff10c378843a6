/*
 * Passes blocks of the program in the process pgd that begin no more than shift bytes from the stack pointer: code that
 * is executed on the stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    block_begin_params_t *block = &params.block_begin_params;
    uint64_t shift, pc = get_tb_addr(block->tb), stack = get_stack_pointer(block->cpu);

    return get_var_uint64(handle, "shift", &shift) && (pc > stack ? pc - stack : stack - pc) <= shift &&
           is_in_user_mode(block->cpu) && runs_process_of(handle, "pgd", block->cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
