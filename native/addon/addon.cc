#include <napi.h>

#include "addon_state.h"
#include "byte_search.h"
#include "call_journal.h"
#include "code_watches.h"
#include "engine.h"
#include "events.h"
#include "guest_events.h"
#include "guest_set.h"
#include "heap_guard.h"
#include "image_files.h"
#include "machine.h"
#include "monitor_commands.h"
#include "monitoring.h"
#include "process_hook.h"
#include "process_journal.h"
#include "process_table.h"
#include "qemu_glue.h"
#include "recording.h"
#include "set_remover.h"
#include "stack_reserve.h"
#include "triggers.h"

// Never destroyed: threads of QEMU may outlive the addon's static objects.
AddonState* const addon_state = new AddonState;

// callGuarded(call): what call returns; undefined in place of [result] when it was cut off because it filled the memory
static Napi::Value CallGuarded(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  napi_value result = nullptr;
  if (State().calls.CallGuarded(info[0], &result)) {
    return env.Undefined();
  }
  if (env.IsExceptionPending()) {
    return Napi::Value();
  }
  Napi::Array list = Napi::Array::New(env, 1);
  list.Set(0u, Napi::Value(env, result));
  return list;
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (rebox_glue_version() != REBOX_GLUE_VERSION) {
    Napi::Error::New(env,
                     "the addon and its QEMU library were built from different versions of rebox: "
                     "run `npm run setup`")
        .ThrowAsJavaScriptException();
    return exports;
  }
  State().calls.Init(env);
  InitStackReserve();
  exports.Set("callReserved", Napi::Function::New(env, CallReserved));
  exports.Set("qemuVersion", Napi::String::New(env, rebox_qemu_version()));
  GuardHeap();
  exports.Set("callGuarded", Napi::Function::New(env, CallGuarded));
  InitEngine(env, exports);
  InitMachine(env, exports);
  InitByteSearch(env, exports);
  InitCallJournals(env, exports);
  InitCodeWatches(env, exports);
  InitImageFiles(env, exports);
  InitEvents(env, exports);
  InitGuestEvents(env, exports);
  InitGuestSets(env, exports);
  InitMonitorCommands(env, exports);
  InitMonitoring(env, exports);
  InitProcessHook(env, exports);
  InitProcessJournal(env, exports);
  InitProcessTable(env, exports);
  InitRecording(env, exports);
  InitSetRemover(env, exports);
  InitTriggers(env, exports);
  return exports;
}

NODE_API_MODULE(rebox, Init)
