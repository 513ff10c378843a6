// Commands that a QEMU monitor, or a program by QMP, wants executed by JavaScript.
#pragma once

#include <napi.h>

Napi::Object InitMonitorCommands(Napi::Env env, Napi::Object exports);
