/*
 * What the triggers share that look for patterns in what passes through memory: trigger_memory_search_read.cc and ..._write.cc. C++; included
 * once, by the trigger itself.
 *
 *   automaton  what is looked for: see search_automaton.h
 *   keys       1: also AES keys, by the schedules that are written
 *   most       how often a pattern is passed at one place of code in an address space; 3
 *   choose     a function: the variables above hold from now on, and everything is counted anew
 *   take       a function: moves what was passed into "records"
 *   count      a function: tells in "places" how often what was found where
 *
 * It passes what it has recorded. A match is found where its last byte is accessed, in two ways: it lies in memory at that moment, whoever
 * brought its other bytes there; or its bytes were accessed in order by one instruction with one stack pointer, wherever they lie.
 *
 * A record, little-endian: size 4, pattern 2 (0xffff: an AES key), in memory 1, size of the access 1, time 8 (ns), pgd 8, code 8, stack 8,
 * address behind the match 8, bytes up to there 2, bytes behind 2, those bytes. A place: pgd 8, code 8, pattern 8, times 8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_MEMORY_SEARCH_H
#define REBOX_MEMORY_SEARCH_H

#include <unordered_map>

#include "aes_schedules.h"
#include "guest_reader.h"
#include "search_automaton.h"

REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_OF_MONITORED;

namespace {

constexpr size_t MOST_PLACES = 1 << 16;
/* What is shown behind a match, in bytes. */
constexpr size_t BEHIND = 32;
constexpr uint64_t PAGE_SIZE = 4096;
constexpr uint16_t AES_KEY = 0xffff;

/* One access, as far as both ways of being asked know it. */
struct Access {
    uint64_t code, address, low, high;
    uint32_t size;

    uint8_t At(uint32_t index) const
    {
        return (index < 8 ? low : high) >> (index % 8 * 8);
    }
};

/* How far an instruction has come with a match, byte after byte. */
struct Progress {
    uint64_t code, pgd, stack;
    uint16_t state;
    uint8_t size;
    uint8_t last[64];
};

/* By code, a few each: there are as many as stacks that an instruction is executed with. */
class ProgressTable {
  public:
    bool IsOpen(uint64_t code) const
    {
        return counts_[IndexOf(code)] != 0;
    }

    /* nullptr when there is none. Those that are never gone on with are given up after some time. */
    Progress *Find(uint64_t code, uint64_t pgd, uint64_t stack)
    {
        size_t index = IndexOf(code);
        Progress *first = &ways_[index * WAYS];

        for (Progress *one = first; one < first + counts_[index]; one++) {
            if (one->code == code && one->stack == stack && one->pgd == pgd) {
                misses_[index] = 0;
                return one;
            }
        }
        /* The number of misses comes round to 0. */
        if (counts_[index] != 0 && ++misses_[index] == 0) {
            counts_[index] = 0;
        }
        return nullptr;
    }

    void Open(const Progress &progress)
    {
        size_t index = IndexOf(progress.code);
        size_t way = counts_[index] < WAYS ? counts_[index]++ : next_++ % WAYS;

        ways_[index * WAYS + way] = progress;
    }

    void Close(Progress *one)
    {
        size_t index = IndexOf(one->code);

        *one = ways_[index * WAYS + --counts_[index]];
    }

    void Forget()
    {
        memset(counts_, 0, sizeof(counts_));
    }

  private:
    static constexpr size_t WAYS = 8, BUCKETS = 4096;

    static size_t IndexOf(uint64_t code)
    {
        return (code ^ code >> 12) % BUCKETS;
    }

    /* Apart, because nearly every access looks at it. */
    uint8_t counts_[BUCKETS] = {};
    uint8_t misses_[BUCKETS] = {};
    size_t next_ = 0;
    std::vector<Progress> ways_ = std::vector<Progress>(BUCKETS * WAYS);
};

struct Place {
    uint64_t pgd, code, pattern;

    bool operator==(const Place &other) const
    {
        return pgd == other.pgd && code == other.code && pattern == other.pattern;
    }
};

struct PlaceHash {
    size_t operator()(const Place &place) const
    {
        return (place.code ^ place.pgd << 20 ^ place.pattern << 48) * UINT64_C(0x9e3779b97f4a7c15) >> 16;
    }
};

SearchAutomaton automaton;
ScheduleRuns schedules;
ProgressTable progresses;
GuestReader memory;
std::unordered_map<Place, uint64_t, PlaceHash> places;
std::vector<uint8_t> records;
uint64_t with_keys, most = 3;
/* The access that sieve() has let through is the one that trigger() is called for. */
bool is_sieved, may_end_schedule;

