/*
 * Passes ends of blocks of monitored processes that return to where no call asked for, and after which the stack pointer is elsewhere.
 *
 *   returns   1: returns are judged by a shadow stack for each thread, which is told by its FS and GS bases. A return to an address further
 *             down unwinds to it, as longjmp() does. Returns from what was called before the process was monitored are not judged
 *   shift     a stack pointer that moves by more than this many bytes from one block to the next is passed
 *   pgd       a process
 *   forget    a function: forgets the threads of pgd, for a process that ends
 *
 * Of what it passes, "sign" says which: 1 a return, 2 a stack pointer, 3 both; "at" is the instruction, and "to" where a return leads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "address_set.h"
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_OF_MONITORED;

namespace {

/* The guest decides how deep it calls, and how many threads it has. */
constexpr size_t DEEPEST = 1 << 16, MOST_THREADS = 1 << 12, MOST_CPUS = 256;
constexpr uint64_t RETURN = 1, SHIFT = 2;

struct Thread {
    uint64_t pgd, base;

    bool operator==(const Thread &other) const
    {
        return pgd == other.pgd && base == other.base;
    }
};

struct ThreadHash {
    size_t operator()(const Thread &thread) const
    {
        return Mix(thread.pgd ^ Mix(thread.base));
    }
};

using Stack = std::vector<uint64_t>;

std::unordered_map<Thread, Stack, ThreadHash> stacks;
uint64_t judges_returns, shift;

/* The thread that a vCPU executed last, its stack of calls, and its stack pointer. */
struct Last {
    Thread thread;
    Stack *calls;
    uint64_t stack_pointer;
} last[MOST_CPUS];

void Forget(callback_handle_t handle)
{
    uint64_t pgd;

    if (!get_var_uint64(handle, "pgd", &pgd)) {
        return;
    }
    pgd = rebox_normal_pgd(pgd);
    for (auto one = stacks.begin(); one != stacks.end();) {
        one = one->first.pgd == pgd ? stacks.erase(one) : std::next(one);
    }
    std::fill_n(last, MOST_CPUS, Last());
}

void Call(Stack &calls, uint64_t return_address)
{
    if (calls.size() >= DEEPEST) {
        calls.erase(calls.begin(), calls.begin() + DEEPEST / 2);
    }
    calls.push_back(return_address);
}

bool ReturnsElsewhere(Stack &calls, uint64_t to)
{
    if (calls.empty()) {
        return false;
    }
    if (calls.back() == to) {
        calls.pop_back();
        return false;
    }
    auto found = std::find(calls.rbegin(), calls.rend(), to);
    if (found != calls.rend()) {
        calls.erase(found.base() - 1, calls.end());
        return false;
    }
    /* Nothing is taken off: a chain of such returns would soon have emptied it, and the rest of the chain would not be judged. */
    return true;
}

/* Finds what is known of the thread that executes. */
Last *FindLast(const block_end_params_t &event, bool *is_same)
{
    Last *of = &last[event.cpu_index];
    Thread thread = { rebox_current_pgds()[event.cpu_index], get_fs_base(event.cpu) ^ get_gs_base(event.cpu) };

    *is_same = of->calls && of->thread == thread;
    if (!*is_same) {
        if (stacks.size() >= MOST_THREADS) {
            stacks.clear();
            std::fill_n(last, MOST_CPUS, Last());
        }
        *of = { thread, &stacks[thread], 0 };
    }
    return of;
}

}  // namespace

callback_type_t get_type(void)
{
    return BLOCK_END_CB;
}

static void choose(callback_handle_t handle)
{
    judges_returns = shift = 0;
    get_var_uint64(handle, "returns", &judges_returns);
    get_var_uint64(handle, "shift", &shift);
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "choose", choose);
    declare_function(handle, "forget", Forget);
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    const block_end_params_t &event = params.block_end_params;
    const auto *block = static_cast<const rebox_block *>(event.tb);
    uint64_t at = block->pc + block->last, to = event.next_pc, signs = 0;
    bool is_same;

    if (!is_user_address(block->pc) || static_cast<size_t>(event.cpu_index) >= MOST_CPUS) {
        return 0;
    }
    bool is_in_kernel = qemu_is_kernel_running(event.cpu_index);
    /*
     * A fault beside the block is one of where it has led, whose page is not in memory: the block was executed. The kernel has just been
     * entered, and has not changed what tells the thread yet. Any other entry is the end of no call and no return.
     */
    if (is_in_kernel && event.cur_pc - block->pc < block->size) {
        return 0;
    }
    if (is_in_kernel) {
        to = event.cur_pc;
    } else if (event.cur_pc != at) {
        /* A fault within the block that the program's next code follows at once: it was left. */
        return 0;
    }
    Last *of = FindLast(event, &is_same);
    if (judges_returns && block->end == REBOX_ENDS_WITH_CALL) {
        Call(*of->calls, block->pc + block->size);
    } else if (judges_returns && block->end == REBOX_ENDS_WITH_RETURN && ReturnsElsewhere(*of->calls, to)) {
        signs |= RETURN;
    }
    if (!is_in_kernel) {
        uint64_t stack_pointer = get_stack_pointer(event.cpu), before = of->stack_pointer;

        of->stack_pointer = stack_pointer;
        if (shift && is_same && before &&
            (stack_pointer > before ? stack_pointer - before : before - stack_pointer) > shift) {
            signs |= SHIFT;
        }
    }
    if (!signs) {
        return 0;
    }
    set_var_uint64(handle, "sign", signs);
    set_var_uint64(handle, "at", at);
    set_var_uint64(handle, "to", to);
    return 1;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
