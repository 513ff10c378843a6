#include "guest_clock.h"

#include <ctime>
#include <mutex>

namespace {

std::mutex mutex;
uint64_t paused_ns = 0;
// When the machine was paused; 0 while it runs.
uint64_t paused_since = 0;

uint64_t ReadHostClockNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

}  // namespace

void SetGuestClockRuns(bool is_running) {
  std::lock_guard<std::mutex> lock(mutex);
  uint64_t now = ReadHostClockNs();
  if (!is_running) {
    paused_since = paused_since ? paused_since : now;
  } else if (paused_since) {
    paused_ns += now - paused_since;
    paused_since = 0;
  }
}

uint64_t ReadGuestClockNs() {
  std::lock_guard<std::mutex> lock(mutex);
  return (paused_since ? paused_since : ReadHostClockNs()) - paused_ns;
}
