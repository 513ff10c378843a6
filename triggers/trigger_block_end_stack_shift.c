/*
 * Passes ends of blocks of the program in the process pgd after which the stack pointer is more than shift bytes from
 * where it was at the end before: what a stack pivot does. With the variable skip_context_change not 0, ends between
 * which another process or thread has run are not compared; a thread is told by its FS and GS bases.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

/* Each callback has a copy of its trigger, so these are the callback's own. */
static int is_known;
static uint64_t last_stack, last_thread;

callback_type_t get_type(void)
{
    return BLOCK_END_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    qemu_cpu_opaque_t cpu = params.block_end_params.cpu;
    uint64_t shift, skip_context_change = 0, stack, thread;
    int is_comparable;

    if (!get_var_uint64(handle, "shift", &shift)) {
        return 0;
    }
    get_var_uint64(handle, "skip_context_change", &skip_context_change);
    if (!runs_process_of(handle, "pgd", cpu)) {
        is_known = is_known && !skip_context_change;
        return 0;
    }
    /* The kernel has stacks of its own. */
    if (!is_in_user_mode(cpu)) {
        return 0;
    }
    stack = get_stack_pointer(cpu);
    thread = get_fs_base(cpu) ^ get_gs_base(cpu);
    is_comparable = is_known && (!skip_context_change || thread == last_thread);
    is_known = 1;
    last_thread = thread;
    if (is_comparable && (stack > last_stack ? stack - last_stack : last_stack - stack) > shift) {
        last_stack = stack;
        return 1;
    }
    last_stack = stack;
    return 0;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
