#include "stack_reserve.h"

#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

constexpr size_t kReserve = size_t{1} << 20;
// What stays below the reserve: for code that asks no limit.
constexpr size_t kRest = size_t{1} << 20;

// V8 keeps its limits in the isolate's first words (IsolateData in src/execution/isolate-data.h): one of JavaScript and
// one of C++, and a copy of both that an interrupt lowers (StackGuard::ThreadLocal in src/execution/stack-guard.h). Its
// API sets all four together, and reads none.
constexpr size_t kSearchedWords = 256;
constexpr size_t kLimits = 4;

void* isolate;
void (*set_limit)(void* isolate, uintptr_t limit);
uintptr_t limit;

// The lowest address of this thread's stack; 0 when it is not known.
uintptr_t FindStackEnd() {
  pthread_attr_t attributes;
  void* end = nullptr;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
    return 0;
  }
  pthread_attr_getstack(&attributes, &end, &size);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<uintptr_t>(end);
}

// The four words are found by what the API does to them: nothing else follows two different limits.
uintptr_t FindLimit(uintptr_t trial) {
  volatile uintptr_t* words = static_cast<volatile uintptr_t*>(isolate);
  std::vector<uintptr_t> before(words, words + kSearchedWords);
  set_limit(isolate, trial);
  std::vector<uintptr_t> first(words, words + kSearchedWords);
  set_limit(isolate, trial + sizeof(uintptr_t));
  std::vector<size_t> changed;
  for (size_t i = 0; i < kSearchedWords; i++) {
    if (first[i] == trial && words[i] == trial + sizeof(uintptr_t)) {
      changed.push_back(i);
    }
  }
  bool is_known = changed.size() == kLimits && changed.back() - changed.front() == kLimits - 1;
  for (size_t i : changed) {
    is_known = is_known && before[i] == before[changed.front()];
  }
  if (!changed.empty()) {
    set_limit(isolate, before[changed.front()]);
  }
  return is_known ? before[changed.front()] : 0;
}

}  // namespace

bool StackLimit::available = false;
bool StackLimit::reserved = false;

void StackLimit::Set(bool with_reserve) {
  reserved = with_reserve;
  set_limit(isolate, with_reserve ? limit - kReserve : limit);
}

void InitStackReserve() {
  // Node exports V8: two functions whose ABI is plain words.
  auto current = reinterpret_cast<void* (*)()>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate10GetCurrentEv"));
  set_limit = reinterpret_cast<void (*)(void*, uintptr_t)>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate13SetStackLimitEm"));
  uintptr_t end = FindStackEnd();
  uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (!current || !set_limit || !end || here < end + kReserve + kRest) {
    return;
  }
  isolate = current();
  limit = FindLimit(here - kReserve / 2);
  StackLimit::available = limit >= end + kReserve + kRest && limit < here;
}

Napi::Value CallReserved(const Napi::CallbackInfo& info) {
  StackLimit limit(true);
  constexpr size_t kMost = 4;
  napi_value arguments[kMost];
  size_t count = std::min(info.Length() - 1, kMost);
  for (size_t i = 0; i < count; i++) {
    arguments[i] = info[i + 1];
  }
  napi_value result = nullptr;
  napi_call_function(info.Env(), info.Env().Undefined(), info[0], count, arguments, &result);
  return Napi::Value(info.Env(), result);
}
