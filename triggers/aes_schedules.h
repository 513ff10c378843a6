/*
 * Notices that an AES key is expanded: the words of its schedule are written one behind the other (FIPS 197, 5.2). C++; included once, by the
 * trigger itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_AES_SCHEDULES_H
#define REBOX_AES_SCHEDULES_H

#include <cstdint>
#include <cstring>

namespace {

/* The S-box, computed as FIPS 197, 5.1.1, says: inverses in GF(2^8), then an affine transformation. */
class AesBox {
  public:
    AesBox()
    {
        uint8_t p = 1, q = 1;

        do {
            /* p times 3, q divided by 3: p * q stays 1. */
            p = p ^ static_cast<uint8_t>(p << 1) ^ (p & 0x80 ? 0x1b : 0);
            q ^= q << 1;
            q ^= q << 2;
            q ^= q << 4;
            q ^= q & 0x80 ? 0x09 : 0;
            box_[p] = q ^ Turn(q, 1) ^ Turn(q, 2) ^ Turn(q, 3) ^ Turn(q, 4) ^ 0x63;
        } while (p != 1);
        box_[0] = 0x63;
    }

    uint32_t Substitute(uint32_t word) const
    {
        return box_[word & 0xff] | box_[word >> 8 & 0xff] << 8 | box_[word >> 16 & 0xff] << 16 |
               static_cast<uint32_t>(box_[word >> 24]) << 24;
    }

  private:
    static uint8_t Turn(uint8_t value, int bits)
    {
        return static_cast<uint8_t>(value << bits | value >> (8 - bits));
    }

    uint8_t box_[256];
};

constexpr size_t LONGEST_SCHEDULE = 240;

/* The size of the schedule of a key of so many bytes. */
constexpr size_t ScheduleSize(size_t key_size)
{
    return 16 * (key_size / 4 + 7);
}

/* Whether these bytes are the schedule of the key that they begin with: words lie in memory with their first byte first. */
bool IsSchedule(const uint8_t *bytes, size_t key_size)
{
    static const AesBox box;
    uint32_t words[LONGEST_SCHEDULE / 4], round = 1;
    size_t own = key_size / 4, count = ScheduleSize(key_size) / 4;

    memcpy(words, bytes, count * 4);
    for (size_t i = own; i < count; i++) {
        uint32_t word = words[i - 1];

        if (i % own == 0) {
            word = box.Substitute(word >> 8 | word << 24) ^ round;
            round = round << 1 ^ (round & 0x80 ? 0x11b : 0);
        } else if (own == 8 && i % own == 4) {
            word = box.Substitute(word);
        }
        if (words[i] != (words[i - own] ^ word)) {
            return false;
        }
    }
    return true;
}

/* Follows writes that continue each other, some hundred of such runs at a time. */
class ScheduleRuns {
  public:
    /* Returns whether a schedule may end with this write of 4 to 16 bytes: seldom, where it does not. */
    bool Note(uint64_t address, uint32_t size, uint64_t low, uint64_t high)
    {
        Run *run = SlotOf(address - 1), *end = SlotOf(address + size - 1);

        if (run->next != address) {
            /* Most writes: another run begins, whose first words are not needed. */
            end->next = address + size;
            end->count = 0;
            return false;
        }
        if (end != run) {
            *end = *run;
        }
        end->next = address + size;
        bool may_end = Add(end, static_cast<uint32_t>(low));
        if (size >= 8) {
            may_end |= Add(end, low >> 32);
        }
        if (size == 16) {
            may_end |= Add(end, static_cast<uint32_t>(high));
            may_end |= Add(end, high >> 32);
        }
        return may_end;
    }

  private:
    /* So many words come before the last ones: those of the key may have been there before, and those of the first write are not counted. */
    static constexpr uint32_t LEAST = 35;

    struct Run {
        uint64_t next;
        uint32_t count, last[8];
    };

    Run *SlotOf(uint64_t address)
    {
        return &runs_[address >> 7 & 255];
    }

    /* Most words of a schedule are the exclusive or of the one before and one that is as far away as the key is long. */
    static bool Add(Run *run, uint32_t word)
    {
        uint32_t count = run->count++, before = run->last[(count - 1) & 7];
        bool fits = count >= LEAST && word != 0 &&
                    (word == (before ^ run->last[(count - 4) & 7]) || word == (before ^ run->last[(count - 6) & 7]) ||
                     word == (before ^ run->last[count & 7]));

        run->last[count & 7] = word;
        return fits;
    }

    Run runs_[256] = {};
};

}  // namespace

#endif
