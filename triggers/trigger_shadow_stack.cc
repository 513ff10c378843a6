/*
 * Passes returns of the program in the process pgd that lead where no call asked them to. The callback's range of
 * opcodes must hold calls and returns: 0x9a to 0xff.
 *
 * Each thread has a shadow stack; a thread is told by its FS and GS bases. A return to an address further down unwinds
 * to it, as longjmp() does. Returns from what was called before the trigger was attached are not judged. With the
 * variable thread_independent not 0, all threads share one set of return addresses instead, and a return passes when its
 * address is not in it: for programs that switch stacks themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "branch.h"

REBOX_TRIGGER_API_VERSION;

/* Each callback has a copy of its trigger, so these are the callback's own. The guest decides how deep it calls. */
static const size_t DEEPEST = 1 << 16, MOST_THREADS = 1 << 12, MOST_ADDRESSES = 1 << 20;
static std::unordered_map<uint64_t, std::vector<uint64_t>> stacks;
static std::unordered_set<uint64_t> addresses;

callback_type_t get_type(void)
{
    return OPCODE_RANGE_CB;
}

static void call(std::vector<uint64_t> &stack, uint64_t return_address)
{
    if (stack.size() >= DEEPEST) {
        stack.erase(stack.begin(), stack.begin() + DEEPEST / 2);
    }
    stack.push_back(return_address);
}

static bool returns_elsewhere(std::vector<uint64_t> &stack, uint64_t to)
{
    auto found = std::find(stack.rbegin(), stack.rend(), to);

    if (found != stack.rend()) {
        stack.erase(found.base() - 1, stack.end());
        return false;
    }
    /* Nothing is taken off: a chain of such returns would soon have emptied it, and the rest of the chain would not be judged. */
    return !stack.empty();
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const opcode_range_params_t &executed = params.opcode_range_params;
    uint64_t thread_independent = 0;
    uint64_t return_address = executed.cur_pc + executed.insn_size;

    if (!is_user_address(executed.cur_pc) || !runs_process_of(handle, "pgd", executed.cpu)) {
        return 0;
    }
    get_var_uint64(handle, "thread_independent", &thread_independent);
    branch_kind kind = branch_of(&executed);
    if (kind != CALL && kind != RETURN) {
        return 0;
    }
    if (thread_independent) {
        if (kind == CALL) {
            if (addresses.size() < MOST_ADDRESSES) {
                addresses.insert(return_address);
            }
            return 0;
        }
        return is_in_user_mode(executed.cpu) && !addresses.count(get_cpu_addr(executed.cpu));
    }
    /* In the kernel the bases may be the kernel's own, so the thread is unknown. */
    if (!is_in_user_mode(executed.cpu)) {
        return 0;
    }
    if (stacks.size() >= MOST_THREADS) {
        stacks.clear();
    }
    std::vector<uint64_t> &stack = stacks[get_fs_base(executed.cpu) ^ get_gs_base(executed.cpu)];
    if (kind == CALL) {
        call(stack, return_address);
        return 0;
    }
    return returns_elsewhere(stack, get_cpu_addr(executed.cpu));
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
