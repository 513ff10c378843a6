/*
 * At an entry for system calls: writes down each call with its arguments and what they point to, and passes only what the script has to
 * hear of at once. The script takes the records many at a time, which costs the guest a fraction of a call into it for each.
 *
 *   bits        64 or 32: of the arguments
 *   registers   RN_... of the arguments, a byte each; one that is missing lies on the stack
 *   sixth_at    RN_... whose value is that argument's address
 *   kinds       by number, 2 bytes, little-endian: 2 bits for each argument: 0 a value, 1 a text, 2 as many bytes as the next argument
 *               says, 3 a list of addresses of texts that ends with 0
 *   wanted      by number, a byte: 0 only count, 1 record, 2 record and pass
 *   others      the same for the numbers beyond
 *   renew       a function: the variables above hold from now on
 *   take        a function: moves what was written into "records"
 *   count       a function: tells in "counts" how often each call was made since the beginning, by number, 8 bytes, little-endian
 *
 * It passes the first call, so that the script knows of the entry; then when there is much to be taken. A record, little-endian:
 *
 *   size 4, number 4, time 8 (ns, of a steady clock), pgd 8, arguments 6 x 8, then for each argument whose kind is not 0 its pieces:
 *   count 1 (255: it could not be read), then for each piece: size 1, form 1 (0 all of it, 1 it goes on, 2 an address of a text that could
 *   not be read, 3 the list goes on), bytes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "rebox_trigger.h"

REBOX_TRIGGER_API_VERSION;

namespace {

/* Marks a call of the x32 ABI (arch/x86/include/uapi/asm/unistd.h). */
constexpr uint32_t X32 = 0x40000000;
constexpr uint32_t MOST_NUMBERS = 4096;
constexpr size_t ARGUMENTS = 6;
constexpr size_t MUCH = 48 * 1024;
constexpr size_t LONGEST_TEXT = 200;
constexpr uint64_t MOST_BYTES = 32;
constexpr size_t MOST_TEXTS = 16;
constexpr uint64_t PAGE = 4096;
constexpr uint8_t UNREADABLE = 255;

enum Kind { VALUE, TEXT, BYTES, TEXTS };
enum Form : uint8_t { WHOLE, CUT, ADDRESS, MORE };
enum Wish { COUNT, RECORD, PASS };

std::vector<uint8_t> records;
std::vector<uint64_t> counts;
bool is_known;

/* The script's choices. */
uint64_t bits = 64, others = COUNT;
std::vector<uint8_t> registers, kinds, wanted;
uint64_t sixth_at = RN_LAST;

template <typename Value> void Put(Value value)
{
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    records.insert(records.end(), bytes, bytes + sizeof(value));
}

void PutPiece(const uint8_t *bytes, size_t size, Form form)
{
    Put(static_cast<uint8_t>(size));
    Put(form);
    records.insert(records.end(), bytes, bytes + size);
}

bool Read(uint64_t pgd, uint64_t address, void *buffer, size_t size)
{
    return qemu_virtual_memory_rw_with_pgd(pgd, address, static_cast<uint8_t *>(buffer), size, 0) == 0;
}

/* Writes a text down as far as it is in memory. */
bool PutText(uint64_t pgd, uint64_t address)
{
    uint8_t text[LONGEST_TEXT];
    size_t size = 0;

    while (size < sizeof(text)) {
        uint64_t here = address + size;
        size_t part = std::min<uint64_t>(sizeof(text) - size, PAGE - here % PAGE);

        if (!Read(pgd, here, text + size, part)) {
            break;
        }
        const void *end = memchr(text + size, 0, part);
        if (end != nullptr) {
            PutPiece(text, static_cast<const uint8_t *>(end) - text, WHOLE);
            return true;
        }
        size += part;
    }
    if (size == 0) {
        return false;
    }
    PutPiece(text, size, CUT);
    return true;
}

void PutOneText(uint64_t pgd, uint64_t address)
{
    size_t count_at = records.size();

    Put<uint8_t>(1);
    if (!PutText(pgd, address)) {
        records[count_at] = UNREADABLE;
    }
}

void PutBytes(uint64_t pgd, uint64_t address, uint64_t size)
{
    uint8_t bytes[MOST_BYTES];
    size_t part = std::min(size, MOST_BYTES);

    if (!Read(pgd, address, bytes, part)) {
        Put(UNREADABLE);
        return;
    }
    Put<uint8_t>(1);
    PutPiece(bytes, part, size > part ? CUT : WHOLE);
}

