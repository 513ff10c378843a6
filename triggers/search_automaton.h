/*
 * The automaton that finds patterns in bytes, as scripts/_search_automaton.ts makes it; and questions that are answered fast. C++; included
 * once, by the trigger itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_SEARCH_AUTOMATON_H
#define REBOX_SEARCH_AUTOMATON_H

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

/*
 * Deterministic; state 0 is the beginning, and every state goes on to one in which a match may have begun meanwhile. Its form, little-endian:
 * states 4, classes 4, longest match 4, accepting states 4; the class of each byte, 256; the next state by state and class, 2 each; then for
 * each accepting state its number 2 and that of its pattern 2.
 */
class SearchAutomaton {
  public:
    static constexpr uint16_t NONE = 0xffff;
    static constexpr uint32_t MOST_LONGEST = 1024;

    /* Returns false for bytes that are no automaton, and knows none then. */
    bool Load(const uint8_t *bytes, size_t size)
    {
        Header header = {};

        Forget();
        if (size < sizeof(header)) {
            return false;
        }
        memcpy(&header, bytes, sizeof(header));
        uint64_t next_size = uint64_t{ header.states } * header.classes * sizeof(uint16_t);
        if (header.states == 0 || header.states >= NONE || header.classes == 0 || header.classes > 256 ||
            header.longest == 0 || header.longest > MOST_LONGEST ||
            size != sizeof(header) + 256 + next_size + uint64_t{ header.accepting } * 4) {
            return false;
        }
        const uint8_t *classes = bytes + sizeof(header), *next = classes + 256, *accepting = next + next_size;
        std::vector<uint16_t> table(header.states * header.classes), patterns(header.states, NONE);
        memcpy(table.data(), next, next_size);
        for (uint16_t state : table) {
            if (state >= header.states) {
                return false;
            }
        }
        for (uint32_t at = 0; at < header.accepting; at++, accepting += 4) {
            uint16_t pair[2];
            memcpy(pair, accepting, sizeof(pair));
            if (pair[0] >= header.states) {
                return false;
            }
            patterns[pair[0]] = pair[1];
        }
        next_.resize(header.states * 256u);
        for (uint32_t state = 0; state < header.states; state++) {
            for (uint32_t byte = 0; byte < 256; byte++) {
                if (classes[byte] >= header.classes) {
                    Forget();
                    return false;
                }
                next_[state * 256 + byte] = table[state * header.classes + classes[byte]];
            }
        }
        patterns_ = patterns;
        longest_ = header.longest;
        FindEdges(header.states);
        return true;
    }

    void Forget()
    {
        next_.assign(256, 0);
        patterns_.assign(1, NONE);
        longest_ = 1;
        FindEdges(1);
    }

    uint16_t Step(uint16_t state, uint8_t byte) const
    {
        return next_[state * 256u + byte];
    }

    /* The pattern that is complete in a state; NONE where none is. */
    uint16_t PatternOf(uint16_t state) const
    {
        return patterns_[state];
    }

    /* How many bytes the longest match has that is found, at least 1. */
    uint32_t Longest() const
    {
        return longest_;
    }

    /* Whether one of the bytes, low half first, can begin or end a match. size is 1 to 16. */
    bool MayTouch(uint32_t size, uint64_t low, uint64_t high) const
    {
        uint8_t found = edges_[low & 0xff];

        if (size >= 2) {
            found |= edges_[low >> 8 & 0xff];
        }
        if (size >= 4) {
            found |= edges_[low >> 16 & 0xff] | edges_[low >> 24 & 0xff];
        }
        if (size >= 8) {
            found |= edges_[low >> 32 & 0xff] | edges_[low >> 40 & 0xff] | edges_[low >> 48 & 0xff] | edges_[low >> 56];
        }
        return found || (size == 16 && MayTouch(8, high, 0));
    }

    /* Whether a match may end with this byte; before is the one in front of it, or -1 where it is not known. */
    bool MayEnd(int before, uint8_t byte) const
    {
        return (edges_[byte] & ENDS) && (before < 0 || ends_[before * 32 + byte / 8] >> (byte & 7) & 1);
    }

  private:
    static constexpr uint8_t BEGINS = 1, ENDS = 2;

    struct Header {
        uint32_t states, classes, longest, accepting;
    };

    void FindEdges(uint32_t states)
    {
        /* By state, a bit for each byte: whether that ends a match. */
        std::vector<uint8_t> ending(states * 32u);

        memset(edges_, 0, sizeof(edges_));
        memset(ends_, 0, sizeof(ends_));
        for (uint32_t at = 0; at < states * 256u; at++) {
            if (patterns_[next_[at]] != NONE) {
                ending[at >> 3] |= 1 << (at & 7);
                edges_[at & 0xff] |= ENDS;
            }
        }
        for (uint32_t byte = 0; byte < 256; byte++) {
            edges_[byte] |= next_[byte] != 0 ? BEGINS : 0;
            /* Any byte may be in front of a match of one byte. */
            memcpy(&ends_[byte * 32], ending.data(), 32);
        }
        for (uint32_t at = 0; at < states * 256u; at++) {
            for (size_t part = 0; part < 32; part++) {
                ends_[(at & 0xff) * 32 + part] |= ending[next_[at] * 32u + part];
            }
        }
    }

    std::vector<uint16_t> next_ = std::vector<uint16_t>(256), patterns_ = { NONE };
    uint32_t longest_ = 1;
    uint8_t edges_[256] = {};
    /* By two bytes, a bit: whether a match may end with them. */
    uint8_t ends_[256 * 256 / 8] = {};
};

}  // namespace

#endif
