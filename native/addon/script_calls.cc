#include "script_calls.h"

#include <dlfcn.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

void ScriptCalls::Init(napi_env env) {
  env_ = env;
  // Node-API cannot stop a running script. V8 can, and Node exports it: three functions whose ABI is a pointer.
  auto current = reinterpret_cast<void* (*)()>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate10GetCurrentEv"));
  auto terminate = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate18TerminateExecutionEv"));
  auto cancel = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate24CancelTerminateExecutionEv"));
  bool barrier = syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  if (current && terminate && cancel && barrier) {
    isolate_ = current();
    terminate_ = terminate;
    cancel_ = cancel;
  }
}

void ScriptCalls::OpenScope() {
  napi_open_handle_scope(env_, &scope_handle_);
  napi_get_undefined(env_, &undefined_);
  scope_ = ++last_scope_;
  calls_in_scope_ = 0;
}

void ScriptCalls::CloseScope() {
  napi_close_handle_scope(env_, scope_handle_);
  scope_handle_ = nullptr;
}

void ScriptCalls::RenewScope() {
  CloseScope();
  OpenScope();
}

void ScriptCalls::Hold(Callable& callable, napi_value value) {
  Release(callable);
  napi_create_reference(env_, value, 1, &callable.reference);
  callable.scope = 0;
}

void ScriptCalls::Release(Callable& callable) {
  if (callable.reference) {
    napi_delete_reference(env_, callable.reference);
    callable.reference = nullptr;
  }
}

void ScriptCalls::Refresh(Callable& callable) {
  napi_get_reference_value(env_, callable.reference, &callable.handle);
  callable.scope = scope_to_remember();
}

void ScriptCalls::CutOff(uint64_t sequence) {
  std::lock_guard<std::mutex> lock(cut_off_mutex_);
  cut_off_.store(true, std::memory_order_relaxed);
  // After this either the script's thread sees cut_off_, or this one sees that the call has ended.
  syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  if (sequence_.load(std::memory_order_relaxed) == sequence) {
    terminate_(isolate_);
  } else {
    cut_off_.store(false, std::memory_order_relaxed);
  }
}

bool ScriptCalls::CutOffForMemory() {
  if (!terminate_ || depth_ + guarded_ == 0) {
    return false;
  }
  std::lock_guard<std::mutex> lock(cut_off_mutex_);
  is_memory_full_ = true;
  if (depth_ > 0) {
    cut_off_.store(true, std::memory_order_relaxed);
  }
  terminate_(isolate_);
  return true;
}

bool ScriptCalls::CallGuarded(napi_value function, napi_value* result) {
  guarded_++;
  StackLimit limit(false);
  napi_value receiver = nullptr;
  napi_get_undefined(env_, &receiver);
  napi_status status = napi_call_function(env_, receiver, function, 0, nullptr, result);
  guarded_--;
  // The outermost call ends what was cut off: all within it is terminated.
  if (depth_ > 0 || guarded_ > 0 || !TakeMemoryCutOff()) {
    return false;
  }
  cancel_(isolate_);
  bool is_pending = false;
  napi_value thrown = nullptr;
  napi_is_exception_pending(env_, &is_pending);
  if (is_pending) {
    napi_get_and_clear_last_exception(env_, &thrown);
  }
  return status != napi_ok;
}

CallResult ScriptCalls::Recover(napi_status status, napi_value* error) {
  bool was_cut_off = false;
  if (depth_ == 0) {
    std::lock_guard<std::mutex> lock(cut_off_mutex_);
    was_cut_off = cut_off_.load(std::memory_order_relaxed);
    if (was_cut_off) {
      cancel_(isolate_);
      cut_off_.store(false, std::memory_order_relaxed);
    }
  }
  bool pending = false;
  napi_is_exception_pending(env_, &pending);
  napi_value thrown = nullptr;
  if (pending) {
    napi_get_and_clear_last_exception(env_, &thrown);
  }
  if (status == napi_ok) {
    // The call ended by itself while it was being cut off, or a nested one did: what it did stands.
    return CallResult::kReturned;
  }
  if (was_cut_off) {
    return CallResult::kCutOff;
  }
  if (!thrown) {
    // Node-API refused the call itself; whoever reads this has to know why.
    std::string text = "Node-API refused a call of a function with status " + std::to_string(status);
    napi_value message = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &message);
    napi_create_error(env_, nullptr, message, &thrown);
  }
  *error = thrown;
  return CallResult::kThrew;
}
