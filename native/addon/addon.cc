#include <napi.h>

#include "addon_state.h"
#include "byte_search.h"
#include "engine.h"
#include "events.h"
#include "guest_events.h"
#include "image_files.h"
#include "machine.h"
#include "monitor_commands.h"
#include "monitoring.h"
#include "process_hook.h"
#include "process_table.h"
#include "qemu_glue.h"
#include "triggers.h"

// Never destroyed: threads of QEMU may outlive the addon's static objects.
AddonState* const addon_state = new AddonState;

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (rebox_glue_version() != REBOX_GLUE_VERSION) {
    Napi::Error::New(env,
                     "the addon and its QEMU library were built from different versions of rebox: "
                     "run `npm run setup`")
        .ThrowAsJavaScriptException();
    return exports;
  }
  State().calls.Init(env);
  exports.Set("qemuVersion", Napi::String::New(env, rebox_qemu_version()));
  InitEngine(env, exports);
  InitMachine(env, exports);
  InitByteSearch(env, exports);
  InitImageFiles(env, exports);
  InitEvents(env, exports);
  InitGuestEvents(env, exports);
  InitMonitorCommands(env, exports);
  InitMonitoring(env, exports);
  InitProcessHook(env, exports);
  InitProcessTable(env, exports);
  InitTriggers(env, exports);
  return exports;
}

NODE_API_MODULE(rebox, Init)
