#include "sampled_clock.h"

#include <time.h>

namespace {

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * UINT64_C(1'000'000'000) + now.tv_nsec;
}

const uint64_t first_ticks = ReadTicks();
const uint64_t first_ns = NowNs();

}  // namespace

double TicksToMs(double ticks) {
  double elapsed_ms = static_cast<double>(NowNs() - first_ns) / 1e6;
  return ticks * elapsed_ms / static_cast<double>(ReadTicks() - first_ticks);
}

double SampledClock::ticks() const {
  // What came since the last measurement took as long as what came before.
  return covered_ ? static_cast<double>(ticks_) * static_cast<double>(turns_) / static_cast<double>(covered_) : 0;
}

void SampledClock::Measured(uint64_t ticks) {
  ticks_ += ticks * gap_;
  covered_ += gap_;
  // Marsaglia's xorshift.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  gap_ = turns_ < kAllUntil ? 1 : 1 + random_ % kLongestGap;
  next_ = turns_ + gap_;
}
