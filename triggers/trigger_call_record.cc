/*
 * Writes down calls of functions: at their first instruction and where they return to, with parameters, result, what those point to,
 * thread, caller and time. The script takes the records many at a time (handlers.onCalls of hookFunction()).
 *
 *   bits, current, thread, process   where the kernel notes the thread that a vCPU executes (guest_thread.h); current -1: not known
 *   end                              the address of the function that threads end in; 0: not known
 *   renew                            a function: the variables above hold from now on
 *   functions, add                   descriptions (recorded_function.h), and a function: their calls are written down from now on
 *   ids, remove, forget              4 bytes each, and functions: no more of their calls; nor of those that are open
 *   space, leave, forget_callers     an address space, and functions: it is gone; its modules have changed
 *   take                             a function: moves what was written into "records"
 *   resume                           a function: the callers in it have been looked up, and the clock of the records goes on
 *   count                            a function: tells in "counts" how many calls each hook has seen begin, 8 bytes each, by its number
 *
 * It passes when there is much to be taken, and when somebody calls from a place that has not called before, so that the script can look
 * up who that is while it is there. The records are those of call_record.h, and of such places: size 4, -1 4, address space 8, return
 * address 8, address space or 0 for one of the kernel 8, 8 unused; the last one is that of the time at which they were taken: size 4,
 * -2 4, time 8. Times are those of rebox_trigger_clock_ns() without those in which callers were looked up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest_thread.h"
#include "open_calls.h"

REBOX_TRIGGER_API_VERSION;

namespace {

constexpr size_t MUCH = 48 * 1024;
/* Addresses that calls return to, and places that have called, beyond this are not kept. */
constexpr size_t MOST_PLACES = 20000;
constexpr uint32_t NEW_CALLER = UINT32_MAX, TIME = UINT32_MAX - 1;
/* Of a code segment's flags: its code is of 64 bits (Intel SDM volume 3, 3.4.5). */
constexpr uint64_t LONG_CODE = 1 << 21;

struct Entry {
    uint32_t hook;
    std::vector<std::shared_ptr<RecordedFunction>> functions;
};

callback_handle_t own_handle;
Bytes records;
bool is_new_caller;
/* The time in which callers were looked up, and since when they are; 0 while they are not. */
uint64_t looked_up_ns, looking_since;
uint64_t end_address;
uint32_t end_hook;

std::vector<uint64_t> counts;
std::unordered_map<uint32_t, std::shared_ptr<RecordedFunction>> functions;
std::unordered_map<uint64_t, Entry> entries;
std::unordered_map<uint64_t, uint32_t> returns;
/* By address space, 0 for the kernel. */
std::unordered_map<uint64_t, std::unordered_set<uint64_t>> callers;

/* The event that is being handled; at the end of an address space there is none. */
struct Moment {
    qemu_cpu_opaque_t cpu;
    uint64_t pgd, now;
} moment;

/* Made in trigger_init(): a register that is not there would be no error of the loader's. */
struct Reader {
    GuestReader memory;
    GuestThreads threads;
    Register ip{ "RIP" }, sp{ "RSP" }, code_flags{ "CS_FLAGS" };
};
Reader *reader;

uint64_t ReadClock()
{
    return rebox_trigger_clock_ns() - looked_up_ns;
}

void WriteEnd(const OpenCall &call, const uint8_t *record, Left left)
{
    const RecordedFunction &function = *call.function;
    size_t begin = records.size();
    RecordHead head;

    memcpy(&head, record, sizeof(head));
    records.insert(records.end(), record, record + head.size);
    head.duration = moment.now - head.began;
    head.left = left;
    if (left == RETURNED) {
        CallReader values(reader->memory, moment.cpu, head.pgd, function);
        if (!values.ReadResult(&head.result)) {
            head.unread |= RESULT_UNREAD;
        }
        values.PutPieces(&records, record + sizeof(head), true, head.result);
        if (function.result == TEXT_RESULT) {
            values.PutText(&records, function.word == 4 ? static_cast<uint32_t>(head.result) : head.result);
        }
    }
    records.resize((records.size() + 7) / 8 * 8);
    head.size = records.size() - begin;
    memcpy(records.data() + begin, &head, sizeof(head));
}

OpenCalls<void (*)(const OpenCall &, const uint8_t *, Left)> open(WriteEnd);

void WatchReturn(uint64_t address)
{
    if (returns.count(address)) {
        return;
    }
    if (returns.size() >= MOST_PLACES) {
        std::unordered_set<uint64_t> awaited = open.ListAwaited();
        for (auto one = returns.begin(); one != returns.end();) {
            if (awaited.count(one->first)) {
                ++one;
            } else {
                rebox_trigger_unhook(own_handle, one->second);
                one = returns.erase(one);
            }
        }
    }
    returns[address] = rebox_trigger_hook(own_handle, address, REBOX_ALL_PROCESSES);
}

