/*
 * Passes the first write to each page of the virtual addresses [begin, end) in the process pgd; -1 is any process.
 * The function "erase_vars" forgets which pages were written to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "first_of_page.h"

callback_type_t get_type(void)
{
    return MEM_WRITE_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const mem_write_params_t &write = params.mem_write_params;

    return is_first_of_page(handle, write.cpu, write.vaddr, write.size);
}
