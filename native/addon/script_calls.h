// The one way from native code into a script's function.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include "stack_reserve.h"

// A function of the script, held for as long as it is subscribed.
//
// Handles are valid within one handle scope, so the handle is kept together with the number of the scope it came from.
struct Callable {
  napi_ref reference = nullptr;
  napi_value handle = nullptr;
  uint64_t scope = 0;
};

enum class CallResult { kReturned, kThrew, kCutOff };

class ScriptCalls {
 public:
  void Init(napi_env env);

  // Opens and closes the handle scope that calls made in between share. A scope for each call would cost an
  // allocation; one for all would grow without end.
  void OpenScope();
  void CloseScope();
  bool HasScope() const { return scope_handle_ != nullptr; }

  void Hold(Callable& callable, napi_value value);
  void Release(Callable& callable);

  inline napi_value Get(Callable& callable) {
    if (callable.scope != scope_) {
      Refresh(callable);
    }
    return callable.handle;
  }

  // Calls function. On kThrew error receives what was thrown. An exception never stays pending, and a call that
  // returns after CutOff() is undone is kCutOff. Call inside a scope.
  inline CallResult Call(Callable& function, size_t argc, const napi_value* argv, napi_value* error,
                         napi_value* result = nullptr) {
    if (depth_ == 0) {
      calls_in_scope_++;
      sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    napi_value callee = Get(function);
    uint64_t outer_scope = scope_;
    depth_++;
    scope_ = kNestedScope;
    StackLimit limit(false);
    napi_status status = napi_call_function(env_, undefined_, callee, argc, argv, result);
    scope_ = outer_scope;
    depth_--;
    if (depth_ == 0) {
      sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      // Orders the store before the load for this thread only; the other side pays with membarrier().
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    if (__builtin_expect(status == napi_ok && !cut_off_.load(std::memory_order_relaxed), 1)) {
      return CallResult::kReturned;
    }
    return Recover(status, error);
  }

  // Call before the arguments of a call are made: from time to time a new scope takes the place of a full one.
  inline void PrepareScope() {
    if (__builtin_expect(calls_in_scope_ >= kCallsPerScope, 0) && depth_ == 0) {
      RenewScope();
    }
  }

  // The number of the current scope: a handle made in another one is not valid any more.
  uint64_t scope() const { return scope_; }
  // The scope that a new handle remembers. Handles that are made while a script runs go when the native
  // function that the script called returns, so they are remembered as those of no scope.
  uint64_t scope_to_remember() const { return scope_ == kNestedScope ? 0 : scope_; }

  // For the guard's thread. Odd while a call runs; the same value means the same call.
  uint64_t sequence() const { return sequence_.load(std::memory_order_relaxed); }
  // Terminates the script if the call with this sequence still runs.
  void CutOff(uint64_t sequence);
  bool can_cut_off() const { return terminate_ != nullptr; }

  // For the script's own thread: terminates what rebox has called, if anything. Returns whether there is such a call.
  bool CutOffForMemory();
  // Whether the call that was cut off last had filled the memory. Asks once.
  bool TakeMemoryCutOff() { return std::exchange(is_memory_full_, false); }
  // Calls a function from the event loop, or from within another call, that may be cut off for its memory. Returns
  // whether it was; otherwise an exception of the function is pending, or result is set.
  bool CallGuarded(napi_value function, napi_value* result);

 private:
  static constexpr uint32_t kCallsPerScope = 1024;
  static constexpr uint64_t kNestedScope = UINT64_MAX;

  void RenewScope();
  void Refresh(Callable& callable);
  CallResult Recover(napi_status status, napi_value* error);

  napi_env env_ = nullptr;
  napi_handle_scope scope_handle_ = nullptr;
  napi_value undefined_ = nullptr;
  uint64_t scope_ = 0;
  uint64_t last_scope_ = 0;
  uint32_t calls_in_scope_ = 0;
  int depth_ = 0;
  int guarded_ = 0;
  bool is_memory_full_ = false;

  std::atomic<uint64_t> sequence_{0};
  std::atomic<bool> cut_off_{false};
  std::mutex cut_off_mutex_;
  void* isolate_ = nullptr;
  void (*terminate_)(void* isolate) = nullptr;
  void (*cancel_)(void* isolate) = nullptr;
};