void NoteCaller(uint64_t space, uint64_t address)
{
    auto &known = callers[space];

    if (known.size() >= MOST_PLACES) {
        known.clear();
    }
    if (known.insert(address).second) {
        is_new_caller = true;
        Put<uint32_t>(&records, 40);
        Put(&records, NEW_CALLER);
        for (uint64_t value : { moment.pgd, address, space, UINT64_C(0) }) {
            Put(&records, value);
        }
    }
}

void Begin(CallStack *stack, const std::shared_ptr<RecordedFunction> &function, uint64_t thread, uint64_t stack_pointer,
           uint64_t return_address)
{
    CallReader values(reader->memory, moment.cpu, moment.pgd, *function);
    Bytes *memory = &stack->memory;
    size_t at = memory->size();
    RecordHead head = {};

    counts[function->hook]++;
    if (stack->calls.size() >= MOST_OPEN) {
        return;
    }
    head.function = function->id;
    head.began = moment.now;
    head.pgd = moment.pgd;
    head.return_address = return_address;
    head.stack_pointer = stack_pointer;
    head.depth = stack->calls.size();
    reader->threads.ReadNumbers(reader->memory, moment.cpu, moment.pgd, thread, &head.thread, &head.process);
    Put(memory, head);
    head.unread = values.PutParameters(memory, stack_pointer);
    /* What is read lies in the memory that is written to. */
    uint64_t bits[MOST_PARAMETERS];
    memcpy(bits, memory->data() + at + sizeof(head), function->parameters.size() * sizeof(bits[0]));
    values.PutPieces(memory, reinterpret_cast<const uint8_t *>(bits), false, 0);
    head.size = memory->size() - at;
    memcpy(memory->data() + at, &head, sizeof(head));
    stack->calls.push_back({ function, function->address, stack_pointer, return_address, at });
    WatchReturn(return_address);
    NoteCaller(function->space(), return_address);
}

void OnEnter(const Entry &entry)
{
    auto is_here = [](const std::shared_ptr<RecordedFunction> &one) {
        return one->is_of_kernel() || one->pgd == moment.pgd;
    };
    auto first = std::find_if(entry.functions.begin(), entry.functions.end(), is_here);
    uint64_t stack_pointer = reader->sp.Read(moment.cpu), return_address = 0, caller = 0;

    if (first == entry.functions.end()) {
        return;
    }
    const RecordedFunction &function = **first;
    stack_pointer = function.word == 4 ? static_cast<uint32_t>(stack_pointer) : stack_pointer;
    if (!reader->memory.Read(moment.cpu, moment.pgd, stack_pointer, &return_address, function.word)) {
        return;
    }
    /* Of functions of the kernel it is the stack: in a program, the thread has another one. */
    uint64_t task = reader->threads.Identify(reader->memory, moment.cpu, moment.pgd);
    uint64_t thread = function.is_of_kernel() ? reader->threads.IdentifyStack(stack_pointer) : task;
    CallStack *stack = &open.Get(thread);
    open.Enter(stack, function.space(), stack_pointer, return_address, function.address);
    /* A function of the module has become this one by a tail call, and has the caller of before. */
    if (!stack->calls.empty() && stack->calls.back().stack_pointer == stack_pointer &&
        stack->calls.back().return_address == return_address) {
        caller = stack->calls.back().function->from;
    }
    for (const auto &one : entry.functions) {
        bool is_inside = (return_address >= one->from && return_address < one->to) || (caller && caller == one->from);

        if (is_here(one) && !((one->flags & ONLY_OUTSIDE) && is_inside)) {
            Begin(stack, one, task, stack_pointer, return_address);
        }
    }
}

void OnReturn(uint64_t address)
{
    bool is_narrow = !(reader->code_flags.Read(moment.cpu) & LONG_CODE);
    uint64_t stack_pointer = reader->sp.Read(moment.cpu), word = is_narrow ? 4 : 8;

    stack_pointer = is_narrow ? static_cast<uint32_t>(stack_pointer) : stack_pointer;
    open.Leave(reader->threads.IdentifyStack(stack_pointer - word), 0, stack_pointer, address, word);
    open.Leave(reader->threads.Identify(reader->memory, moment.cpu, moment.pgd), moment.pgd, stack_pointer, address,
               word);
}

void OnThreadEnd()
{
    open.EndThread(reader->threads.Identify(reader->memory, moment.cpu, moment.pgd));
    open.EndThread(reader->threads.IdentifyStack(reader->sp.Read(moment.cpu)));
}

/* ---- what the script asks for ---- */

Bytes CopyVariable(callback_handle_t handle, const char *name)
{
    const auto *bytes = static_cast<const uint8_t *>(get_var(handle, name));

    return bytes == nullptr ? Bytes() : Bytes(bytes, bytes + get_var_size(handle, name));
}

