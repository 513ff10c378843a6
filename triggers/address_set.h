/*
 * A set of addresses that is filled and asked often: faster than the standard library's, and without an allocation for each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_ADDRESS_SET_H
#define REBOX_ADDRESS_SET_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

inline uint64_t Mix(uint64_t value)
{
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ (value >> 29);
}

class AddressSet {
  public:
    size_t size() const
    {
        return count_;
    }

    /* Returns false for an address that is there. */
    bool Insert(uint64_t address)
    {
        /* 0 marks what is free. */
        uint64_t value = address ? address : NOUGHT;

        if (2 * (count_ + 1) > slots_.size()) {
            Grow();
        }
        uint64_t *slot = Find(value);
        if (*slot) {
            return false;
        }
        *slot = value;
        count_++;
        return true;
    }

  private:
    /* No address: it is not sign-extended. */
    static constexpr uint64_t NOUGHT = UINT64_C(1) << 62;
    static constexpr size_t FIRST_SIZE = 1024;

    uint64_t *Find(uint64_t value)
    {
        size_t mask = slots_.size() - 1, at = Mix(value) & mask;

        while (slots_[at] && slots_[at] != value) {
            at = (at + 1) & mask;
        }
        return &slots_[at];
    }

    void Grow()
    {
        std::vector<uint64_t> old(slots_.empty() ? FIRST_SIZE : 2 * slots_.size());

        old.swap(slots_);
        for (uint64_t value : old) {
            if (value) {
                *Find(value) = value;
            }
        }
    }

    std::vector<uint64_t> slots_;
    size_t count_ = 0;
};

}  // namespace

#endif
