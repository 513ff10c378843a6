/*
 * Writes every block that the program of the process cr3 executes to the file log_name, and passes the first block of
 * each page. A record is 16 bytes, in the host's byte order: the block's address (8), its size in bytes (4), and the
 * variable proc_num (4), 0 when it is not set. The function "flush" writes out what is still in memory; clean() does too.
 *
 * A file that cannot be written is said in the variable "error", and nothing is passed any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unordered_set>

#include "user_space.h"

REBOX_TRIGGER_API_VERSION;

struct record {
    uint64_t pc;
    uint32_t size;
    uint32_t proc_num;
};

/* Each callback has a copy of its trigger, so these are the callback's own. */
static std::unordered_set<uint64_t> pages;
static FILE *file;
static bool failed;

static void fail(callback_handle_t handle, const char *name)
{
    char text[512];

    snprintf(text, sizeof(text), "%s: %s", name, strerror(errno));
    set_var_string(handle, "error", text);
    failed = true;
}

static void flush(callback_handle_t handle)
{
    if (file && fflush(file) != 0) {
        fail(handle, "log_name");
    }
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "flush", flush);
}

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const block_begin_params_t &block = params.block_begin_params;
    record entry = { get_tb_addr(block.tb), (uint32_t)get_tb_size(block.tb), 0 };
    uint64_t proc_num;

    if (failed || !is_in_user_mode(block.cpu) || !runs_process_of(handle, "cr3", block.cpu)) {
        return 0;
    }
    if (!file) {
        const char *name = get_var_string(handle, "log_name");

        if (!name) {
            return 0;
        }
        file = fopen(name, "wbe");
        if (!file) {
            fail(handle, name);
            return 0;
        }
    }
    if (get_var_uint64(handle, "proc_num", &proc_num)) {
        entry.proc_num = (uint32_t)proc_num;
    }
    if (fwrite(&entry, sizeof(entry), 1, file) != 1) {
        fail(handle, "log_name");
        return 0;
    }
    return pages.insert(entry.pc >> 12).second;
}

void clean(callback_handle_t handle)
{
    if (file) {
        fclose(file);
    }
    erase_trigger_vars(handle);
}
