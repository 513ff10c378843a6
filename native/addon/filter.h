// A callback's filter: decides without a call to JavaScript whether an event is wanted.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_set>
#include <vector>

#include "event_facts.h"

class Filter {
 public:
  // Reads the checked filter that src/callbacks/callback-filter.ts makes: numbers and BigUint64Arrays.
  static std::unique_ptr<Filter> From(const Napi::Value& value);

  // Tells whether the event passes. Counts it for `every` and `hits`, and marks its page for `firstPerPage`.
  bool Accepts(const EventFacts& facts);

  // No event will pass any more.
  bool is_used_up() const { return hits_ && passed_ >= hits_; }

  bool needs_physical() const { return !physical_.empty(); }

 private:
  // Pairs of first and one past the last.
  using Ranges = std::vector<uint64_t>;
  enum Comparison { kNone, kEqual, kNotEqual, kBelow, kAbove };

  static bool Contains(const Ranges& ranges, uint64_t value);

  Ranges pc_, address_, physical_;
  std::vector<uint64_t> sizes_, pgds_;
  int comparison_ = kNone;
  uint64_t value_ = 0;
  uint64_t mask_ = UINT64_MAX;
  // 0 either, 1 user, 2 kernel.
  int mode_ = 0;
  bool first_per_page_ = false;
  uint64_t every_ = 0;
  uint64_t hits_ = 0;

  uint64_t seen_ = 0;
  uint64_t passed_ = 0;
  std::unordered_set<uint64_t> pages_;
};
