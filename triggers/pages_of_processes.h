/*
 * The pages of processes that were seen before: for triggers that pass the first event of each page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_PAGES_OF_PROCESSES_H
#define REBOX_PAGES_OF_PROCESSES_H

#include <cstring>
#include <unordered_map>

#include "address_set.h"
#include "user_space.h"

namespace {

class PagesOfProcesses {
  public:
    /* A quick answer: true is sure, and false is to be asked for again with IsNew(). */
    bool IsKnown(uint64_t pgd, uint64_t address) const
    {
        const Page &recent = recent_[Place(pgd, address)];

        return recent.number == address >> PAGE_BITS && recent.pgd == pgd;
    }

    /* Returns whether the address is in a page of the process that was not seen before; it is now. */
    bool IsNew(uint64_t pgd, uint64_t address)
    {
        AddressSet &pages = pages_[pgd];

        /* The guest decides how many there are. */
        if (pages.size() >= MOST_PAGES) {
            pages = AddressSet();
        }
        bool is_new = pages.Insert(address >> PAGE_BITS);

        recent_[Place(pgd, address)] = { pgd, address >> PAGE_BITS };
        return is_new;
    }

    /* Forgets the pages of the process in the variable "pgd": they are new again. */
    void Forget(callback_handle_t handle)
    {
        uint64_t pgd;

        if (get_var_uint64(handle, "pgd", &pgd)) {
            pages_.erase(rebox_normal_pgd(pgd));
            /* Page 0 of no process is nobody's: address space 0 has no programs. */
            memset(recent_, 0, sizeof(recent_));
        }
    }

  private:
    static constexpr unsigned int PAGE_BITS = 12;
    static constexpr size_t RECENT = 4096, MOST_PAGES = 1 << 20;

    struct Page {
        uint64_t pgd, number;
    };

    static size_t Place(uint64_t pgd, uint64_t address)
    {
        return Mix(address >> PAGE_BITS ^ pgd) % RECENT;
    }

    std::unordered_map<uint64_t, AddressSet> pages_;
    Page recent_[RECENT] = {};
};

}  // namespace

#endif
