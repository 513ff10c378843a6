// Stack for rebox's own code, beyond where a script's recursion ends.
//
// V8 ends the process when it has no stack to compile a regular expression, and rebox's code has many. So a script's
// call into rebox gets more stack than the script itself: the limit of the thread is lower while the call runs.
#pragma once

#include <napi.h>

// Finds out where the scripts' stack ends. Without it, or without room on the thread's stack, nothing is reserved.
void InitStackReserve();

// While it lives, code may use the reserve (true), or only what scripts may use (false).
class StackLimit {
 public:
  explicit StackLimit(bool with_reserve) : changed_(available && with_reserve != reserved) {
    if (__builtin_expect(changed_, 0)) {
      Set(with_reserve);
    }
  }
  ~StackLimit() {
    if (__builtin_expect(changed_, 0)) {
      Set(!reserved);
    }
  }
  StackLimit(const StackLimit&) = delete;
  StackLimit& operator=(const StackLimit&) = delete;

 private:
  friend void InitStackReserve();
  static void Set(bool with_reserve);

  static bool available;
  // The reserve may be used now.
  static bool reserved;

  const bool changed_;
};

// callReserved(function, ...arguments): what the function returns, which may use the reserve; at most 4 arguments
Napi::Value CallReserved(const Napi::CallbackInfo& info);
