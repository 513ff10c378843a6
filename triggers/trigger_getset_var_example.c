/*
 * Shows how variables go both ways. The script sets var1, a number of blocks, var2, a text, and var3, a process. The
 * trigger collects where the first var1 blocks of that process begin; then it sets "list0" to these addresses, 8 bytes
 * each, "text0" to var2 and their number, "count0" to their number, and passes the block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

enum { MOST = 256 };

/* Each callback has a copy of its trigger, so these are the callback's own. */
static uint64_t addresses[MOST];
static uint64_t count;

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    uint64_t wanted;
    const char *text = get_var_string(handle, "var2");
    char said[128];

    if (!get_var_uint64(handle, "var1", &wanted) || wanted > MOST || !text || count >= wanted ||
        !runs_process_of(handle, "var3", params.block_begin_params.cpu)) {
        return 0;
    }
    addresses[count++] = get_tb_addr(params.block_begin_params.tb);
    if (count < wanted) {
        return 0;
    }
    snprintf(said, sizeof(said), "%s: %llu", text, (unsigned long long)count);
    set_var_bytes(handle, "list0", addresses, count * sizeof(addresses[0]));
    set_var_string(handle, "text0", said);
    set_var_uint64(handle, "count0", count);
    return 1;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
