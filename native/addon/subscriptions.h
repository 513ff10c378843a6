// The listeners of each event. QEMU watches the events that somebody here listens to, and nothing else.
#pragma once

#include <memory>
#include <unordered_map>

#include "listener_list.h"

class Trigger;

struct Subscriptions {
  // By kind; the address-bound callbacks of a type are kept apart, in hooked.
  ListenerList by_kind[kEventKinds];
  ListenerList hooked;
  // Nothing is delivered to these, but what streams hold.
  ListenerList retired;
  // By kind: the stream that is all that listens, without filter and trigger, or nullptr. Its events need nothing but
  // to be appended.
  Stream* direct[kEventKinds] = {};
  // By kind: the listener with a trigger that is all that listens to it, when it has no filter.
  Listener* triggered[kEventKinds] = {};
  // By kind: a trigger has QEMU report this event of every process.
  bool everywhere[kEventKinds] = {};
  std::unordered_map<uint32_t, Listener*> by_id;
  std::unordered_map<uint32_t, Listener*> by_hook;

  // Begin to listen; the listener's numbers say to what. Return its id.
  uint32_t Add(std::unique_ptr<Listener> listener);
  uint32_t AddHook(std::unique_ptr<Listener> listener, uint64_t address, uint64_t pgd);

  void Remove(uint32_t id);
  // Ends the listening, not the listener: it is still found and counted, and may be being delivered to.
  void Retire(Listener& listener);

  // Hooks another address for a listener that has one already. Returns the hook's id.
  uint32_t AddTriggerHook(Listener& listener, uint64_t address, uint64_t pgd);
  // Nothing happens when the listener has no such hook.
  void RemoveTriggerHook(Listener& listener, uint32_t hook);

  // Asks of QEMU what the listener's trigger needs, after it has changed its mind.
  void FollowTrigger(Listener& listener);

  // nullptr when there is no such listener.
  Listener* Find(uint32_t id);

  // Counts the events that were kept from it, here or where code is translated.
  static uint64_t CountFiltered(const Listener& listener);

 private:
  void Detach(Listener& listener);
  void RemoveTriggerHooks(Listener& listener);
  friend void SetTrigger(uint32_t listener_id, Trigger* trigger);

  uint32_t last_id_ = 0;
};

extern Subscriptions subscriptions;

// For trigger_control.cc. The type of trigger that a listener takes, a callback_type_t, or -1 when there is no such
// listener.
int FindTriggerType(uint32_t listener_id);
Trigger* FindTrigger(uint32_t listener_id);
// Puts trigger, or none, in the place of a listener's trigger, which is unloaded.
void SetTrigger(uint32_t listener_id, Trigger* trigger);
