/*
 * Reads registers and virtual memory of a guest fast, for triggers that read much at every event. C++; included once, by the trigger
 * itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_GUEST_READER_H
#define REBOX_GUEST_READER_H

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "rebox_trigger.h"

namespace {

/* A register by its name in rebox_registers(), which QEMU keeps in one place. */
class Register {
  public:
    explicit Register(const std::string &name)
    {
        size_t count;
        const rebox_register *registers = rebox_registers(&count);

        for (size_t id = 0; id < count; id++) {
            if (name == registers[id].name && registers[id].kind == REBOX_REGISTER_PLAIN) {
                offset_ = registers[id].offset;
                size_ = std::min<size_t>(registers[id].size, sizeof(uint64_t));
                return;
            }
        }
        /* The names are this file's own: there is no guest that lacks one. */
        abort();
    }

    uint64_t Read(qemu_cpu_opaque_t cpu) const
    {
        uint64_t value = 0;

        memcpy(&value, static_cast<const uint8_t *>(cpu) + offset_, size_);
        return value;
    }

  private:
    size_t offset_ = 0, size_ = 0;
};

/*
 * Reads memory of address spaces. Where the processor has 64-bit page tables that lie in the machine's own memory, they are
 * walked here, in a tenth of the time that QEMU's way from the outside takes; everything else is left to that.
 */
class GuestReader {
  public:
    /* Looks where the machine's memory lies. It stays there while no memory is added or taken. */
    void Renew()
    {
        size_t count = rebox_ram_regions(nullptr, 0);

        regions_.resize(count);
        regions_.resize(std::min(count, rebox_ram_regions(regions_.data(), count)));
        regions_.erase(std::remove_if(regions_.begin(), regions_.end(),
                                      [](const rebox_ram_region &one) { return !one.is_main || one.read_only; }),
                       regions_.end());
        /* The first one that is asked is the largest. */
        std::sort(regions_.begin(), regions_.end(),
                  [](const rebox_ram_region &a, const rebox_ram_region &b) { return a.size > b.size; });
    }

    /* Returns false when one of the bytes is not in memory. */
    bool Read(qemu_cpu_opaque_t cpu, uint64_t pgd, uint64_t address, void *to, size_t size) const
    {
        auto *bytes = static_cast<uint8_t *>(to);

        if (!(efer_.Read(cpu) & LONG_MODE_ACTIVE)) {
            return ReadSlowly(pgd, address, bytes, size);
        }
        int levels = cr4_.Read(cpu) & FIVE_LEVELS ? 5 : 4;
        while (size) {
            uint64_t in_page = 0;
            const uint8_t *host = Walk(levels, pgd, address, &in_page);

            if (host == nullptr) {
                return ReadSlowly(pgd, address, bytes, size);
            }
            size_t part = std::min<uint64_t>(size, in_page);
            memcpy(bytes, host, part);
            address += part;
            bytes += part;
            size -= part;
        }
        return true;
    }

  private:
    /* Intel SDM volume 3, 2.2.1 and 2.5. */
    static constexpr uint64_t LONG_MODE_ACTIVE = 1 << 10, FIVE_LEVELS = 1 << 12;
    /* Intel SDM volume 3, tables 4-15 to 4-20. */
    static constexpr uint64_t PRESENT = 1, LARGE = 1 << 7, FRAME = 0x000ffffffffff000;

    static bool ReadSlowly(uint64_t pgd, uint64_t address, uint8_t *to, size_t size)
    {
        return qemu_virtual_memory_rw_with_pgd(pgd, address, to, size, 0) == 0;
    }

    /* The host's address of physical memory, and how much of it follows there; nullptr where QEMU has to be asked. */
    const uint8_t *Find(uint64_t physical, uint64_t *left) const
    {
        for (const rebox_ram_region &region : regions_) {
            if (physical - region.address < region.size) {
                *left = region.size - (physical - region.address);
                return static_cast<const uint8_t *>(region.host) + (physical - region.address);
            }
        }
        return nullptr;
    }

    const uint8_t *Walk(int levels, uint64_t pgd, uint64_t address, uint64_t *in_page) const
    {
        int64_t extension = static_cast<int64_t>(address) >> (levels == 5 ? 56 : 47);
        uint64_t table = pgd & FRAME, left = 0;

        if (extension != 0 && extension != -1) {
            return nullptr;
        }
        for (int level = levels; level >= 1; level--) {
            int shift = 12 + 9 * (level - 1);
            const uint8_t *place = Find(table + ((address >> shift) & 511) * sizeof(uint64_t), &left);
            uint64_t entry = 0;

            if (place == nullptr || left < sizeof(entry)) {
                return nullptr;
            }
            memcpy(&entry, place, sizeof(entry));
            if (!(entry & PRESENT)) {
                return nullptr;
            }
            if (level == 1 || (level <= 3 && (entry & LARGE))) {
                uint64_t size = UINT64_C(1) << shift, offset = address & (size - 1);
                const uint8_t *host = Find((entry & FRAME & ~(size - 1)) | offset, &left);

                *in_page = std::min(size - offset, left);
                return host;
            }
            table = entry & FRAME;
        }
        return nullptr;
    }

    std::vector<rebox_ram_region> regions_;
    Register efer_{ "EFER" }, cr4_{ "CR4" };
};

}  // namespace

#endif
