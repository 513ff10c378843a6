#include "code_watches.h"

#include "dispatch.h"
#include "uint64_value.h"

namespace {

// (cpu, pc, writer)
Callable watcher;
bool has_watcher = false;

void OnWatchedCode(void*, int cpu_index, uint64_t pc, uint64_t writer) {
  if (!has_watcher || !CanDeliver(cpu_index)) {
    return;
  }
  State().calls.PrepareScope();
  napi_value arguments[3] = {script_objects.CpuObject(cpu_index), script_objects.BigInt(pc),
                             script_objects.BigInt(writer)};
  napi_value error = nullptr;
  State().calls.Call(watcher, 3, arguments, &error);
}

// setCodeWatcher(watcher?)
Napi::Value SetWatcher(const Napi::CallbackInfo& info) {
  if (has_watcher) {
    State().calls.Release(watcher);
  }
  has_watcher = info[0].IsFunction();
  if (has_watcher) {
    State().calls.Hold(watcher, info[0]);
  }
  return info.Env().Undefined();
}

// watchCode(pgd, from, to): boolean
Napi::Value Watch(const Napi::CallbackInfo& info) {
  bool is_watched = rebox_watch_code(ToUint64(info[0]), ToUint64(info[1]), ToUint64(info[2]));
  return Napi::Boolean::New(info.Env(), is_watched);
}

// settleCode(pgd, from, to)
Napi::Value Settle(const Napi::CallbackInfo& info) {
  rebox_settle_code(ToUint64(info[0]), ToUint64(info[1]), ToUint64(info[2]));
  return info.Env().Undefined();
}

// unwatchCode(pgd?)
Napi::Value Unwatch(const Napi::CallbackInfo& info) {
  rebox_unwatch_code(info[0].IsUndefined() ? REBOX_ALL_PROCESSES : ToUint64(info[0]));
  return info.Env().Undefined();
}

}  // namespace

void ListenToCodeWatches(rebox_listener* listener) { listener->watched_code = OnWatchedCode; }

Napi::Object InitCodeWatches(Napi::Env env, Napi::Object exports) {
  exports.Set("setCodeWatcher", Napi::Function::New(env, SetWatcher));
  exports.Set("watchCode", Napi::Function::New(env, Watch));
  exports.Set("settleCode", Napi::Function::New(env, Settle));
  exports.Set("unwatchCode", Napi::Function::New(env, Unwatch));
  return exports;
}
