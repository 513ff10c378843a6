/*
 * One call as trigger_call_record.cc writes it down: while it is open in the memory of its thread, then where the script takes it.
 *
 * Little-endian, a multiple of 8 bytes: size 4, function 4, began 8 and duration 8 (ns, rebox_trigger_clock_ns()), address space 8,
 * return address 8, stack pointer 8, thread 4, process 4, depth 4, how it was left 1 (0 returned, 1 jumped over, 2 thread ended, 3
 * program replaced), 1 unused, parameters and (bit 15) result that could not be read 2, result 8, parameters 8 each; then what
 * parameters point to, those that are read when the call begins, those at its end, and the result's text. A piece is: state 2 (0 all
 * of it, 1 it goes on, 2 it could not be read), size 2, bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_CALL_RECORD_H
#define REBOX_CALL_RECORD_H

#include "guest_reader.h"
#include "recorded_function.h"

namespace {

enum Left : uint8_t { RETURNED, JUMPED_OVER, THREAD_ENDED, PROGRAM_REPLACED };
enum PieceState : uint16_t { WHOLE, CUT, UNREADABLE };

using Bytes = std::vector<uint8_t>;

struct RecordHead {
    uint32_t size, function;
    uint64_t began, duration, pgd, return_address, stack_pointer;
    uint32_t thread, process, depth;
    uint8_t left, unused;
    uint16_t unread;
    uint64_t result;
};
static_assert(sizeof(RecordHead) == 72, "as the script reads it");

constexpr uint16_t RESULT_UNREAD = 1 << 15;
constexpr uint64_t PAGE = 4096;

template <typename Value> void Put(Bytes *to, Value value)
{
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    to->insert(to->end(), bytes, bytes + sizeof(value));
}

/* Reads what a call has been given and returns, at one event of a vCPU. */
class CallReader {
  public:
    CallReader(const GuestReader &memory, qemu_cpu_opaque_t cpu, uint64_t pgd, const RecordedFunction &function)
        : memory_(memory), cpu_(cpu), pgd_(pgd), function_(function)
    {
    }

    /* Appends the bits of all parameters, 8 bytes each. Returns which could not be read. */
    uint16_t PutParameters(Bytes *to, uint64_t stack_pointer) const
    {
        static const Register *const general = MakeGeneral();
        static const Register *const vectors = MakeVectors();
        uint16_t unread = 0;

        for (size_t i = 0; i < function_.parameters.size(); i++) {
            const Parameter &parameter = function_.parameters[i];
            uint64_t value = 0;

            if (parameter.place == ON_STACK) {
                size_t size = parameter.size > 4 ? 8 : 4;
                if (!memory_.Read(cpu_, pgd_, stack_pointer + parameter.offset, &value, size) && i < 15) {
                    unread |= 1 << i;
                }
            } else {
                value = (parameter.place == IN_REGISTER ? general : vectors)[parameter.number % 16].Read(cpu_);
                if (function_.word == 4) {
                    value = static_cast<uint32_t>(value);
                }
            }
            Put(to, value);
        }
        return unread;
    }

    /* Reads the result where the function returns to. Returns false for one that is not known: it is in the registers of the FPU. */
    bool ReadResult(uint64_t *value) const
    {
        static const Register rax("RAX"), rdx("RDX"), xmm0("XMM0");

        if (function_.result == VECTOR_RESULT) {
            *value = xmm0.Read(cpu_);
            return function_.word == 8;
        }
        *value = rax.Read(cpu_);
        if (function_.word == 4) {
            *value = rdx.Read(cpu_) << 32 | static_cast<uint32_t>(*value);
        }
        return true;
    }

