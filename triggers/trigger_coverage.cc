/*
 * Collects which blocks are executed, and from where to where, without asking the script; which address space each block is of.
 *
 *   spaces     8 bytes each: the address spaces whose programs are collected
 *   all        1: those of all address spaces
 *   kernel     1: the kernel too; its blocks are of the address space 0
 *   edges      1: also from which block the vCPU has come
 *   choose     a function: the variables above hold from now on
 *   take       a function: moves what is new since the last time into "blocks" and "jumps"
 *
 * It is asked about monitored processes alone, so these are to be monitored, and ALL_PROCESSES for all and kernel. Without edges it wants
 * to be asked about a block once.
 *
 * It passes when there is much to be taken. Blocks are, little-endian: address space 8, address 8, size 4, instructions 4; jumps: address
 * space 8, from 8, to 8. Each is there once for each address space until "forget", a function, which also takes "spaces".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "address_set.h"
#include "user_space.h"

REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_OF_MONITORED;

namespace {

constexpr size_t MUCH = 64 * 1024;
/* A guest's programs and kernel have some hundred thousands. */
constexpr size_t MOST = 16 << 20;
constexpr size_t MOST_CPUS = 256;

struct Block {
    uint64_t space, address;
    uint32_t size, instructions;
};

struct Jump {
    uint64_t space, from, to;

    bool operator==(const Jump &other) const
    {
        return space == other.space && from == other.from && to == other.to;
    }
};

struct JumpHash {
    size_t operator()(const Jump &jump) const
    {
        return Mix(jump.space ^ Mix(jump.from ^ Mix(jump.to)));
    }
};

/* Of each address space that is collected, the blocks that were there. */
std::unordered_map<uint64_t, AddressSet> known;
std::unordered_set<Jump, JumpHash> known_jumps;
std::unordered_set<uint64_t> spaces;
std::vector<Block> blocks;
std::vector<Jump> jumps;
uint64_t all, with_kernel, with_edges;
size_t count;

/* The space of the last block of a vCPU, whose set it is, and where that block was. */
struct Last {
    uint64_t pgd, address;
    AddressSet *set;
    bool is_kernel, is_there;
} last[MOST_CPUS];

/* What was found known lately, by a hash: most blocks are executed again and again, and end here. */
constexpr size_t RECENT = 8192;
Jump recent[RECENT];

/* The place of a block, whose `from` is 0, or of a jump. */
inline Jump &RecentPlace(const Jump &jump)
{
    return recent[Mix(jump.to ^ (jump.from << 17) ^ jump.space) % RECENT];
}

void ForgetLast()
{
    memset(last, 0, sizeof(last));
    memset(recent, 0, sizeof(recent));
}

std::vector<uint64_t> CopySpaces(callback_handle_t handle)
{
    const void *bytes = get_var(handle, "spaces");
    std::vector<uint64_t> list(bytes == nullptr ? 0 : get_var_size(handle, "spaces") / sizeof(uint64_t));

    if (!list.empty()) {
        memcpy(list.data(), bytes, list.size() * sizeof(uint64_t));
    }
    return list;
}

void Choose(callback_handle_t handle)
{
    std::vector<uint64_t> list = CopySpaces(handle);
    std::unordered_set<uint64_t> chosen(list.begin(), list.end());
    uint64_t is_all = 0, is_kernel = 0;

    with_edges = 0;
    get_var_uint64(handle, "all", &is_all);
    get_var_uint64(handle, "kernel", &is_kernel);
    get_var_uint64(handle, "edges", &with_edges);
    rebox_trigger_ask(handle, with_edges ? REBOX_TELL_ALWAYS : is_kernel ? REBOX_TELL_ONCE : REBOX_TELL_PROGRAMS_ONCE);
    /* What was rejected until now may be wanted. */
    if (is_all != all || is_kernel != with_kernel) {
        rebox_trigger_ask_again(handle, REBOX_ALL_PROCESSES);
    }
    for (uint64_t space : chosen) {
        if (!spaces.count(space)) {
            rebox_trigger_ask_again(handle, space);
        }
    }
    all = is_all;
    with_kernel = is_kernel;
    spaces.swap(chosen);
    ForgetLast();
}

void Forget(callback_handle_t handle)
{
    for (uint64_t space : CopySpaces(handle)) {
        rebox_trigger_ask_again(handle, space);
        auto found = known.find(space);
        if (found != known.end()) {
            count -= found->second.size();
            known.erase(found);
        }
        for (auto one = known_jumps.begin(); one != known_jumps.end();) {
            one = one->space == space ? known_jumps.erase(one) : std::next(one);
        }
    }
    ForgetLast();
}

void Take(callback_handle_t handle)
{
    set_var_bytes(handle, "blocks", blocks.data(), blocks.size() * sizeof(blocks[0]));
    set_var_bytes(handle, "jumps", jumps.data(), jumps.size() * sizeof(jumps[0]));
    blocks.clear();
    jumps.clear();
}

}  // namespace

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "choose", Choose);
    declare_function(handle, "forget", Forget);
    declare_function(handle, "take", Take);
}

int trigger(callback_handle_t, callback_params_t params)
{
    const block_begin_params_t &event = params.block_begin_params;
    const auto *block = static_cast<const rebox_block *>(event.tb);
    uint64_t address = block->pc;
    bool is_kernel = qemu_is_kernel_running(event.cpu_index);

    if (static_cast<size_t>(event.cpu_index) >= MOST_CPUS) {
        return 0;
    }
    Last *before = &last[event.cpu_index];
    if (is_kernel && !with_kernel) {
        /* Behind it, another thread may go on. */
        before->is_there = false;
        return 0;
    }
    uint64_t pgd = is_kernel ? 0 : rebox_current_pgds()[event.cpu_index];
    bool is_same = before->set && before->pgd == pgd && before->is_kernel == is_kernel;
    Jump now = { pgd, with_edges && is_same && before->is_there ? before->address : 0, address };
    Jump &known_lately = RecentPlace(now);
    /* A vCPU that has come from elsewhere has an edge to begin. */
    if (known_lately == now && address && (is_same || !with_edges)) {
        before->address = address;
        before->is_there = true;
        return 0;
    }
    if (!is_same) {
        if (!is_kernel && !all && !spaces.count(pgd)) {
            before->is_there = false;
            return 0;
        }
        *before = { pgd, 0, &known[pgd], is_kernel, false };
    }
    if (with_edges && before->is_there && count < MOST) {
        Jump jump = { pgd, before->address, address };
        if (known_jumps.insert(jump).second) {
            jumps.push_back(jump);
            count++;
        }
    }
    before->address = address;
    before->is_there = true;
    if (count < MOST && before->set->Insert(address)) {
        blocks.push_back({ pgd, address, block->size, block->icount });
        count++;
    }
    known_lately = now;
    return blocks.size() * sizeof(Block) + jumps.size() * sizeof(Jump) >= MUCH;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
