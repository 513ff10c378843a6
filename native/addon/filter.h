// A callback's filter: decides without a call to JavaScript whether an event is wanted.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_set>
#include <vector>

#include "event_facts.h"
#include "qemu_glue.h"

class Filter {
 public:
  // Reads the checked filter that src/callbacks/callback-filter.ts makes: numbers and BigUint64Arrays.
  static std::unique_ptr<Filter> From(const Napi::Value& value);

  // Returns whether the event passes. Counts it for `every` and `hits`, and marks its page for `firstPerPage`.
  inline bool Accepts(const EventFacts& facts);

  // No event will pass any more.
  bool is_used_up() const { return hits_ && passed_ >= hits_; }

  bool needs_physical() const { return !physical_.empty(); }
  bool needs_mode() const { return mode_ != REBOX_ANY_MODE; }

  // The code whose events may pass: in these ranges, or anywhere when there are none, executed in this mode.
  const std::vector<rebox_code_range>& code() const { return pc_; }
  rebox_mode mode() const { return mode_; }

 private:
  using Ranges = std::vector<rebox_code_range>;
  enum Comparison { kNone, kEqual, kNotEqual, kBelow, kAbove };

  bool AcceptsRest(const EventFacts& facts);

  Ranges pc_, address_, physical_;
  std::vector<uint64_t> sizes_, pgds_;
  int comparison_ = kNone;
  uint64_t value_ = 0;
  uint64_t mask_ = UINT64_MAX;
  rebox_mode mode_ = REBOX_ANY_MODE;
  // Nothing is to be asked but place and mode.
  bool is_simple_ = false;
  bool first_per_page_ = false;
  uint64_t every_ = 0;
  uint64_t hits_ = 0;

  uint64_t seen_ = 0;
  uint64_t passed_ = 0;
  std::unordered_set<uint64_t> pages_;
};

// Inline, because most events end here.
inline bool Filter::Accepts(const EventFacts& facts) {
  auto lies_outside = [](const Ranges& ranges, uint64_t value) {
    for (const rebox_code_range& range : ranges) {
      if (value >= range.from && value < range.to) {
        return false;
      }
    }
    return !ranges.empty();
  };
  if (lies_outside(address_, facts.address) || lies_outside(pc_, facts.pc) || lies_outside(physical_, facts.physical) ||
      (needs_mode() && facts.is_kernel != (mode_ == REBOX_KERNEL_MODE))) {
    return false;
  }
  return is_simple_ || AcceptsRest(facts);
}
