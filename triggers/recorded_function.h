/*
 * A function whose calls trigger_call_record.cc writes down, as the script describes it (src/guest/hooking/call-recorder.ts). Little-
 * endian, 56 bytes and 8 for each parameter:
 *
 *   id 4, flags 1 (1 only calls from outside of its module, 2 it is the kernel's), convention 1 (0 the System V ABI for AMD64, 1 that for
 *   i386, 2 of a kernel of 32 bits), number of parameters 1, result 1 (0 a value, 1 a vector register's, 2 a text), size of the
 *   result 1, whether it is signed 1, most bytes of a text 2, most bytes of others 2, number of the hook 2, address space 8, address 8,
 *   module from 8, to 8, size of an address 8
 *
 *   of a parameter: place 1 (0 register, 1 vector register, 2 stack), number of the register 1, size 1, flags 1 (1 signed, 2 read when
 *   the call ends), what it points to 1 (0 nothing, 1 a text, 2 bytes), counted by 1 (a parameter, or 255 the result), offset from the
 *   stack pointer 2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_RECORDED_FUNCTION_H
#define REBOX_RECORDED_FUNCTION_H

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace {

enum Place : uint8_t { IN_REGISTER, IN_VECTOR, ON_STACK };
enum Pointee : uint8_t { NOTHING, TEXT, BYTES };
enum Result : uint8_t { VALUE_RESULT, VECTOR_RESULT, TEXT_RESULT };

constexpr uint8_t ONLY_OUTSIDE = 1, OF_KERNEL = 2;
constexpr uint8_t SIGNED = 1, AT_END = 2;
constexpr uint8_t BY_RESULT = 255;
constexpr size_t MOST_PARAMETERS = 64;

struct Parameter {
    uint8_t place, number, size, flags, pointee, counted_by;
    uint16_t offset;
};
static_assert(sizeof(Parameter) == 8, "as the script writes it");

struct FunctionFacts {
    uint32_t id;
    uint8_t flags, convention, parameter_count, result, result_size, result_signed;
    uint16_t most_text, most_bytes, hook;
    uint64_t pgd, address, from, to, word;
};
static_assert(sizeof(FunctionFacts) == 56, "as the script writes it");

struct RecordedFunction : FunctionFacts {
    std::vector<Parameter> parameters;
    /* Its calls that are open are not of interest any more. */
    bool is_forgotten = false;

    bool is_of_kernel() const
    {
        return flags & OF_KERNEL;
    }
    /* The address space that its calls belong to: 0 for the kernel's. */
    uint64_t space() const
    {
        return is_of_kernel() ? 0 : pgd;
    }
};

/* Reads one description; nullptr at the end, or where it is none. */
std::shared_ptr<RecordedFunction> ReadFunction(const uint8_t **at, const uint8_t *end)
{
    auto function = std::make_shared<RecordedFunction>();
    FunctionFacts *facts = function.get();

    if (static_cast<size_t>(end - *at) < sizeof(*facts)) {
        return nullptr;
    }
    memcpy(facts, *at, sizeof(*facts));
    *at += sizeof(*facts);
    size_t size = function->parameter_count * sizeof(Parameter);
    if (function->parameter_count > MOST_PARAMETERS || static_cast<size_t>(end - *at) < size ||
        (function->word != 4 && function->word != 8)) {
        return nullptr;
    }
    function->parameters.resize(function->parameter_count);
    memcpy(function->parameters.data(), *at, size);
    *at += size;
    return function;
}

}  // namespace

#endif
