// The thread that watches Node's thread: it ends slices when Node has something to do, and cuts off endless callbacks.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "script_calls.h"

class Guard {
 public:
  // event_loop_fd becomes readable when Node's event loop has an event to handle (libuv's backend).
  void Start(ScriptCalls* calls, int event_loop_fd);
  void Stop();

  void BeginSlice();
  void EndSlice() { slice_active_.store(false, std::memory_order_release); }
  bool is_watching() const { return slice_active_.load(std::memory_order_relaxed); }

  // The longest that one callback may take, in milliseconds; 0 is without limit.
  void set_callback_limit_ms(uint32_t limit_ms) { callback_limit_ms_ = limit_ms; }

 private:
  // Timers of a script are at most this late because of the guest.
  static constexpr int64_t kSliceNs = 4'000'000;
  // The time after which an overdue slice, one in a long callback, is looked at again.
  static constexpr int64_t kOverdueNs = 10'000'000;

  void Run();
  void WatchCall(int64_t now_ns);

  ScriptCalls* calls_ = nullptr;
  std::thread thread_;
  int event_loop_fd_ = -1;
  int control_fd_ = -1;
  std::atomic<bool> slice_active_{false};
  std::atomic<int64_t> slice_began_ns_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> callback_limit_ms_{5000};

  uint64_t watched_call_ = 0;
  int64_t watched_since_ns_ = 0;
};

// Watches callbacks that are delivered outside of a slice, by the event loop, as those within one.
class GuardedDelivery {
 public:
  explicit GuardedDelivery(Guard& guard) : guard_(guard), own_(!guard.is_watching()) {
    if (own_) {
      guard_.BeginSlice();
    }
  }
  ~GuardedDelivery() {
    if (own_) {
      guard_.EndSlice();
    }
  }

 private:
  Guard& guard_;
  const bool own_;
};