    /* Appends what parameters point to: of those that are read now. values are their bits, result only at the end. */
    void PutPieces(Bytes *to, const uint8_t *values, bool is_end, uint64_t result) const
    {
        for (const Parameter &parameter : function_.parameters) {
            if (parameter.pointee == NOTHING || is_end != ((parameter.flags & AT_END) != 0)) {
                continue;
            }
            uint64_t address = Value(values, &parameter - function_.parameters.data());
            if (parameter.pointee == TEXT) {
                PutText(to, address);
            } else if (parameter.counted_by == BY_RESULT) {
                PutBytes(to, address, Extend(result, function_.result_size, function_.result_signed));
            } else if (parameter.counted_by < function_.parameters.size()) {
                const Parameter &counter = function_.parameters[parameter.counted_by];
                PutBytes(to, address,
                         Extend(Value(values, parameter.counted_by), counter.size, counter.flags & SIGNED));
            }
        }
    }

    /* Appends a text up to a zero byte, as far as it is in memory up to its end. */
    void PutText(Bytes *to, uint64_t address) const
    {
        size_t head = to->size(), size = 0;

        Put<uint32_t>(to, UNREADABLE);
        while (address != 0 && size < function_.most_text) {
            uint64_t here = address + size;
            size_t part = std::min<uint64_t>(
                { function_.most_text - size, PAGE - here % PAGE, size == 0 ? 64u : PAGE });

            to->resize(head + 4 + size + part);
            uint8_t *into = to->data() + head + 4 + size;
            if (!memory_.Read(cpu_, pgd_, here, into, part)) {
                to->resize(head + 4);
                return;
            }
            if (const void *end = memchr(into, 0, part)) {
                size += static_cast<const uint8_t *>(end) - into;
                Finish(to, head, size, WHOLE);
                return;
            }
            size += part;
        }
        if (size) {
            Finish(to, head, size, CUT);
        }
    }

  private:
    static const Register *MakeGeneral()
    {
        /* In the order of register_num_t. */
        static const Register list[] = {
            Register("RAX"), Register("RCX"), Register("RDX"), Register("RBX"), Register("RSP"), Register("RBP"),
            Register("RSI"), Register("RDI"), Register("R8"),  Register("R9"),  Register("R10"), Register("R11"),
            Register("R12"), Register("R13"), Register("R14"), Register("R15"),
        };
        return list;
    }

    static const Register *MakeVectors()
    {
        static const std::vector<Register> list = [] {
            std::vector<Register> made;
            for (int i = 0; i < 16; i++) {
                made.emplace_back("XMM" + std::to_string(i));
            }
            return made;
        }();
        return list.data();
    }

    uint64_t Value(const uint8_t *values, size_t index) const
    {
        uint64_t value;

        memcpy(&value, values + index * sizeof(value), sizeof(value));
        return function_.word == 4 && function_.parameters[index].size <= 4 ? static_cast<uint32_t>(value) : value;
    }

    static int64_t Extend(uint64_t value, unsigned size, bool is_signed)
    {
        unsigned unused = size >= 8 ? 0 : 64 - 8 * size;

        return is_signed ? static_cast<int64_t>(value << unused) >> unused
                         : static_cast<int64_t>((value << unused) >> unused);
    }

    void PutBytes(Bytes *to, uint64_t address, int64_t count) const
    {
        size_t head = to->size();
        /* As unsigned: a count beyond 2 to the 63 is a large one where its type has no sign, and refused here. */
        size_t size = count < 0 ? 0 : std::min<uint64_t>(count, function_.most_bytes);

        Put<uint32_t>(to, UNREADABLE);
        if (address == 0 || count < 0) {
            return;
        }
        to->resize(head + 4 + size);
        if (!memory_.Read(cpu_, pgd_, address, to->data() + head + 4, size)) {
            to->resize(head + 4);
            return;
        }
        Finish(to, head, size, static_cast<uint64_t>(count) > size ? CUT : WHOLE);
    }

    static void Finish(Bytes *to, size_t head, size_t size, PieceState state)
    {
        uint16_t words[2] = { state, static_cast<uint16_t>(size) };

        to->resize(head + 4 + size);
        memcpy(to->data() + head, words, sizeof(words));
    }

    const GuestReader &memory_;
    qemu_cpu_opaque_t cpu_;
    uint64_t pgd_;
    const RecordedFunction &function_;
};

}  // namespace

#endif
