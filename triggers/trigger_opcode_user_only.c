/*
 * Passes opcodes that the process cr3 executes and that lead from its program to its program: no system call, no
 * interrupt, nothing of the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return OPCODE_RANGE_CB;
}

static int leads_elsewhere(uint16_t opcode)
{
    switch (opcode) {
    /* clang-format off */
    case 0xcc: case 0xcd: case 0xce: case 0xf1: case 0xcf:     /* int3, int, into, int1, iret */
    case 0x0f05: case 0x0f07: case 0x0f34: case 0x0f35:        /* syscall, sysret, sysenter, sysexit */
    case 0x0f0b:                                               /* ud2 */
        /* clang-format on */
        return 1;
    default:
        return 0;
    }
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    opcode_range_params_t *executed = &params.opcode_range_params;

    /* A next_pc of 0, of a return, is a user address too: a program's return stays in the program. */
    return is_user_address(executed->cur_pc) && is_user_address(executed->next_pc) &&
           !leads_elsewhere(executed->opcode) && runs_process_of(handle, "cr3", executed->cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
