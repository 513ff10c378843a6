/*
 * Passes instructions that begin in [begin, end) in the process pgd; -1 is any process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory_range.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return INSN_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    qemu_cpu_opaque_t cpu = params.insn_begin_params.cpu;

    return is_in_range(handle, get_cpu_addr(cpu), 1) && is_in_process(handle, cpu);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
