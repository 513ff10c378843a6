#include "heap_guard.h"

#include <dlfcn.h>

#include <cstdio>

#include "addon_state.h"

namespace {

// Until the script has noticed that it is cut off, and for what its end allocates.
constexpr size_t kHeadroom = size_t{64} << 20;
// The old limit is restored when so much of it is in use, or less.
constexpr double kRestored = 0.7;

void (*restore_limit)(void* isolate, double threshold);
void* isolate;

// V8's NearHeapLimitCallback; called on the script's thread, within a garbage collection.
size_t OnNearHeapLimit(void*, size_t current, size_t initial) {
  static bool is_told = false;
  if (State().calls.CutOffForMemory()) {
    if (restore_limit) {
      restore_limit(isolate, kRestored);
    }
    return current + kHeadroom;
  }
  // Nothing can be cut off: this is rebox's own code, or a script's that Node has called by itself.
  fprintf(
      stderr,
      "rebox: all %zu MiB that JavaScript may use are in use, by scripts, modules and rebox itself; the process ends "
      "when they need more. NODE_OPTIONS=--max-old-space-size=MIB sets another limit\n",
      initial >> 20);
  if (is_told) {
    return current;
  }
  is_told = true;
  return current + kHeadroom;
}

}  // namespace

void GuardHeap() {
  using Callback = size_t (*)(void*, size_t, size_t);
  // Node exports V8: functions whose ABI is pointers and numbers.
  auto current = reinterpret_cast<void* (*)()>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate10GetCurrentEv"));
  auto add = reinterpret_cast<void (*)(void*, Callback, void*)>(
      dlsym(RTLD_DEFAULT, "_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_"));
  restore_limit = reinterpret_cast<void (*)(void*, double)>(
      dlsym(RTLD_DEFAULT, "_ZN2v87Isolate36AutomaticallyRestoreInitialHeapLimitEd"));
  if (current && add) {
    isolate = current();
    add(isolate, OnNearHeapLimit, nullptr);
  }
}
