// Events seen from JavaScript: subscriptions and their dispatch.
#pragma once

#include <napi.h>

Napi::Object InitEvents(Napi::Env env, Napi::Object exports);

// Hands what streams hold to their handlers, full or not. Call inside a scope.
void HandOverStreams();

class Trigger;

// For triggers.cc. The type of trigger that a listener takes, a callback_type_t, or -1 when there is no such listener.
int FindTriggerType(uint32_t listener_id);
Trigger* FindTrigger(uint32_t listener_id);
// Puts trigger, or none, in the place of a listener's trigger, which is unloaded.
void SetTrigger(uint32_t listener_id, Trigger* trigger);
