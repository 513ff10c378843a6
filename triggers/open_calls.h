/*
 * The calls that have begun and not ended, of each thread by its stack pointer; what src/guest/hooking/open-calls.ts says in
 * JavaScript. The stack grows downward: a call whose stack pointer at its first instruction lies below that of its thread now has
 * been left, and if nobody saw it return, it was jumped over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_OPEN_CALLS_H
#define REBOX_OPEN_CALLS_H

#include <unordered_map>
#include <unordered_set>

#include "call_record.h"

namespace {

/* Calls of one thread beyond this, and threads without calls, are not kept. */
constexpr size_t MOST_OPEN = 1 << 16;
constexpr size_t MOST_IDLE_THREADS = 4096;
/* Functions of i386 may take their parameters off the stack when they return: so many bytes at most. */
constexpr uint64_t MOST_TAKEN = 256;

struct OpenCall {
    std::shared_ptr<RecordedFunction> function;
    uint64_t address, stack_pointer, return_address;
    /* Where its record lies in the memory of its thread. */
    size_t at;
};

struct CallStack {
    /* The address space of its calls: a thread that begins a new program has another one. */
    uint64_t space = 0;
    std::vector<OpenCall> calls;
    Bytes memory;
};

/* Takes a call out: (call, its record, how it was left). */
template <typename End> class OpenCalls {
  public:
    explicit OpenCalls(End end) : end_(end)
    {
    }

    CallStack &Get(uint64_t thread)
    {
        if (stacks_.size() > MOST_IDLE_THREADS) {
            for (auto one = stacks_.begin(); one != stacks_.end();) {
                one = one->second.calls.empty() && one->first != thread ? stacks_.erase(one) : std::next(one);
            }
        }
        return stacks_[thread];
    }

    /* Takes out what a thread has left when it comes to the first instruction of a function. */
    void Enter(CallStack *stack, uint64_t space, uint64_t stack_pointer, uint64_t return_address, uint64_t address)
    {
        if (!stack->calls.empty() && stack->space != space) {
            TakeOut(stack, 0, [](const OpenCall &) { return PROGRAM_REPLACED; });
        }
        stack->space = space;
        /* One with the same stack pointer and return address is the caller by a tail call; of the same function it was jumped over. */
        auto is_left = [&](const OpenCall &call) {
            return call.stack_pointer < stack_pointer ||
                   (call.stack_pointer == stack_pointer &&
                    (call.return_address != return_address || call.address == address));
        };
        /* The further in, the lower: only the last ones can be. */
        size_t first = stack->calls.size();
        for (size_t i = first; i > 0 && stack->calls[i - 1].stack_pointer <= stack_pointer; i--) {
            first = is_left(stack->calls[i - 1]) ? i - 1 : first;
        }
        TakeOut(stack, first, [](const OpenCall &) { return JUMPED_OVER; });
    }

    /* Takes out what a thread has left when it comes to an address that calls return to; stack_pointer is the one there. */
    void Leave(uint64_t thread, uint64_t space, uint64_t stack_pointer, uint64_t address, uint64_t word)
    {
        auto found = stacks_.find(thread);
        if (found == stacks_.end() || found->second.space != space) {
            return;
        }
        CallStack *stack = &found->second;
        size_t first = stack->calls.size();
        while (first > 0 && stack->calls[first - 1].stack_pointer < stack_pointer) {
            first--;
        }
        if (first == stack->calls.size()) {
            return;
        }
        /* The outermost of them has returned here, with those that called it by a tail call. */
        uint64_t outermost = stack->calls[first].stack_pointer, taken = stack_pointer - outermost - word;
        bool is_here = stack->calls[first].return_address == address && taken <= (word == 4 ? MOST_TAKEN : 0);
        TakeOut(stack, first, [&](const OpenCall &call) {
            return is_here && call.stack_pointer == outermost && call.return_address == address ? RETURNED
                                                                                                : JUMPED_OVER;
        });
    }

    void EndThread(uint64_t thread)
    {
        auto found = stacks_.find(thread);
        if (found != stacks_.end()) {
            TakeOut(&found->second, 0, [](const OpenCall &) { return THREAD_ENDED; });
            stacks_.erase(found);
        }
    }

    void EndSpace(uint64_t space)
    {
        for (auto one = stacks_.begin(); one != stacks_.end();) {
            if (one->second.space != space) {
                ++one;
                continue;
            }
            TakeOut(&one->second, 0, [](const OpenCall &) { return PROGRAM_REPLACED; });
            one = stacks_.erase(one);
        }
    }

    void Forget()
    {
        for (auto &[thread, stack] : stacks_) {
            auto &calls = stack.calls;
            calls.erase(std::remove_if(calls.begin(), calls.end(),
                                       [](const OpenCall &call) { return call.function->is_forgotten; }),
                        calls.end());
        }
    }

    /* The addresses that calls are to return to. */
    std::unordered_set<uint64_t> ListAwaited() const
    {
        std::unordered_set<uint64_t> addresses;

        for (const auto &[thread, stack] : stacks_) {
            for (const OpenCall &call : stack.calls) {
                addresses.insert(call.return_address);
            }
        }
        return addresses;
    }

  private:
    /* From the innermost to the one with this index. */
    template <typename Decide> void TakeOut(CallStack *stack, size_t first, Decide decide)
    {
        while (stack->calls.size() > first) {
            OpenCall &call = stack->calls.back();
            end_(call, stack->memory.data() + call.at, decide(call));
            stack->memory.resize(call.at);
            stack->calls.pop_back();
        }
    }

    End end_;
    std::unordered_map<uint64_t, CallStack> stacks_;
};

}  // namespace

#endif