template <typename Value> void Put(Value value)
{
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    records.insert(records.end(), bytes, bytes + sizeof(value));
}

/* Bytes around the end of a match. */
struct Excerpt {
    uint8_t bytes[SearchAutomaton::MOST_LONGEST + 16 + BEHIND];
    size_t before = 0, behind = 0;
};

/* Reads what lies in front of an address, as far as it is there: at most size bytes. */
size_t ReadBefore(qemu_cpu_opaque_t cpu, uint64_t pgd, uint64_t address, uint8_t *to, size_t size)
{
    size_t in_page = address % PAGE_SIZE;

    if (memory.Read(cpu, pgd, address - size, to, size)) {
        return size;
    }
    if (in_page < size && memory.Read(cpu, pgd, address - in_page, to, in_page)) {
        return in_page;
    }
    return 0;
}

/* Counts a match, and writes it down while its place is not well known. Returns whether it did. */
bool Report(qemu_cpu_opaque_t cpu, uint64_t pgd, const Access &access, uint16_t pattern, bool in_memory, uint64_t end,
            const Excerpt &excerpt)
{
    auto found = places.find({ pgd, access.code, pattern });

    if (found == places.end()) {
        if (places.size() >= MOST_PLACES) {
            return false;
        }
        found = places.insert({ { pgd, access.code, pattern }, 0 }).first;
    }
    if (++found->second > most) {
        return false;
    }
    size_t size = excerpt.before + excerpt.behind;
    Put(static_cast<uint32_t>(52 + size));
    Put(pattern);
    Put<uint8_t>(in_memory);
    Put(static_cast<uint8_t>(access.size));
    Put(rebox_trigger_clock_ns());
    Put(pgd);
    Put(access.code);
    Put<uint64_t>(get_stack_pointer(cpu));
    Put(end);
    Put(static_cast<uint16_t>(excerpt.before));
    Put(static_cast<uint16_t>(excerpt.behind));
    records.insert(records.end(), excerpt.bytes, excerpt.bytes + size);
    return true;
}

/* Where in an access a match may end; -1 for nowhere. */
int FindEnd(const Access &access)
{
    for (uint32_t at = 0; at < access.size; at++) {
        if (automaton.MayEnd(at == 0 ? -1 : access.At(at - 1), access.At(at))) {
            return at;
        }
    }
    return -1;
}

/* Looks for matches that lie in memory and end with this access. Returns whether one was written down; pattern is the last one found. */
bool SearchMemory(qemu_cpu_opaque_t cpu, uint64_t pgd, const Access &access, uint16_t *pattern)
{
    uint8_t front[SearchAutomaton::MOST_LONGEST];
    size_t wanted = automaton.Longest() - 1;
    size_t before = ReadBefore(cpu, pgd, access.address, front, wanted);
    uint16_t state = 0;
    bool is_written = false;

    for (size_t at = 0; at < before; at++) {
        state = automaton.Step(state, front[at]);
    }
    for (uint32_t at = 0; at < access.size; at++) {
        state = automaton.Step(state, access.At(at));
        if (automaton.PatternOf(state) == SearchAutomaton::NONE) {
            continue;
        }
        Excerpt excerpt;
        *pattern = automaton.PatternOf(state);
        memcpy(excerpt.bytes, front, before);
        for (uint32_t index = 0; index <= at; index++) {
            excerpt.bytes[before + index] = access.At(index);
        }
        excerpt.before = before + at + 1;
        uint64_t end = access.address + at + 1;
        size_t room = std::min<size_t>(BEHIND, PAGE_SIZE - end % PAGE_SIZE);
        excerpt.behind = memory.Read(cpu, pgd, end, excerpt.bytes + excerpt.before, room) ? room : 0;
        is_written |= Report(cpu, pgd, access, *pattern, true, end, excerpt);
    }
    return is_written;
}

