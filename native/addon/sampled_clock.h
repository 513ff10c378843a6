// Time spent in something that is done millions of times a second, measured now and then.
#pragma once

#include <cstdint>

// The processor's time-stamp counter.
inline uint64_t ReadTicks() { return __builtin_ia32_rdtsc(); }

// Converts ticks to milliseconds. The rate is that of the time since the addon was loaded.
double TicksToMs(double ticks);

// Counts turns. The first are all measured; then about one in 64, which stands for those since the one before. The gaps
// vary at random, or something that happens every n turns would be measured always or never.
class SampledClock {
 public:
  // Counts a turn that begins; true when it is to be measured.
  bool Turn() { return __builtin_expect(++turns_ == next_, 0); }
  // The turn that was to be measured took so long.
  void Measured(uint64_t ticks);

  uint64_t turns() const { return turns_; }
  // Of all turns; an estimate.
  double ticks() const;

 private:
  static constexpr uint64_t kAllUntil = 64;
  // The mean of 1 to 127 is 64.
  static constexpr uint64_t kLongestGap = 127;

  uint64_t turns_ = 0;
  uint64_t next_ = 1;
  uint64_t gap_ = 1;
  // Ticks measured, and the number of turns they represent.
  uint64_t ticks_ = 0;
  uint64_t covered_ = 0;
  uint32_t random_ = 0x2545f491;
};