void PutTexts(uint64_t pgd, uint64_t address)
{
    size_t count_at = records.size();
    size_t width = bits / 8;
    size_t count = 0;
    uint64_t text = 0;

    Put<uint8_t>(0);
    for (; count < MOST_TEXTS; count++) {
        text = 0;
        if (!Read(pgd, address + count * width, &text, width)) {
            if (count == 0) {
                records[count_at] = UNREADABLE;
                return;
            }
            break;
        }
        if (text == 0) {
            records[count_at] = count;
            return;
        }
        if (!PutText(pgd, text)) {
            PutPiece(reinterpret_cast<const uint8_t *>(&text), sizeof(text), ADDRESS);
        }
    }
    PutPiece(nullptr, 0, MORE);
    records[count_at] = count + 1;
}

uint64_t ReadRegister(qemu_cpu_opaque_t cpu, uint64_t reg)
{
    pyrebox_target_ulong value = 0;

    read_register_convert(cpu, static_cast<register_num_t>(reg), &value);
    return bits == 32 ? static_cast<uint32_t>(value) : value;
}

uint64_t ReadArgument(qemu_cpu_opaque_t cpu, uint64_t pgd, size_t index)
{
    uint64_t value = 0;

    if (index < registers.size()) {
        return ReadRegister(cpu, registers[index]);
    }
    if (sixth_at < RN_LAST) {
        Read(pgd, ReadRegister(cpu, sixth_at), &value, bits / 8);
    }
    return value;
}

uint64_t NowNs()
{
    timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

void Record(qemu_cpu_opaque_t cpu, uint32_t number)
{
    uint64_t pgd = get_pgd(cpu);
    uint64_t values[ARGUMENTS];
    size_t begin = records.size();
    unsigned kind = number * 2 + 1 < kinds.size() ? kinds[number * 2] | kinds[number * 2 + 1] << 8 : 0;

    Put<uint32_t>(0);
    Put(number);
    Put(NowNs());
    Put(pgd);
    for (size_t index = 0; index < ARGUMENTS; index++) {
        values[index] = ReadArgument(cpu, pgd, index);
        Put(values[index]);
    }
    for (size_t index = 0; index < ARGUMENTS; index++, kind >>= 2) {
        switch (kind & 3) {
        case TEXT:
            PutOneText(pgd, values[index]);
            break;
        case BYTES:
            PutBytes(pgd, values[index], index + 1 < ARGUMENTS ? values[index + 1] : 0);
            break;
        case TEXTS:
            PutTexts(pgd, values[index]);
            break;
        default:
            break;
        }
    }
    uint32_t size = records.size() - begin;
    memcpy(records.data() + begin, &size, sizeof(size));
}

std::vector<uint8_t> CopyVariable(callback_handle_t handle, const char *name)
{
    const auto *bytes = static_cast<const uint8_t *>(get_var(handle, name));

    return bytes == nullptr ? std::vector<uint8_t>() : std::vector<uint8_t>(bytes, bytes + get_var_size(handle, name));
}

void Renew(callback_handle_t handle)
{
    get_var_uint64(handle, "bits", &bits);
    get_var_uint64(handle, "sixth_at", &sixth_at);
    get_var_uint64(handle, "others", &others);
    registers = CopyVariable(handle, "registers");
    kinds = CopyVariable(handle, "kinds");
    wanted = CopyVariable(handle, "wanted");
}

void Take(callback_handle_t handle)
{
    set_var_bytes(handle, "records", records.data(), records.size());
    records.clear();
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
    declare_function(handle, "renew", Renew);
    declare_function(handle, "take", Take);
    declare_function(handle, "count", Count);
    counts.reserve(MOST_NUMBERS);
}

int trigger(callback_handle_t, callback_params_t params)
{
    qemu_cpu_opaque_t cpu = params.insn_begin_params.cpu;
    pyrebox_target_ulong register_value = 0;

    read_register_convert(cpu, RN_RAX, &register_value);
    uint32_t number = static_cast<uint32_t>(register_value) & ~X32;
    if (number < MOST_NUMBERS) {
        if (number >= counts.size()) {
            counts.resize(number + 1);
        }
        counts[number]++;
    }
    uint64_t wish = number < wanted.size() ? wanted[number] : others;
    if (wish != COUNT) {
        Record(cpu, number);
    }
    bool is_new = !is_known;
    is_known = true;
    return is_new || wish == PASS || records.size() >= MUCH;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