/* Goes on with the matches that this instruction has begun. Returns whether one was written down that does not lie in memory. */
bool FollowOrder(qemu_cpu_opaque_t cpu, uint64_t pgd, const Access &access, uint16_t known)
{
    uint64_t stack = get_stack_pointer(cpu);
    Progress *progress = progresses.Find(access.code, pgd, stack);
    Progress fresh = { access.code, pgd, stack, 0, 0, {} };
    Progress *now = progress ? progress : &fresh;
    bool is_written = false;

    for (uint32_t at = 0; at < access.size; at++) {
        uint8_t byte = access.At(at);

        now->state = automaton.Step(now->state, byte);
        if (now->size == sizeof(now->last)) {
            memmove(now->last, now->last + 1, --now->size);
        }
        now->last[now->size++] = byte;
        if (now->state == 0) {
            now->size = 0;
        }
        uint16_t pattern = automaton.PatternOf(now->state);
        if (pattern != SearchAutomaton::NONE && pattern != known) {
            Excerpt excerpt;
            excerpt.before = now->size;
            memcpy(excerpt.bytes, now->last, now->size);
            is_written |= Report(cpu, pgd, access, pattern, false, access.address + at + 1, excerpt);
        }
    }
    if (now->state != 0 && !progress) {
        progresses.Open(fresh);
    } else if (now->state == 0 && progress) {
        progresses.Close(progress);
    }
    return is_written;
}

/* Looks for the schedule of an AES key that ends with this write. */
bool SearchKey(qemu_cpu_opaque_t cpu, uint64_t pgd, const Access &access)
{
    for (size_t key_size : { 16, 24, 32 }) {
        Excerpt excerpt;
        size_t size = ScheduleSize(key_size);
        uint64_t end = access.address + access.size;

        if (memory.Read(cpu, pgd, end - size, excerpt.bytes, size) && IsSchedule(excerpt.bytes, key_size)) {
            excerpt.before = key_size;
            return Report(cpu, pgd, access, AES_KEY, true, end, excerpt);
        }
    }
    return false;
}

/* Whether an access is to be looked at: seldom, so that most end here. */
bool MayMatter(const Access &access)
{
    may_end_schedule = with_keys && access.size >= 4 &&
                       schedules.Note(access.address, access.size, access.low, access.high);
    if (may_end_schedule || progresses.IsOpen(access.code)) {
        return true;
    }
    if (!automaton.MayTouch(access.size, access.low, access.high)) {
        return false;
    }
    uint16_t state = 0;
    for (uint32_t at = 0; at < access.size; at++) {
        state = automaton.Step(state, access.At(at));
    }
    return state != 0 || FindEnd(access) >= 0;
}

void Choose(callback_handle_t handle)
{
    const void *bytes = get_var(handle, "automaton");

    with_keys = 0;
    get_var_uint64(handle, "keys", &with_keys);
    get_var_uint64(handle, "most", &most);
    progresses.Forget();
    places.clear();
    records.clear();
    memory.Renew();
    if (bytes == nullptr) {
        automaton.Forget();
    } else if (!automaton.Load(static_cast<const uint8_t *>(bytes), get_var_size(handle, "automaton"))) {
        rebox_trigger_print(REBOX_PRINT_ERROR,
                            "memory_search: the variable automaton has another form; nothing is looked for");
    }
}

void Take(callback_handle_t handle)
{
    set_var_bytes(handle, "records", records.data(), records.size());
    records.clear();
}

void Count(callback_handle_t handle)
{
    std::vector<uint64_t> list;

    list.reserve(places.size() * 4);
    for (const auto &[place, times] : places) {
        list.insert(list.end(), { place.pgd, place.code, place.pattern, times });
    }
    set_var_bytes(handle, "places", list.data(), list.size() * sizeof(list[0]));
}

/* One access in full. Returns 1 when something was written down. */
int Search(qemu_cpu_opaque_t cpu, Access access)
{
    uint64_t pgd = get_pgd(cpu);
    uint16_t pattern = SearchAutomaton::NONE;
    bool is_written = false;

    if (access.size == 16 && !memory.Read(cpu, pgd, access.address + 8, &access.high, 8)) {
        access.high = 0;
    }
    if (!is_sieved && !MayMatter(access)) {
        return 0;
    }
    is_sieved = false;
    if (may_end_schedule) {
        is_written |= SearchKey(cpu, pgd, access);
    }
    if (FindEnd(access) >= 0) {
        is_written |= SearchMemory(cpu, pgd, access, &pattern);
    }
    return FollowOrder(cpu, pgd, access, pattern) || is_written;
}

}  // namespace

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "choose", Choose);
    declare_function(handle, "take", Take);
    declare_function(handle, "count", Count);
    memory.Renew();
}

int sieve(uint64_t code, uint64_t address, uint32_t size, uint64_t low, uint64_t high)
{
    is_sieved = MayMatter({ code, address, low, high, size });
    return is_sieved;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}

#endif
