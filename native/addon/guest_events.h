// Events of the guest's system, which TypeScript raises: processes and modules.
#pragma once

#include <napi.h>

#include "process_table.h"

// Calls the listeners of kCreateProcess or kRemoveProcess, as TypeScript does. Call in a callback of the guest.
void RaiseProcess(int kind, const ToldProcess& process);

Napi::Object InitGuestEvents(Napi::Env env, Napi::Object exports);