std::vector<uint32_t> CopyIds(callback_handle_t handle)
{
    Bytes bytes = CopyVariable(handle, "ids");
    std::vector<uint32_t> ids(bytes.size() / sizeof(uint32_t));

    memcpy(ids.data(), bytes.data(), ids.size() * sizeof(uint32_t));
    return ids;
}

uint64_t GetSpace(callback_handle_t handle)
{
    uint64_t space = UINT64_MAX;

    get_var_uint64(handle, "space", &space);
    return space;
}

void Renew(callback_handle_t handle)
{
    GuestThreads::Places *places = &reader->threads.places;
    uint64_t end = 0;

    get_var_uint64(handle, "bits", &places->bits);
    get_var_uint64(handle, "current", &places->current);
    get_var_uint64(handle, "thread", &places->thread);
    get_var_uint64(handle, "process", &places->process);
    get_var_uint64(handle, "end", &end);
    reader->memory.Renew();
    if (end != end_address) {
        rebox_trigger_unhook(handle, end_hook);
        end_hook = end == 0 ? 0 : rebox_trigger_hook(handle, end, REBOX_ALL_PROCESSES);
        end_address = end;
    }
}

void Add(callback_handle_t handle)
{
    Bytes bytes = CopyVariable(handle, "functions");
    const uint8_t *at = bytes.data();

    while (auto function = ReadFunction(&at, bytes.data() + bytes.size())) {
        Entry &entry = entries[function->address];
        if (entry.functions.empty()) {
            entry.hook = rebox_trigger_hook(handle, function->address, REBOX_ALL_PROCESSES);
        }
        counts.resize(std::max<size_t>(counts.size(), function->hook + 1));
        entry.functions.push_back(function);
        functions[function->id] = function;
    }
}

void Remove(callback_handle_t handle)
{
    for (uint32_t id : CopyIds(handle)) {
        auto found = functions.find(id);
        auto entry = found == functions.end() ? entries.end() : entries.find(found->second->address);

        if (entry == entries.end()) {
            continue;
        }
        auto &here = entry->second.functions;
        here.erase(std::remove(here.begin(), here.end(), found->second), here.end());
        functions.erase(found);
        if (here.empty()) {
            rebox_trigger_unhook(handle, entry->second.hook);
            entries.erase(entry);
        }
    }
}

void Forget(callback_handle_t handle)
{
    for (uint32_t id : CopyIds(handle)) {
        auto found = functions.find(id);
        if (found != functions.end()) {
            found->second->is_forgotten = true;
        }
    }
    open.Forget();
    Remove(handle);
}

void Leave(callback_handle_t handle)
{
    moment.now = ReadClock();
    open.EndSpace(GetSpace(handle));
    callers.erase(GetSpace(handle));
}

void ForgetCallers(callback_handle_t handle)
{
    callers.erase(GetSpace(handle));
}

void Take(callback_handle_t handle)
{
    if (!records.empty()) {
        Put<uint32_t>(&records, 16);
        Put(&records, TIME);
        Put(&records, ReadClock());
    }
    set_var_bytes(handle, "records", records.data(), records.size());
    records.clear();
    is_new_caller = false;
}

void Resume(callback_handle_t)
{
    if (looking_since != 0) {
        looked_up_ns += rebox_trigger_clock_ns() - looking_since;
        looking_since = 0;
    }
}

void Count(callback_handle_t handle)
{
    set_var_bytes(handle, "counts", counts.data(), counts.size() * sizeof(counts[0]));
}

}  // namespace

callback_type_t get_type(void)
{
    return OP_INSN_BEGIN_CB;
}

void trigger_init(callback_handle_t handle)
{
    own_handle = handle;
    reader = new Reader;
    declare_function(handle, "renew", Renew);
    declare_function(handle, "add", Add);
    declare_function(handle, "remove", Remove);
    declare_function(handle, "forget", Forget);
    declare_function(handle, "leave", Leave);
    declare_function(handle, "forget_callers", ForgetCallers);
    declare_function(handle, "take", Take);
    declare_function(handle, "resume", Resume);
    declare_function(handle, "count", Count);
}

int trigger(callback_handle_t, callback_params_t params)
{
    qemu_cpu_opaque_t cpu = params.insn_begin_params.cpu;
    uint64_t address = reader->ip.Read(cpu);

    moment = { cpu, get_pgd(cpu), ReadClock() };
    if (returns.count(address)) {
        OnReturn(address);
    }
    auto entry = entries.find(address);
    if (entry != entries.end()) {
        OnEnter(entry->second);
    }
    if (address == end_address && end_address != 0) {
        OnThreadEnd();
    }
    if (is_new_caller) {
        looking_since = rebox_trigger_clock_ns();
    }
    return is_new_caller || records.size() >= MUCH;
}

void clean(callback_handle_t handle)
{
    delete reader;
    erase_trigger_vars(handle);
}
