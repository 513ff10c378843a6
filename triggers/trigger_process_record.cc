/*
 * Writes down which processes begin, for scripts that look at them later, many at a time.
 *
 *   take   a function: moves what was written into "records"
 *
 * It passes when there is much to be taken. A record, little-endian: time 8 (ns, of the clock of trigger_system_call_record), pid 8,
 * pgd 8, size of the name 1, name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <algorithm>
#include <cstring>
#include <ctime>
#include <vector>

#include "rebox_trigger.h"

REBOX_TRIGGER_API_VERSION;

namespace {

constexpr size_t MUCH = 48 * 1024;
constexpr size_t LONGEST_NAME = 255;

std::vector<uint8_t> records;

void Put(const void *value, size_t size)
{
    const auto *bytes = static_cast<const uint8_t *>(value);

    records.insert(records.end(), bytes, bytes + size);
}

void Take(callback_handle_t handle)
{
    set_var_bytes(handle, "records", records.data(), records.size());
    records.clear();
}

}  // namespace

callback_type_t get_type(void)
{
    return CREATEPROC_CB;
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "take", Take);
}

int trigger(callback_handle_t, callback_params_t params)
{
    const vmi_create_proc_params_t &process = params.vmi_create_proc_params;
    timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t time = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
    uint64_t pid = process.pid, pgd = process.pgd;
    uint8_t size = std::min(strlen(process.name), LONGEST_NAME);
    Put(&time, sizeof(time));
    Put(&pid, sizeof(pid));
    Put(&pgd, sizeof(pgd));
    Put(&size, sizeof(size));
    Put(process.name, size);
    return records.size() >= MUCH;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
