/*
 * Passes the first block of each page of the virtual addresses [begin, end) in the process pgd; -1 is any process. With
 * trigger_memwrite_wx on another callback this finds pages that are written to and then executed.
 * The function "erase_vars" forgets which pages were executed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "first_of_page.h"

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const block_begin_params_t &block = params.block_begin_params;

    /* A block belongs to the page that it begins in. */
    return is_first_of_page(handle, block.cpu, get_tb_addr(block.tb), 1);
}
